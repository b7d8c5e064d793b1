//! A session with MySQL or MariaDB.

use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use cordada_core::sql_text::Dialect;
use cordada_core::{Error, Result};
use cordada_ingest_formats::values::parse::Number;
use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};
use tokio::sync::Mutex;

use super::connect::{MysqlConnection, connect};
use super::types::{Comparison, MysqlColumn};
use crate::config::DatabaseStream;
use crate::driver::SessionRequest;
use crate::feed::{BatchSender, Feed};
use crate::row_builder::RowBuilder;
use crate::session::{ColumnNames, Columns, Operator, Part, Session, SessionRows, no_such_table, not_a_time, subquery};
use crate::sql_error::SqlContext;

const SQL: Dialect = Dialect::Mysql;

/// One relation in one snapshot.
pub(super) struct MysqlSession {
    connection: Arc<Mutex<MysqlConnection>>,
    label: String,
    relation: MysqlRelation,
    columns: Columns<MysqlColumn>,
    feed: Feed,
}

/// What is read: a table or a query.
struct MysqlRelation {
    /// Behind `FROM`.
    sql: String,
    /// The table's schema (`None` for the connection's own) and name; `None` for a query.
    table: Option<(Option<String>, String)>,
}

impl MysqlRelation {
    fn of(stream: &DatabaseStream) -> Self {
        let table = stream.table.as_deref().map(|table| SQL.split_name(table));
        let sql = match &table {
            Some((Some(schema), name)) => format!("{}.{}", SQL.identifier(schema), SQL.identifier(name)),
            Some((None, name)) => SQL.identifier(name),
            None => subquery(stream.query.as_deref().unwrap_or_default()),
        };
        Self { sql, table }
    }
}

impl MysqlSession {
    /// Connects and begins the transaction whose snapshot everything is read from.
    ///
    /// # Errors
    /// As [`connect`]; config: there is no such table.
    pub(super) async fn open(request: SessionRequest<'_>) -> Result<Self> {
        let (source, stream) = (request.source, request.stream);
        let mut connection = connect(source.connection.url(), source.timeout.0, &request.cancel).await?;
        let (label, relation) = (stream.label().to_owned(), MysqlRelation::of(stream));
        let options = stream.options();
        let columns = columns(&mut connection, &label, &relation).await?;
        let sources = columns.iter().map(|column| column.name_str().into_owned());
        let names = ColumnNames::new(sources.collect(), &request.columns, &options);
        let zones = names.options.zones(source.timezone.0);
        let columns = columns.iter().zip(names.lake()).map(|(column, name)| {
            let known = request.known.field_with_name(name).ok();
            let known = known
                .filter(|_| MysqlColumn::is_truth(column))
                .map(|field| field.data_type());
            MysqlColumn::new(column, names.options.declared(name).or(known), zones.column(name).tz)
        });
        let columns = columns.collect();
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            columns: Columns::new(columns, names),
            feed: Feed::new(format!("reading {label}"), request.task, request.cancel),
            label,
            relation,
        })
    }

    /// Finds out which columns that are called truths are of numbers, if nothing says what they are: those with one that
    /// is neither 0 nor 1. The rows are read once for all of them.
    async fn decide(&mut self) -> Result<()> {
        let undecided = self.columns.all().iter().filter(|column| column.is_undecided);
        let numbers = undecided.map(|column| format!("MAX({} NOT IN (0, 1))", SQL.identifier(&column.name)));
        let numbers: Vec<_> = numbers.collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let sql = format!("SELECT {} FROM {}", numbers.join(", "), self.relation.sql);
        let answers = self.first(&sql).await?.unwrap_or_default();
        let undecided = self.columns.all_mut().iter_mut().filter(|column| column.is_undecided);
        for (column, answer) in undecided.zip(answers) {
            column.decide(answer.as_deref() == Some("1"));
        }
        Ok(())
    }

    fn column(&self, name: &str) -> Result<&MysqlColumn> {
        self.columns.get(name, &self.feed.doing())
    }
}

#[async_trait]
impl Session for MysqlSession {
    fn columns(&self) -> &ColumnNames {
        self.columns.names()
    }

    fn relation(&self) -> &str {
        &self.relation.sql
    }

    async fn rows(&mut self, part: Part) -> Result<SessionRows> {
        self.decide().await?;
        let (columns, condition) = self.columns.of(&part, &self.feed.doing())?;
        let fields = columns.iter().map(MysqlColumn::field).collect::<Vec<_>>();
        let builder = RowBuilder::new(&self.label, &Schema::new(fields));
        let schema = builder.schema().clone();
        let chosen: Vec<_> = columns
            .iter()
            .map(|column| column.sql(&SQL.identifier(&column.name)))
            .collect();
        let rows = MysqlRows {
            connection: self.connection.clone(),
            sql: format!("SELECT {} FROM {}{condition}", chosen.join(", "), self.relation.sql),
            builder,
            columns,
            doing: self.feed.doing(),
        };
        let stream = self.feed.clone().stream(schema.clone(), |sender| rows.send(sender));
        Ok(SessionRows {
            schema,
            partitions: vec![stream],
        })
    }

    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>> {
        let doing = || self.feed.doing();
        let asking = async {
            let mut connection = self.connection.lock().await;
            connection.is_reading = true;
            let row: Option<Row> = connection.driver.query_first(sql).await.doing_sql(doing)?;
            connection.is_reading = false;
            Ok(row)
        };
        let Some(row) = self.feed.unless_cancelled(asking).await? else {
            return Ok(None);
        };
        let text = |value| match value {
            Value::NULL => Ok(None),
            Value::Bytes(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| Error::failed(doing(), "the cursor is not text")),
            _ => Err(Error::failed(doing(), "the cursor is not text")),
        };
        row.unwrap().into_iter().map(text).collect::<Result<_>>().map(Some)
    }

