//! The catalogs as somebody may see them: what may not be read cannot be named.
//!
//! Names are resolved here and nowhere else, and `information_schema` and `pg_catalog` are computed from here, so a
//! relation that is hidden and one that does not exist are the same to whoever asks. A view is planned by the lake over its own
//! catalog, so it is readable without what it reads.

use std::sync::Arc;

use async_trait::async_trait;
use cordada_lake::query::metadata::Described;
use cordada_lake::query::session::CATALOG;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::datasource::{TableType, ViewTable};
use datafusion::error::Result;

use crate::access::Access;

/// A session's catalogs, of which an [`Access`] sees a part. The lake adds one for every release that a statement
/// names in `version as of`: they are filtered too, and not listed.
#[derive(Debug)]
pub(crate) struct VisibleCatalogs {
    catalogs: MemoryCatalogProviderList,
    access: Arc<Access>,
}

impl VisibleCatalogs {
    /// No catalogs yet, for `access`.
    pub(crate) fn new(access: Arc<Access>) -> Self {
        Self {
            catalogs: MemoryCatalogProviderList::new(),
            access,
        }
    }
}

impl CatalogProviderList for VisibleCatalogs {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        let visible = Arc::new(VisibleCatalog {
            catalog: catalog.clone(),
            access: self.access.clone(),
        });
        // The lake's own metadata is of all that it has.
        let visible: Arc<dyn CatalogProvider> = match catalog.downcast_ref::<Described>() {
            Some(lake) => Arc::new(lake.seen_as(visible)),
            None => visible,
        };
        self.catalogs.register_catalog(name, visible)
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        self.catalogs.catalog(name)
    }
}

#[derive(Debug)]
struct VisibleCatalog {
    catalog: Arc<dyn CatalogProvider>,
    access: Arc<Access>,
}

impl CatalogProvider for VisibleCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.catalog.schema_names();
        names.retain(|name| self.access.sees_schema(name));
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if !self.access.sees_schema(name) {
            return None;
        }
        let schema = self.catalog.schema(name)?;
        Some(Arc::new(VisibleSchema {
            name: name.to_owned(),
            schema,
            access: self.access.clone(),
        }))
    }
}

/// The relation without the text of its query, which names what a view reads.
fn without_definition(table: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
    match table.downcast_ref::<ViewTable>() {
        Some(view) => Arc::new(ViewTable::new(view.logical_plan().clone(), None)),
        None => table,
    }
}

#[derive(Debug)]
struct VisibleSchema {
    name: String,
    schema: Arc<dyn SchemaProvider>,
    access: Arc<Access>,
}

#[async_trait]
impl SchemaProvider for VisibleSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.schema.table_names();
        names.retain(|name| self.access.may_read(&self.name, name));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.access.may_read(&self.name, name) {
            return Ok(None);
        }
        let table = self.schema.table(name).await?;
        Ok(table.map(|table| {
            if self.access.reads_everything() {
                table
            } else {
                without_definition(table)
            }
        }))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.access.may_read(&self.name, name) {
            true => self.schema.table_type(name).await,
            false => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.access.may_read(&self.name, name) && self.schema.table_exist(name)
    }
}
