//! The catalogs as somebody may see them: what may not be read cannot be named, and what may is there as policies show it.
//!
//! Names are resolved here and nowhere else, and `information_schema` and `pg_catalog` are computed from here, so a
//! relation that is hidden and one that does not exist are the same to whoever asks. A view is planned by the lake over its own
//! catalog, so it is readable without what it reads.

use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::TableName;
use cordada_lake::query::metadata::Described;
use cordada_lake::query::session::CATALOG;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::datasource::{TableType, ViewTable};
use datafusion::error::Result;

use crate::policy::Policies;

/// A session's catalogs, of which an access sees a part. The lake adds one for every release that a statement names in
/// `version as of`: they are filtered too, and not listed.
#[derive(Debug)]
pub(crate) struct VisibleCatalogs {
    catalogs: MemoryCatalogProviderList,
    policies: Arc<Policies>,
}

impl VisibleCatalogs {
    /// No catalogs yet, under `policies`.
    pub(crate) fn new(policies: Arc<Policies>) -> Self {
        Self {
            catalogs: MemoryCatalogProviderList::new(),
            policies,
        }
    }
}

impl CatalogProviderList for VisibleCatalogs {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        let visible = Arc::new(VisibleCatalog {
            name: name.clone(),
            catalog: catalog.clone(),
            policies: self.policies.clone(),
        });
        // The lake's own metadata is of all that it has.
        let visible: Arc<dyn CatalogProvider> = match catalog.downcast_ref::<Described>() {
            Some(lake) => Arc::new(lake.seen_as(visible, self.policies.clone())),
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
    name: String,
    catalog: Arc<dyn CatalogProvider>,
    policies: Arc<Policies>,
}

impl CatalogProvider for VisibleCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.catalog.schema_names();
        names.retain(|name| self.policies.access().sees_schema(name));
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if !self.policies.access().sees_schema(name) {
            return None;
        }
        let schema = self.catalog.schema(name)?;
        Some(Arc::new(VisibleSchema {
            name: name.to_owned(),
            schema,
            catalog_name: self.name.clone(),
            catalog: self.catalog.clone(),
            policies: self.policies.clone(),
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
    catalog_name: String,
    catalog: Arc<dyn CatalogProvider>,
    policies: Arc<Policies>,
}

impl VisibleSchema {
    fn shows(&self, name: &str) -> bool {
        self.policies.access().may_read(&self.name, name)
    }
}

#[async_trait]
impl SchemaProvider for VisibleSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.schema.table_names();
        names.retain(|name| self.shows(name));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Ok(relation) = TableName::new(&*self.name, name) else {
            return Ok(None);
        };
        if !self.shows(name) {
            return Ok(None);
        }
        if self.policies.access().reads_everything() {
            return self.schema.table(name).await;
        }
        let table = self.policies.open(&self.catalog_name, &self.catalog, &relation).await?;
        Ok(table.map(without_definition))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.shows(name) {
            true => self.schema.table_type(name).await,
            false => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.shows(name) && self.schema.table_exist(name)
    }
}