    async fn is_unique(&mut self, column: &str) -> Result<bool> {
        let Some((schema, name)) = &self.relation.table else {
            return Ok(false);
        };
        let schema = schema
            .as_deref()
            .map_or("DATABASE()".to_owned(), |schema| SQL.literal(schema));
        let sql = format!(
            "SELECT '1' FROM information_schema.statistics WHERE table_schema = {schema} AND table_name = {} \
             AND non_unique = 0 GROUP BY index_name HAVING count(*) = 1 AND lower(max(column_name)) = lower({})",
            SQL.literal(name),
            SQL.literal(column)
        );
        Ok(self.first(&sql).await?.is_some())
    }

    fn name(&self, column: &str) -> String {
        SQL.identifier(column)
    }

    fn text_of(&self, column: &str) -> String {
        format!("CAST({} AS CHAR)", SQL.identifier(column))
    }

    fn literal(&self, column: &str, text: &str) -> Result<String> {
        match self.column(column)?.comparison {
            Comparison::Text => Ok(SQL.literal(text)),
            Comparison::Number if Number::scan(text.as_bytes(), b'.').is_some() => Ok(text.to_owned()),
            Comparison::Number => Err(Error::config(
                self.feed.doing(),
                format!("the cursor's `{column}` is compared with what is not a number"),
            )),
            Comparison::None => Err(Error::config(
                self.feed.doing(),
                format!("`{column}` cannot be a cursor: values of its type are not compared as they are ordered"),
            )
            .hint("use a whole number, a decimal, a date, a timestamp or a text")),
        }
    }

    fn before(&self, column: &str, literal: &str, seconds: u64) -> Result<String> {
        match self.column(column)?.is_time() {
            true => Ok(format!("(CAST({literal} AS DATETIME(6)) - INTERVAL {seconds} SECOND)")),
            false => Err(not_a_time(column, self.feed.doing())),
        }
    }

    /// One column after the other: of rows that are compared as a whole, MySQL reads all.
    fn compare(&self, columns: &[String], operator: Operator, values: &[String]) -> String {
        let strict = match operator {
            Operator::Above | Operator::AtLeast => ">",
            Operator::AtMost => "<",
        };
        let pairs: Vec<_> = columns.iter().zip(values).collect();
        let mut alternatives = Vec::new();
        for (at, (column, value)) in pairs.iter().enumerate() {
            let same = pairs[..at]
                .iter()
                .map(|(column, value)| format!("{column} = {value} AND "));
            let last = if at + 1 == pairs.len() { operator.sql() } else { strict };
            alternatives.push(format!("({}{column} {last} {value})", same.collect::<String>()));
        }
        match pairs.as_slice() {
            [(first, value), _, ..] => {
                // Said once more for an index on the first column.
                format!("{first} {strict}= {value} AND ({})", alternatives.join(" OR "))
            }
            _ => alternatives.join(" OR "),
        }
    }
}

/// The rows of one statement.
struct MysqlRows {
    connection: Arc<Mutex<MysqlConnection>>,
    sql: String,
    columns: Vec<MysqlColumn>,
    builder: RowBuilder,
    doing: String,
}

impl MysqlRows {
    /// Reads them all, as long as somebody wants them.
    async fn send(mut self, sender: BatchSender) -> Result<()> {
        let doing = || self.doing.as_str();
        let mut connection = self.connection.lock().await;
        let MysqlConnection { driver, is_reading, .. } = &mut *connection;
        *is_reading = true;
        let mut converters: Vec<_> = self.columns.iter().map(MysqlColumn::converter).collect();
        let mut rows = driver.exec_iter(self.sql.as_str(), ()).await.doing_sql(doing)?;
        while let Some(row) = rows.next().await.doing_sql(doing)? {
            let values = converters.iter_mut().enumerate();
            self.builder
                .push(values.map(|(at, converter)| converter.convert(row.as_ref(at).unwrap_or(&Value::NULL))));
            if self.builder.is_full() && !sender.send(self.builder.take()?).await {
                return Ok(());
            }
        }
        *is_reading = false;
        sender.send(self.builder.take()?).await;
        Ok(())
    }
}

/// The columns as the server describes them.
async fn columns(
    connection: &mut MysqlConnection,
    label: &str,
    relation: &MysqlRelation,
) -> Result<Arc<[mysql_async::Column]>> {
    let doing = || format!("reading the columns of {label}");
    let probe = format!("SELECT * FROM {} LIMIT 0", relation.sql);
    match connection.driver.query_iter(probe).await {
        Ok(result) => {
            let columns = result.columns().unwrap_or_default();
            result.drop_result().await.doing_sql(doing)?;
            Ok(columns)
        }
        Err(mysql_async::Error::Server(server)) if server.code == 1146 && relation.table.is_some() => {
            let tables = tables(connection).await.doing_sql(doing)?;
            Err(no_such_table(label, label, &tables))
        }
        Err(error) => Err(error).doing_sql(doing),
    }
}

async fn tables(connection: &mut MysqlConnection) -> mysql_async::Result<Vec<String>> {
    let sql = "SELECT IF(table_schema = DATABASE(), table_name, CONCAT(table_schema, '.', table_name)) \
               FROM information_schema.tables WHERE table_schema NOT IN \
               ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY 1 LIMIT 10000";
    connection.driver.query(sql).await
}
