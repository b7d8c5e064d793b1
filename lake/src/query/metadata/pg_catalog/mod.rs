//! `pg_catalog`, as far as tools read it (<https://www.postgresql.org/docs/15/catalogs.html>): what there is in the lake in
//! PostgreSQL's words. What a lake does not have, such as indexes and triggers, has a table without rows.

mod empty;
pub(in crate::query) mod oids;
mod relations;
mod server;
mod types;

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::listing::{Depth, Listing, Wanted};
use super::table::{MetadataTable, Rows};
use crate::query::catalog::ReleaseCatalog;

pub(super) use types::name as type_name;
pub(in crate::query) use types::{format as format_type, oid_of as type_oid};

/// The schema's name.
pub(super) const NAME: &str = "pg_catalog";

/// The tables that have rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Attribute,
    Class,
    Constraint,
    Database,
    Description,
    Namespace,
    Proc,
    Rewrite,
    Roles,
    Settings,
    Tables,
    Type,
    User,
    Views,
}

const TABLES: [(&str, Table); 14] = [
    ("pg_attribute", Table::Attribute),
    ("pg_class", Table::Class),
    ("pg_constraint", Table::Constraint),
    ("pg_database", Table::Database),
    ("pg_description", Table::Description),
    ("pg_namespace", Table::Namespace),
    ("pg_proc", Table::Proc),
    ("pg_rewrite", Table::Rewrite),
    ("pg_roles", Table::Roles),
    ("pg_settings", Table::Settings),
    ("pg_tables", Table::Tables),
    ("pg_type", Table::Type),
    ("pg_user", Table::User),
    ("pg_views", Table::Views),
];

/// Whether it has a table of that name, in lower case.
pub(in crate::query) fn has_table(name: &str) -> bool {
    names().any(|table| table == name)
}

fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name).chain(empty::names())
}

/// The schema `pg_catalog` of a catalog.
#[derive(Debug)]
pub(super) struct PgCatalog {
    pub catalog: Arc<dyn CatalogProvider>,
    pub about: Arc<ReleaseCatalog>,
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        names().map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = empty::table(name) {
            return Ok(Some(table));
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
            Table::Proc => server::proc(Vec::new()),
            Table::Settings => server::settings(Vec::new()),
            table => of_listing(table, &Listing::default()),
        }
    }

    async fn all(&self, session: &dyn Session, filters: &[Expr]) -> Result<RecordBatch> {
        let depth = match self.table {
            Table::Proc => return server::proc(server::functions(session)),
            Table::Settings => return server::settings(super::settings::all(session.config_options())),
            Table::Attribute | Table::Constraint | Table::Description | Table::Rewrite | Table::Views => Depth::Columns,
            _ => Depth::Names,
        };
        let wanted = match self.table {
            Table::Tables => Wanted::by(filters, "schemaname", "tablename"),
            Table::Views => Wanted::by(filters, "schemaname", "viewname"),
            _ => Wanted::default(),
        };
        let listing = Listing::of(&*self.catalog, &self.about, depth, &wanted).await?;
        of_listing(self.table, &listing)
    }
}

fn of_listing(table: Table, listing: &Listing) -> Result<RecordBatch> {
    match table {
        Table::Attribute => relations::attribute(listing),
        Table::Class => relations::class(listing),
        Table::Constraint => relations::constraint(listing),
        Table::Database => server::database(),
        Table::Description => relations::description(listing),
        Table::Namespace => server::namespace(listing),
        Table::Proc => server::proc(Vec::new()),
        Table::Rewrite => relations::rewrite(listing),
        Table::Roles => server::roles(),
        Table::Settings => server::settings(Vec::new()),
        Table::Tables => relations::tables(listing),
        Table::Type => types::rows(),
        Table::User => server::user(),
        Table::Views => relations::views(listing),
    }
}
