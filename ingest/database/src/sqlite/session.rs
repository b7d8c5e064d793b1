//! A session with SQLite: one read transaction, on threads that may block.

use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::sql_text::Dialect;
use cordada_core::threads::{blocking, locked};
use cordada_core::{Error, Result};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::connect::connect;
use super::types::{QUESTIONS, StorageClasses, data_type, is_of_numbers, questions};
use crate::driver::SessionRequest;
use crate::feed::{BatchSender, Feed};
use crate::row_builder::{RowBuilder, Scalar};
use crate::session::{ColumnNames, Columns, Part, Session, SessionRows, no_such_table, subquery};
use crate::sql_error::SqlContext;

const SQL: Dialect = Dialect::Standard;
/// Columns that are asked about in one query: a query has at most 2,000 results.
const ASKED_COLUMNS: usize = 100;

/// One relation in one read transaction.
pub(super) struct SqliteSession {
    connection: Arc<Mutex<Connection>>,
    label: String,
    relation: String,
    table: Option<String>,
    columns: Columns<SqliteColumn>,
    feed: Feed,
}

#[derive(Debug, Clone)]
struct SqliteColumn {
    name: String,
    declared: Option<String>,
    /// Its type in the configuration.
    wanted: Option<DataType>,
    /// Its type in the lake.
    known: Option<DataType>,
}

impl SqliteSession {
    /// Opens the file, and the transaction in which everything is read.
    ///
    /// # Errors
    /// As [`connect`]; config: there is no such table.
    pub(super) async fn open(request: SessionRequest<'_>) -> Result<Self> {
        let (source, stream) = (request.source, request.stream);
        let url = source.connection.url();
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        let path = request.project.join(path.strip_prefix("//").unwrap_or(path));
        let (label, table) = (stream.label().to_owned(), stream.table.clone());
        let relation = match (&table, &stream.query) {
            (Some(table), _) => SQL.identifier(table),
            (None, query) => subquery(query.as_deref().unwrap_or_default()),
        };
        let feed = Feed::new(format!("reading {label}"), request.task, request.cancel.clone());
        let opening = {
            let (timeout, cancel, options) = (source.timeout.0, request.cancel, stream.options());
            let (known, called) = (request.known, request.columns);
            let (relation, table) = (relation.clone(), table.clone());
            blocking("reading SQLite", move || {
                let connection = connect(&path, timeout, cancel)?;
                if let Some(table) = &table {
                    find_table(&connection, table)?;
                }
                let columns = columns(
                    &connection,
                    &relation,
                    |sources| ColumnNames::new(sources, &called, &options),
                    &known,
                );
                let columns = columns.doing_sql(|| format!("reading the columns of {label}"))?;
                Ok((connection, columns, label))
            })
        };
        let (connection, columns, label) = feed.unless_cancelled(opening).await?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            columns,
            label,
            relation,
            table,
            feed,
        })
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let connection = self.connection.clone();
        blocking("reading SQLite", move || work(&locked(&connection))).await
    }

    /// The types that hold the values of some columns, of the rows that are chosen.
    async fn types(&self, columns: &[SqliteColumn], chosen: &str) -> Result<SchemaRef> {
        let (columns, from) = (columns.to_vec(), format!("FROM {}{chosen}", self.relation));
        let doing = self.feed.doing();
        self.with(move |connection| {
            let mut fields = Vec::new();
            for columns in columns.chunks(ASKED_COLUMNS) {
                let classes = classes(connection, columns, &from).doing_sql(|| doing.as_str())?;
                let typed = columns.iter().zip(classes);
                fields.extend(typed.map(|(column, classes)| Field::new(&column.name, column.data_type(classes), true)));
            }
            Ok(Arc::new(Schema::new(fields)))
        })
        .await
    }
}

impl SqliteColumn {
    /// The type that holds values of those classes.
    fn data_type(&self, classes: StorageClasses) -> DataType {
        match &self.wanted {
            Some(DataType::Utf8) => DataType::Utf8,
            Some(_) => data_type(self.declared.as_deref(), classes, None),
            None => data_type(self.declared.as_deref(), classes, self.known.as_ref()),
        }
    }

