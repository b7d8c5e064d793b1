//! A session with SQLite: one read transaction, on threads that may block.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::names::snake_case;
use cordada_core::progress::Task;
use cordada_core::sql_text::{escape_identifier, escape_literal};
use cordada_core::suggest::did_you_mean;
use cordada_core::threads::blocking;
use cordada_core::{Error, Result};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchReceiverStream;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::types::{Seen, data_type, questions};
use crate::builder::{Builder, Scalar};
use crate::config::DatabaseStream;
use crate::session::{Part, Rows, Session};
use crate::source::Around;

/// Batches that wait for their reader.
const WAITING_BATCHES: usize = 2;
/// Columns that are asked about in one query: a query has at most 2,000 results.
const ASKED_COLUMNS: usize = 100;

/// One relation in one read transaction.
pub(crate) struct SqliteSession {
    connection: Arc<Mutex<Connection>>,
    label: String,
    relation: String,
    table: Option<String>,
    columns: Vec<SqliteColumn>,
    names: Vec<String>,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
    /// Ends the task that interrupts a query when the load is cancelled.
    _interrupting: DropGuard,
}

#[derive(Debug, Clone)]
struct SqliteColumn {
    name: String,
    declared: Option<String>,
    /// Whether the configuration wants text.
    as_text: bool,
}

