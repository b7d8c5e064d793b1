//! `information_schema`, as the SQL standard has it and PostgreSQL documents it
//! (<https://www.postgresql.org/docs/current/information-schema.html>), with the comments of tables and columns beside.

mod constraints;
mod relations;
mod routines;

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProviderList, SchemaProvider, Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::columns::{All, batch};
use super::listing::{Depth, Listing, Wanted};
use super::table::{MetadataTable, Rows};
use crate::query::catalog::ReleaseCatalog;
use crate::query::session::CATALOG;

/// The schema's name.
pub(super) const NAME: &str = "information_schema";

/// The engine's settings, whose table is the engine's own.
const SETTINGS: &str = "df_settings";

/// The tables that are made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Relations,
    Columns,
    Views,
    Schemata,
    Constraints,
    KeyColumnUsage,
    ConstraintColumnUsage,
    ReferentialConstraints,
    Routines,
    Parameters,
    CatalogName,
}

const TABLES: [(&str, Table); 11] = [
    ("columns", Table::Columns),
    ("constraint_column_usage", Table::ConstraintColumnUsage),
    ("information_schema_catalog_name", Table::CatalogName),
    ("key_column_usage", Table::KeyColumnUsage),
    ("parameters", Table::Parameters),
    ("referential_constraints", Table::ReferentialConstraints),
    ("routines", Table::Routines),
    ("schemata", Table::Schemata),
    ("table_constraints", Table::Constraints),
    ("tables", Table::Relations),
    ("views", Table::Views),
];

/// The names of its tables.
fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name).chain([SETTINGS])
}

/// The schema `information_schema` of a catalog.
#[derive(Debug)]
pub(super) struct InformationSchema {
    pub catalog: Arc<dyn CatalogProvider>,
    pub about: Arc<ReleaseCatalog>,
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        names().map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name.eq_ignore_ascii_case(SETTINGS) {
            let none = Arc::new(MemoryCatalogProviderList::new());
            return InformationSchemaProvider::new(none).table(SETTINGS).await;
        }
        let found = TABLES.iter().find(|(table, _)| name.eq_ignore_ascii_case(table));
        let rows = found.map(|(_, table)| RowsOf {
            table: *table,
            catalog: self.catalog.clone(),
            about: self.about.clone(),
        });
        rows.map(MetadataTable::provider).transpose()
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::View))
    }

    fn table_exist(&self, name: &str) -> bool {
        names().any(|table| name.eq_ignore_ascii_case(table))
    }
}

#[derive(Debug)]
struct RowsOf {
    table: Table,
    catalog: Arc<dyn CatalogProvider>,
    about: Arc<ReleaseCatalog>,
}

#[async_trait]
impl Rows for RowsOf {
    fn none(&self) -> Result<RecordBatch> {
        match self.table {
            Table::Routines => routines::routines(&[]),
            Table::Parameters => routines::parameters(&[]),
            table => of_listing(table, &Listing::default()),
        }
    }

    async fn all(&self, session: &dyn Session, filters: &[Expr]) -> Result<RecordBatch> {
        let depth = match self.table {
            Table::Routines => return routines::routines(&routines::functions(session)),
            Table::Parameters => return routines::parameters(&routines::functions(session)),
            Table::Schemata | Table::CatalogName => Depth::Names,
            Table::Columns | Table::Views => Depth::Columns,
            // Keys of other relations are needed too: a key shows if what it refers to does.
            _ => Depth::Docs,
        };
        let wanted = match self.table {
            Table::Relations | Table::Columns | Table::Views => Wanted::by(filters, "table_schema", "table_name"),
            _ => Wanted::default(),
        };
        let listing = Listing::of(&*self.catalog, &self.about, depth, &wanted).await?;
        of_listing(self.table, &listing)
    }
}

fn of_listing(table: Table, listing: &Listing) -> Result<RecordBatch> {
    match table {
        Table::Relations => relations::tables(listing, names()),
        Table::Columns => relations::columns(listing),
        Table::Views => relations::views(listing),
        Table::Schemata => relations::schemata(listing),
        Table::Constraints => constraints::table_constraints(listing),
        Table::KeyColumnUsage => constraints::key_column_usage(listing),
        Table::ConstraintColumnUsage => constraints::constraint_column_usage(listing),
        Table::ReferentialConstraints => constraints::referential_constraints(listing),
        Table::Routines => routines::routines(&[]),
        Table::Parameters => routines::parameters(&[]),
        Table::CatalogName => batch(vec![("catalog_name", All(1).text(CATALOG))]),
    }
}