    /// A value for its builder.
    fn scalar<'v>(&self, value: ValueRef<'v>) -> Scalar<'v> {
        match value {
            ValueRef::Null => Scalar::Null,
            ValueRef::Integer(number) => Scalar::Int(number.into()),
            ValueRef::Real(number) => Scalar::Float(number),
            ValueRef::Text(bytes) => Scalar::Bytes(bytes),
            // Whoever wants text of bytes gets it, if they are some.
            ValueRef::Blob(bytes) if self.wanted == Some(DataType::Utf8) => Scalar::Bytes(bytes),
            ValueRef::Blob(bytes) => Scalar::Blob(bytes),
        }
    }
}

#[async_trait]
impl Session for SqliteSession {
    fn columns(&self) -> &ColumnNames {
        self.columns.names()
    }

    fn relation(&self) -> &str {
        &self.relation
    }

    async fn rows(&mut self, part: Part) -> Result<SessionRows> {
        let (columns, condition) = self.columns.of(&part, &self.feed.doing())?;
        let builder = RowBuilder::new(&self.label, self.types(&columns, &condition).await?.as_ref());
        let schema = builder.schema().clone();
        let chosen: Vec<_> = columns.iter().map(|column| SQL.identifier(&column.name)).collect();
        let rows = SqliteRows {
            connection: self.connection.clone(),
            sql: format!("SELECT {} FROM {}{condition}", chosen.join(", "), self.relation),
            builder,
            columns,
            doing: self.feed.doing(),
        };
        let stream = self
            .feed
            .blocking_stream(schema.clone(), move |sender| rows.send(&sender));
        Ok(SessionRows {
            schema,
            partitions: vec![stream],
        })
    }

    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>> {
        let (sql, doing) = (sql.to_owned(), self.feed.doing());
        self.with(move |connection| first(connection, &sql).doing_sql(|| doing))
            .await
    }

    async fn is_unique(&mut self, column: &str) -> Result<bool> {
        let Some(table) = &self.table else {
            return Ok(false);
        };
        let (table, column) = (SQL.literal(table), SQL.literal(column));
        let sql = format!(
            "SELECT '1' FROM pragma_table_info({table}) WHERE pk > 0 GROUP BY 1 HAVING count(*) = 1 \
             AND max(lower(name)) = lower({column}) UNION ALL SELECT '1' FROM pragma_index_list({table}) AS list \
             WHERE \"unique\" AND NOT partial AND (SELECT count(*) = 1 AND max(lower(name)) = lower({column}) \
             FROM pragma_index_info(list.name))"
        );
        Ok(self.first(&sql).await?.is_some())
    }

    fn name(&self, column: &str) -> String {
        SQL.identifier(column)
    }

    /// Infinity, and texts among numbers, are above all that may come later.
    fn has_place(&self, column: &str) -> String {
        let name = SQL.identifier(column);
        let is_number = self
            .columns
            .get(column, "")
            .is_ok_and(|column| is_of_numbers(column.declared.as_deref()));
        let numbers = if is_number {
            format!(" AND typeof({name}) IN ('integer', 'real')")
        } else {
            String::new()
        };
        format!("({name} IS NOT NULL AND {name} NOT IN (9e999, -9e999){numbers})")
    }

    /// The value as SQL writes it, with its type: 7 and '7' are not the same.
    fn text_of(&self, column: &str) -> String {
        format!("quote({})", SQL.identifier(column))
    }

    fn literal(&self, column: &str, text: &str) -> Result<String> {
        self.columns.get(column, &self.feed.doing())?;
        Ok(match is_literal(text) {
            true => text.to_owned(),
            // What the configuration begins with.
            false => SQL.literal(text),
        })
    }

    fn before(&self, column: &str, _literal: &str, _seconds: u64) -> Result<String> {
        let why = format!("`lag` needs a timestamp, and SQLite has none: `{column}` is a text or a number");
        Err(Error::config(self.feed.doing(), why).hint("leave `lag:` out"))
    }
}

/// Whether it is one value as `quote()` writes it: a number, a text or bytes.
fn is_literal(text: &str) -> bool {
    let quoted = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", ""));
    match text.strip_prefix('X').map(quoted) {
        Some(bytes) => bytes.is_some_and(|bytes| bytes.bytes().all(|byte| byte.is_ascii_hexdigit())),
        None => match quoted(text) {
            Some(inner) => !inner.contains('\''),
            // Not `inf` and `nan`, which are names in SQL.
            None => text.ends_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok(),
        },
    }
}