impl SqliteSession {
    /// Opens the file, and the transaction in which everything is read.
    ///
    /// # Errors
    /// Config: there is no such file or table. Unavailable: somebody holds it for longer than `timeout`.
    pub(crate) async fn open(
        url: &str,
        timeout: Duration,
        stream: &DatabaseStream,
        around: Around<'_>,
    ) -> Result<Self> {
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        let path = around.project.join(path.strip_prefix("//").unwrap_or(path));
        let (label, table) = (stream.label().to_owned(), stream.table.clone());
        let relation = match (&table, &stream.query) {
            (Some(table), _) => escape_identifier(table),
            (None, query) => {
                let query = query.as_deref().unwrap_or_default().trim().trim_end_matches(';');
                format!("({query}\n) AS query")
            }
        };
        let options = stream.options();
        let opening = {
            let (label, relation, is_table) = (label.clone(), relation.clone(), table.is_some());
            blocking("reading SQLite", move || {
                let connection = open_file(&path, timeout)?;
                let doing = || format!("reading the columns of {label}");
                if is_table && !exists(&connection, &label).doing_sql(doing)? {
                    return Err(no_table(&connection, &label)?);
                }
                let columns = {
                    let sql = format!("SELECT * FROM {relation}");
                    let statement = connection.prepare(&sql).doing_sql(doing)?;
                    let columns = statement.columns().map(|column| SqliteColumn {
                        name: column.name().to_owned(),
                        declared: column.decl_type().map(str::to_owned),
                        as_text: options.declared(&snake_case(column.name())) == Some(&DataType::Utf8),
                    });
                    columns.collect::<Vec<_>>()
                };
                Ok((connection, columns))
            })
            .await
        };
        let (connection, columns) = opening?;
        let (stop, handle, cancel) = (
            CancellationToken::new(),
            connection.get_interrupt_handle(),
            around.cancel.clone(),
        );
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => handle.interrupt(),
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            names: columns.iter().map(|column| column.name.clone()).collect(),
            label,
            relation,
            table,
            columns,
            task: around.task,
            cancel: around.cancel,
            _interrupting: stop.drop_guard(),
        })
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let connection = self.connection.clone();
        blocking("reading SQLite", move || {
            work(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
    }

    /// The types that hold the values of some columns under a condition.
    async fn types(&self, columns: &[SqliteColumn], condition: &str) -> Result<SchemaRef> {
        let (columns, relation, condition) = (columns.to_vec(), self.relation.clone(), condition.to_owned());
        let label = self.label.clone();
        self.with(move |connection| {
            let doing = || format!("reading {label}");
            let mut fields = Vec::new();
            for columns in columns.chunks(ASKED_COLUMNS) {
                let asked: Vec<_> = columns
                    .iter()
                    .flat_map(|column| questions(&escape_identifier(&column.name)))
                    .collect();
                let sql = format!("SELECT {} FROM {relation}{condition}", asked.join(", "));
                let answers = connection.query_one(&sql, [], |row| {
                    let answers = (0..asked.len()).map(|at| row.get::<_, Option<bool>>(at));
                    answers
                        .map(|answer| Ok(answer?.unwrap_or_default()))
                        .collect::<rusqlite::Result<Vec<_>>>()
                });
                let answers = answers.doing_sql(doing)?;
                fields.extend(columns.iter().zip(answers.chunks_exact(6)).map(|(column, answers)| {
                    let &[integer, real, text, blob, large, beyond_one] = answers else {
                        return Field::new(&column.name, DataType::Utf8, true);
                    };
                    let seen = Seen {
                        integer,
                        real,
                        text,
                        blob,
                        large,
                        beyond_one,
                    };
                    let data_type = match column.as_text && !blob {
                        true => DataType::Utf8,
                        false => data_type(column.declared.as_deref(), seen),
                    };
                    Field::new(&column.name, data_type, true)
                }));
            }
            Ok(Arc::new(Schema::new(fields)))
        })
        .await
    }

    async fn stream(&self, columns: Vec<SqliteColumn>, condition: Option<String>) -> Result<Rows> {
        let condition = condition
            .map(|condition| format!(" WHERE {condition}"))
            .unwrap_or_default();
        let schema = self.types(&columns, &condition).await?;
        let chosen: Vec<_> = columns.iter().map(|column| escape_identifier(&column.name)).collect();
        let sql = format!("SELECT {} FROM {}{condition}", chosen.join(", "), self.relation);
        let (connection, label) = (self.connection.clone(), self.label.clone());
        let (task, cancel, out) = (self.task.clone(), self.cancel.clone(), schema.clone());
        let mut stream = RecordBatchReceiverStream::builder(schema.clone(), WAITING_BATCHES);
        let sender = stream.tx();
        stream.spawn_blocking(move || {
            let doing = || format!("reading {label}");
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let mut builder = Builder::new(&label, out);
            let mut statement = connection.prepare(&sql).doing_sql(doing)?;
            let mut rows = statement.query([]).doing_sql(doing)?;
            // False if nobody wants the rows any more.
            let send = |builder: &mut Builder| -> Result<bool> {
                let Some((batch, bytes)) = builder.take()? else {
                    return Ok(true);
                };
                if cancel.is_cancelled() {
                    return Err(Error::cancelled(doing()));
                }
                task.advance(bytes);
                Ok(sender.blocking_send(Ok(batch)).is_ok())
            };
            while let Some(row) = rows.next().doing_sql(doing)? {
                let values = (0..columns.len()).map(|at| Ok(row.get_ref(at).map_or(Scalar::Null, scalar)));
                builder.push(values)?;
                if builder.is_full() && !send(&mut builder)? {
                    return Ok(());
                }
            }
            send(&mut builder)?;
            Ok(())
        });
        let partitions: Vec<SendableRecordBatchStream> = vec![stream.build()];
        Ok(Rows { schema, partitions })
    }
}

fn scalar(value: ValueRef<'_>) -> Scalar<'_> {
    match value {
        ValueRef::Null => Scalar::Null,
        ValueRef::Integer(number) => Scalar::Int(number.into()),
        ValueRef::Real(number) => Scalar::Float(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Scalar::Bytes(bytes),
    }
}

#[async_trait]
impl Session for SqliteSession {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn relation(&self) -> &str {
        &self.relation
    }

    async fn rows(&mut self, part: Part) -> Result<Rows> {
        match part {
            Part::Slices(_) => self.stream(self.columns.clone(), None).await,
            Part::Where(condition) => self.stream(self.columns.clone(), Some(condition)).await,
            Part::Columns(names) => {
                let chosen = names
                    .iter()
                    .filter_map(|name| self.columns.iter().find(|column| column.name == *name));
                self.stream(chosen.cloned().collect(), None).await
            }
        }
    }

    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>> {
        let (sql, label) = (sql.to_owned(), self.label.clone());
        self.with(move |connection| {
            let doing = || format!("reading {label}");
            let mut statement = connection.prepare(&sql).doing_sql(doing)?;
            let count = statement.column_count();
            let mut rows = statement.query([]).doing_sql(doing)?;
            let Some(row) = rows.next().doing_sql(doing)? else {
                return Ok(None);
            };
            (0..count)
                .map(|at| row.get(at))
                .collect::<rusqlite::Result<_>>()
                .map(Some)
                .doing_sql(doing)
        })
        .await
    }

    async fn is_unique(&mut self, column: &str) -> Result<bool> {
        let Some(table) = &self.table else {
            return Ok(false);
        };
        let (table, column) = (escape_literal(table), escape_literal(column));
        let sql = format!(
            "SELECT '1' FROM pragma_table_info({table}) WHERE pk > 0 GROUP BY 1 HAVING count(*) = 1 \
             AND max(lower(name)) = lower({column}) UNION ALL SELECT '1' FROM pragma_index_list({table}) AS list \
             WHERE \"unique\" AND NOT partial AND (SELECT count(*) = 1 AND max(lower(name)) = lower({column}) \
             FROM pragma_index_info(list.name))"
        );
        Ok(self.first(&sql).await?.is_some())
    }

    fn name(&self, column: &str) -> String {
        escape_identifier(column)
    }

    /// The value as SQL writes it, with its type: 7 and '7' are not the same.
    fn text_of(&self, column: &str) -> String {
        format!("quote({})", escape_identifier(column))
    }

    fn literal(&self, _column: &str, text: &str) -> Result<String> {
        let is_quoted = text.len() > 1 && text.starts_with('\'') && text.ends_with('\'');
        Ok(match is_quoted || text.parse::<f64>().is_ok() {
            true => text.to_owned(),
            // What the configuration begins with.
            false => escape_literal(text),
        })
    }

    fn before(&self, column: &str, _literal: &str, _seconds: u64) -> Result<String> {
        let why = format!("`lag` needs a timestamp, and SQLite has none: `{column}` is a text or a number");
        Err(Error::config(format!("reading {}", self.label), why).hint("leave `lag:` out"))
    }
}

fn open_file(path: &Path, timeout: Duration) -> Result<Connection> {
    let doing = || format!("opening {}", path.display());
    if !path.exists() {
        return Err(
            Error::config(doing(), "there is no such file").hint("write sqlite:path/to.db, from the project's folder")
        );
    }
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = connection.doing_sql(doing)?;
    connection.busy_timeout(timeout).doing_sql(doing)?;
    // The snapshot begins with the first statement that reads.
    connection
        .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
        .doing_sql(doing)?;
    Ok(connection)
}

fn exists(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND lower(name) = lower(?1))";
    connection.query_one(sql, [table], |row| row.get(0))
}

fn no_table(connection: &Connection, label: &str) -> Result<Error> {
    let doing = || format!("looking for the table {label}");
    let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 1";
    let mut statement = connection.prepare(sql).doing_sql(doing)?;
    let tables = statement.query_map([], |row| row.get(0)).doing_sql(doing)?;
    let tables = tables.collect::<rusqlite::Result<Vec<String>>>().doing_sql(doing)?;
    let hint = did_you_mean(label, "there are", tables.iter().map(String::as_str));
    Ok(Error::config(doing(), "there is no such table").hint(hint))
}

/// [`cordada_core::Context`] for the driver's errors, which are foreign to the lake.
trait SqlContext<T> {
    fn doing_sql<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T> SqlContext<T> for rusqlite::Result<T> {
    fn doing_sql<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        use rusqlite::ErrorCode as Code;
        self.map_err(|error| match error.sqlite_error_code() {
            _ if matches!(error, rusqlite::Error::SqlInputError { .. }) => Error::config(doing(), without_sql(&error)),
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
                Error::unavailable(doing(), "another program holds the database")
                    .hint("raise `timeout:` or run again later")
            }
            Some(Code::CannotOpen | Code::PermissionDenied | Code::SystemIoFailure) => {
                Error::unavailable(doing(), error)
            }
            Some(Code::NotADatabase) => Error::config(doing(), "the file is not a SQLite database"),
            Some(Code::OperationInterrupted) => Error::cancelled(doing()),
            _ => Error::failed(doing(), error),
        })
    }
}

/// What is wrong with a statement, without the statement.
fn without_sql(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
