//! A session with MySQL or MariaDB.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::names::snake_case;
use cordada_core::progress::Task;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result, hex};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchReceiverStream;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use tokio::sync::Mutex;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use super::connect::{SqlContext, connect};
use super::types::Plan;
use crate::builder::Builder;
use crate::config::DatabaseStream;
use crate::session::{Operator, Part, Rows, Session};
use crate::source::Around;

/// Batches that wait for their reader.
const WAITING_BATCHES: usize = 2;

/// One relation in one snapshot.
pub(crate) struct MysqlSession {
    connection: Arc<Mutex<Conn>>,
    label: String,
    relation: String,
    /// The table's schema (`None` for the connection's own) and name; `None` for a query.
    table: Option<(Option<String>, String)>,
    columns: Vec<Plan>,
    names: Vec<String>,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
}

impl MysqlSession {
    /// Connects and begins the transaction whose snapshot everything is read from.
    ///
    /// # Errors
    /// As [`connect`]; config: there is no such table.
    pub(crate) async fn open(
        url: &str,
        timeout: Duration,
        stream: &DatabaseStream,
        zone: Tz,
        around: Around<'_>,
    ) -> Result<Self> {
        let mut connection = connect(url, timeout, &around.cancel).await?;
        let label = stream.label().to_owned();
        let table = stream.table.as_deref().map(|table| match table.split_once('.') {
            Some((schema, name)) => (Some(unquoted(schema)), unquoted(name)),
            None => (None, unquoted(table)),
        });
        let relation = match (&table, &stream.query) {
            (Some((Some(schema), name)), _) => format!("{}.{}", quoted(schema), quoted(name)),
            (Some((None, name)), _) => quoted(name),
            (None, query) => {
                let query = query.as_deref().unwrap_or_default().trim().trim_end_matches(';');
                format!("({query}\n) AS query")
            }
        };
        let doing = || format!("reading the columns of {label}");
        let probe = connection.query_iter(format!("SELECT * FROM {relation} LIMIT 0")).await;
        let columns = match probe {
            Ok(result) => {
                let columns = result.columns().unwrap_or_default();
                result.drop_result().await.doing_sql(doing)?;
                columns
            }
            Err(mysql_async::Error::Server(server)) if server.code == 1146 && table.is_some() => {
                return Err(no_table(&mut connection, &label).await?);
            }
            Err(error) => return Err(error).doing_sql(doing),
        };
        let options = stream.options();
        let columns: Vec<_> = columns
            .iter()
            .map(|column| Plan::new(column, options.declared(&snake_case(&column.name_str())), zone))
            .collect();
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            names: columns.iter().map(|column| column.name.clone()).collect(),
            label,
            relation,
            table,
            columns,
            task: around.task,
            cancel: around.cancel,
        })
    }

    fn doing(&self) -> String {
        format!("reading {}", self.label)
    }

    fn column(&self, name: &str) -> Result<&Plan> {
        let missing = || Error::config(self.doing(), format!("there is no column `{name}`"));
        self.columns
            .iter()
            .find(|column| column.name == name)
            .ok_or_else(missing)
    }

    fn stream(&self, columns: Vec<Plan>, condition: Option<&str>) -> Rows {
        let fields = columns
            .iter()
            .map(|column| Field::new(&column.name, column.data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let chosen: Vec<_> = columns.iter().map(|column| column.sql(&quoted(&column.name))).collect();
        let condition = condition
            .map(|condition| format!(" WHERE {condition}"))
            .unwrap_or_default();
        let reader = Reader {
            connection: self.connection.clone(),
            label: self.label.clone(),
            sql: format!("SELECT {} FROM {}{condition}", chosen.join(", "), self.relation),
            builder: Builder::new(&self.label, schema.clone()),
            columns,
            task: self.task.clone(),
            cancel: self.cancel.clone(),
        };
        let mut stream = RecordBatchReceiverStream::builder(schema.clone(), WAITING_BATCHES);
        let sender = stream.tx();
        stream.spawn(async move { Ok(reader.run(&sender).await?) });
        let partitions: Vec<SendableRecordBatchStream> = vec![stream.build()];
        Rows { schema, partitions }
    }
}

#[async_trait]
impl Session for MysqlSession {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn relation(&self) -> &str {
        &self.relation
    }

    async fn rows(&mut self, part: Part) -> Result<Rows> {
        Ok(match part {
            Part::Slices(_) => self.stream(self.columns.clone(), None),
            Part::Where(condition) => self.stream(self.columns.clone(), Some(&condition)),
            Part::Columns(names) => {
                let columns = names.iter().map(|name| self.column(name).cloned());
                self.stream(columns.collect::<Result<_>>()?, None)
            }
        })
    }

    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>> {
        let doing = || self.doing();
        let mut connection = self.connection.lock().await;
        let row: Option<Row> = tokio::select! {
            row = connection.query_first(sql) => row.doing_sql(doing)?,
            () = self.cancel.cancelled() => return Err(Error::cancelled(doing())),
        };
        let text = |value: Value| match value {
            Value::NULL => Ok(None),
            Value::Bytes(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| Error::failed(self.doing(), "the cursor is not text")),
            other => Ok(Some(other.as_sql(true).trim_matches('\'').to_owned())),
        };
        row.map(|row| row.unwrap().into_iter().map(text).collect()).transpose()
    }

    async fn is_unique(&mut self, column: &str) -> Result<bool> {
        let Some((schema, name)) = &self.table else {
            return Ok(false);
        };
        let schema = schema.as_deref().map_or("DATABASE()".to_owned(), literal);
        let sql = format!(
            "SELECT '1' FROM information_schema.statistics WHERE table_schema = {schema} AND table_name = {} \
             AND non_unique = 0 GROUP BY index_name HAVING count(*) = 1 AND lower(max(column_name)) = lower({})",
            literal(name),
            literal(column)
        );
        Ok(self.first(&sql).await?.is_some())
    }

    fn name(&self, column: &str) -> String {
        quoted(column)
    }

    fn text_of(&self, column: &str) -> String {
        format!("CAST({} AS CHAR)", quoted(column))
    }

    fn literal(&self, column: &str, text: &str) -> Result<String> {
        use arrow::datatypes::DataType as T;
        let plan = self.column(column)?;
        // As a number: a text would be compared as a double, which large numbers do not fit.
        if plan.is_number() {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
            return match is_number {
                true => Ok(text.to_owned()),
                false => Err(Error::config(
                    self.doing(),
                    format!("the cursor's `{column}` is compared with no number"),
                )),
            };
        }
        match plan.data_type {
            T::Float32 | T::Float64 | T::Binary | T::Boolean => Err(Error::config(
                self.doing(),
                format!("`{column}` cannot be a cursor: its type is {}", plan.data_type),
            )
            .hint("use a number, a date, a timestamp or a text")),
            _ => Ok(literal(text)),
        }
    }

    fn before(&self, column: &str, literal: &str, seconds: u64) -> Result<String> {
        match self.column(column)?.is_time() {
            true => Ok(format!("(CAST({literal} AS DATETIME(6)) - INTERVAL {seconds} SECOND)")),
            false => {
                let why = format!("`lag` needs a date or a timestamp, and `{column}` is none");
                Err(Error::config(self.doing(), why))
            }
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

/// Reads the rows of one statement.
struct Reader {
    connection: Arc<Mutex<Conn>>,
    label: String,
    sql: String,
    builder: Builder,
    columns: Vec<Plan>,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
}

type Batches = Sender<datafusion_common::error::Result<arrow::record_batch::RecordBatch>>;

impl Reader {
    async fn run(mut self, sender: &Batches) -> Result<()> {
        let cancel = self.cancel.clone();
        let label = self.label.clone();
        tokio::select! {
            read = self.read(sender) => read,
            () = cancel.cancelled() => Err(Error::cancelled(format!("reading {label}"))),
        }
    }

    async fn read(&mut self, sender: &Batches) -> Result<()> {
        let doing = || format!("reading {}", self.label);
        let mut connection = self.connection.lock().await;
        let mut readers: Vec<_> = self.columns.iter().map(Plan::reader).collect();
        let mut rows = connection.exec_iter(self.sql.as_str(), ()).await.doing_sql(doing)?;
        while let Some(row) = rows.next().await.doing_sql(doing)? {
            let values = readers.iter_mut().enumerate();
            self.builder
                .push(values.map(|(at, reader)| reader.read(row.as_ref(at).unwrap_or(&Value::NULL))))?;
            if self.builder.is_full() && !send(&mut self.builder, &*self.task, sender).await? {
                return Ok(());
            }
        }
        send(&mut self.builder, &*self.task, sender).await.map(drop)
    }
}

/// Sends what has been read; false if nobody wants it any more.
async fn send(builder: &mut Builder, task: &dyn Task, sender: &Batches) -> Result<bool> {
    let Some((batch, bytes)) = builder.take()? else {
        return Ok(true);
    };
    task.advance(bytes);
    Ok(sender.send(Ok(batch)).await.is_ok())
}

async fn no_table(connection: &mut Conn, label: &str) -> Result<Error> {
    let doing = || format!("looking for the table {label}");
    let sql = "SELECT IF(table_schema = DATABASE(), table_name, CONCAT(table_schema, '.', table_name)) \
               FROM information_schema.tables WHERE table_schema NOT IN \
               ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY 1 LIMIT 10000";
    let tables: Vec<String> = connection.query(sql).await.doing_sql(doing)?;
    let hint = match tables.is_empty() {
        true => "the database has no tables that this user sees".to_owned(),
        false => did_you_mean(label, "there are", tables.iter().map(String::as_str)),
    };
    Ok(Error::config(doing(), "there is no such table").hint(hint))
}

fn unquoted(name: &str) -> String {
    match name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => name.to_owned(),
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in hexadecimal: what a backslash means depends on the server's settings.
fn literal(text: &str) -> String {
    match text {
        "" => "''".to_owned(),
        text => format!("_utf8mb4 0x{}", hex::encode(text.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_depend_on_settings() {
        assert_eq!(literal("a'\\"), "_utf8mb4 0x61275c");
        assert_eq!(quoted("a`b"), "`a``b`");
    }
}