/// The rows of one statement.
struct SqliteRows {
    connection: Arc<Mutex<Connection>>,
    sql: String,
    columns: Vec<SqliteColumn>,
    builder: RowBuilder,
    doing: String,
}

impl SqliteRows {
    /// Reads them all, as long as somebody wants them.
    fn send(mut self, sender: &BatchSender) -> Result<()> {
        let doing = || self.doing.as_str();
        let connection = locked(&self.connection);
        let mut statement = connection.prepare(&self.sql).doing_sql(doing)?;
        let mut rows = statement.query([]).doing_sql(doing)?;
        while let Some(row) = rows.next().doing_sql(doing)? {
            let values = self.columns.iter().enumerate();
            let values = values.map(|(at, column)| row.get_ref(at).map_or(Scalar::Null, |value| column.scalar(value)));
            self.builder.push(values.map(Ok));
            if self.builder.is_full() && !sender.blocking_send(self.builder.take()?) {
                return Ok(());
            }
        }
        sender.blocking_send(self.builder.take()?);
        Ok(())
    }
}

/// The columns as the statement describes them; `called` says what they are called.
fn columns(
    connection: &Connection,
    relation: &str,
    called: impl FnOnce(Vec<String>) -> ColumnNames,
    known: &Schema,
) -> rusqlite::Result<Columns<SqliteColumn>> {
    let statement = connection.prepare(&format!("SELECT * FROM {relation}"))?;
    let described: Vec<_> = statement.columns().collect();
    let names = called(described.iter().map(|column| column.name().to_owned()).collect());
    let columns = described.iter().zip(names.lake()).map(|(column, lake)| {
        let known = known.field_with_name(lake).ok();
        SqliteColumn {
            name: column.name().to_owned(),
            declared: column.decl_type().map(str::to_owned),
            wanted: names.options.declared(lake).cloned(),
            known: known.map(|field| field.data_type().clone()),
        }
    });
    let columns = columns.collect();
    Ok(Columns::new(columns, names))
}

/// The classes of the columns' values.
fn classes(connection: &Connection, columns: &[SqliteColumn], from: &str) -> rusqlite::Result<Vec<StorageClasses>> {
    let asked = columns
        .iter()
        .flat_map(|column| questions(&SQL.identifier(&column.name)));
    let sql = format!("SELECT {} {from}", asked.collect::<Vec<_>>().join(", "));
    connection.query_one(&sql, [], |row| {
        let answer = |at| Ok(row.get::<_, Option<bool>>(at)?.unwrap_or_default());
        (0..columns.len())
            .map(|column| StorageClasses::of_answers(|question| answer(QUESTIONS * column + question)))
            .collect()
    })
}

fn first(connection: &Connection, sql: &str) -> rusqlite::Result<Option<Vec<Option<String>>>> {
    let mut statement = connection.prepare(sql)?;
    let count = statement.column_count();
    let mut rows = statement.query([])?;
    match rows.next()? {
        Some(row) => (0..count).map(|at| row.get(at)).collect::<Result<_, _>>().map(Some),
        None => Ok(None),
    }
}

/// Whether there is a table or view of that name.
fn find_table(connection: &Connection, name: &str) -> Result<()> {
    let doing = || format!("looking for the table {name}");
    let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1";
    let mut statement = connection.prepare(sql).doing_sql(doing)?;
    let tables = statement.query_map([], |row| row.get(0)).doing_sql(doing)?;
    let mut tables = tables.collect::<Result<Vec<String>, _>>().doing_sql(doing)?;
    if tables.iter().any(|table| table.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    tables.retain(|table| !table.starts_with("sqlite_"));
    Err(no_such_table(name, name, &tables))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_quote_writes_is_one_value() {
        for text in ["7", "-0.5", "9.0e+999", "''", "'it''s'", "X'00ff'", "X''"] {
            assert!(is_literal(text), "{text}");
        }
        for text in [
            "",
            "'",
            "'''",
            "'a' OR 'b'",
            "X'0g'",
            "nan",
            "inf",
            "1 OR 1",
            "tomorrow",
            "X'00' OR ''",
        ] {
            assert!(!is_literal(text), "{text}");
        }
    }
}
