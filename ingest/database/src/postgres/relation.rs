//! What is read: a table as the catalogue knows it, or a query, and its columns.

use arrow::datatypes::Field;
use cordada_core::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::SQL;
use super::types::ColumnFormat;
use crate::config::DatabaseStream;
use crate::driver::SessionRequest;
use crate::session::{ColumnNames, Columns, no_such_table, subquery};
use crate::sql_error::SqlContext;

/// A table as the catalogue knows it, or a query.
#[derive(Debug, Clone)]
pub(crate) struct PostgresRelation {
    /// Behind `FROM`.
    pub(crate) sql: String,
    /// For people: `public.sales`.
    pub(crate) label: String,
    /// The table's number; `None` for a query.
    pub(crate) oid: Option<u32>,
    /// Pages of the table, or of its largest partition; 0 if it cannot be read by ranges of pages.
    pub(crate) pages: u64,
}

/// A column, and how it is read.
#[derive(Debug, Clone)]
pub(crate) struct PostgresColumn {
    pub(crate) name: String,
    pub(crate) format: ColumnFormat,
    pub(crate) data_type: Type,
}

impl PostgresColumn {
    pub(crate) fn field(&self) -> Field {
        Field::new(&self.name, self.format.kind.data_type(), true)
    }

    /// The column's value that is `text`, in SQL.
    pub(crate) fn literal(&self, text: &str) -> String {
        let (schema, name) = (self.data_type.schema(), self.data_type.name());
        format!(
            "{}::{}.{}",
            SQL.literal(text),
            SQL.identifier(schema),
            SQL.identifier(name)
        )
    }
}

impl PostgresRelation {
    /// Finds the stream's table in the catalogue.
    ///
    /// # Errors
    /// Config: there is none of that name.
    pub(crate) async fn find(client: &Client, stream: &DatabaseStream) -> Result<Self> {
        if let Some(query) = &stream.query {
            return Ok(Self {
                sql: subquery(query),
                label: "query".to_owned(),
                oid: None,
                pages: 0,
            });
        }
        let written = stream.label();
        let doing = || format!("looking for the table {written}");
        let (schema, name) = SQL.split_name(written);
        for fold in [false, true] {
            let folded = |name: &str| if fold { name.to_lowercase() } else { name.to_owned() };
            if let Some(found) = Self::named(client, schema.as_deref().map(folded), folded(&name)).await? {
                return Ok(found);
            }
        }
        let sql = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' \
                   AND n.nspname <> 'information_schema' ORDER BY 1 LIMIT 10000";
        let tables = client.query(sql, &[]).await.doing_sql(doing)?;
        let tables = tables
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<String>, _>>()
            .doing_sql(doing)?;
        let sought = format!("{}.{name}", schema.as_deref().unwrap_or("public"));
        Err(no_such_table(written, &sought, &tables))
    }

    async fn named(client: &Client, schema: Option<String>, name: String) -> Result<Option<Self>> {
        // Of a table with partitions or heirs, the pages of the largest: a range of pages is read of each.
        let sql = "SELECT c.oid, n.nspname, c.relname, CASE WHEN c.relkind IN ('r', 'p', 'm') \
                   AND current_setting('server_version_num')::int >= 140000 THEN (WITH RECURSIVE tree(oid) AS \
                   (SELECT c.oid UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree ON tree.oid = i.inhparent) \
                   SELECT max(pg_relation_size(tree.oid::regclass)) / current_setting('block_size')::int FROM tree) \
                   END FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = $2 \
                   AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END";
        let doing = || format!("looking for the table {name}");
        let Some(row) = client.query_opt(sql, &[&schema, &name]).await.doing_sql(doing)? else {
            return Ok(None);
        };
        let (schema, name): (String, String) = (row.try_get(1).doing_sql(doing)?, row.try_get(2).doing_sql(doing)?);
        let pages: Option<i64> = row.try_get(3).doing_sql(doing)?;
        Ok(Some(Self {
            sql: format!("{}.{}", SQL.identifier(&schema), SQL.identifier(&name)),
            label: format!("{schema}.{name}"),
            oid: Some(row.try_get(0).doing_sql(doing)?),
            pages: pages.and_then(|pages| u64::try_from(pages).ok()).unwrap_or(0),
        }))
    }
}

/// The relation's columns.
pub(crate) async fn columns(
    client: &Client,
    relation: &PostgresRelation,
    request: &SessionRequest<'_>,
) -> Result<Columns<PostgresColumn>> {
    let doing = || format!("reading the columns of {}", relation.label);
    let statement = client
        .prepare(&format!("SELECT * FROM {}", relation.sql))
        .await
        .doing_sql(doing)?;
    let sources = statement.columns().iter().map(|column| column.name().to_owned());
    let names = ColumnNames::new(sources.collect(), &request.columns, &request.stream.options());
    let zones = names.options.zones(request.source.timezone.0);
    let columns = statement.columns().iter().zip(names.lake()).map(|(column, name)| {
        let (declared, zone) = (names.options.declared(name), zones.column(name).tz);
        PostgresColumn {
            name: column.name().to_owned(),
            format: ColumnFormat::new(column.type_(), column.type_modifier(), declared, zone),
            data_type: column.type_().clone(),
        }
    });
    let columns: Vec<_> = columns.collect();
    if columns.is_empty() {
        return Err(Error::config(doing(), "there are none"));
    }
    Ok(Columns::new(columns, names))
}
