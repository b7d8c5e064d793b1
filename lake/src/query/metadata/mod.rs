//! What there is: `information_schema` and `pg_catalog`, made from a catalog when they are read.
//!
//! They are schemas of every catalog of the lake, and not among those that it lists. They show what the catalog shows
//! that they describe: whoever hides relations in that has hidden them here.

mod columns;
mod describe;
mod information_schema;
mod keys;
mod listing;
mod pg_catalog;
pub(super) mod settings;
pub mod sql_types;
mod table;

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, SchemaProvider};

pub(super) use describe::in_sqls_words;
pub use keys::{foreign_key_name, primary_key, primary_key_name};
pub(super) use pg_catalog::{format_type, has_table as is_of_pg_catalog, oids, type_oid};

use crate::query::catalog::{Handle, ReleaseCatalog};
use crate::query::gate::{Gate, Hides};
use information_schema::InformationSchema;
use pg_catalog::PgCatalog;

/// A catalog with the schemas that describe it.
#[derive(Debug)]
pub struct Described {
    catalog: Arc<dyn CatalogProvider>,
    about: Arc<ReleaseCatalog>,
}

impl Described {
    pub(crate) fn new(release: Arc<ReleaseCatalog>) -> Self {
        Self {
            catalog: Arc::new(Handle(release.clone())),
            about: release,
        }
    }

    /// The relations of the catalog that this describes, as they are seen through a gate.
    pub fn through(&self, gate: Arc<dyn Gate>) -> Arc<dyn CatalogProvider> {
        Arc::new(Handle(self.about.through(Some(gate))))
    }

    pub(super) fn gate(&self) -> Option<Arc<dyn Gate>> {
        self.about.gate().cloned()
    }

    /// `catalog`, which shows a part of this one, with schemas that describe that part; nothing is said in them of the
    /// columns that are hidden.
    #[must_use]
    pub fn seen_as(&self, catalog: Arc<dyn CatalogProvider>, hides: Arc<dyn Hides>) -> Self {
        Self {
            catalog,
            about: self.about.hiding(hides),
        }
    }
}

impl CatalogProvider for Described {
    fn schema_names(&self) -> Vec<String> {
        self.catalog.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let (catalog, about) = (self.catalog.clone(), self.about.clone());
        if name.eq_ignore_ascii_case(information_schema::NAME) {
            Some(Arc::new(InformationSchema { catalog, about }))
        } else if name.eq_ignore_ascii_case(pg_catalog::NAME) {
            Some(Arc::new(PgCatalog { catalog, about }))
        } else {
            self.catalog.schema(name)
        }
    }
}
