//! A session with PostgreSQL: one exported snapshot that several connections read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::progress::Task;
use cordada_core::sql_text::{escape_identifier, escape_literal};
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use cordada_ingest_source::options::Options;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchReceiverStream;
use futures::StreamExt;
use tokio::sync::mpsc::Sender;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use super::connect::{Server, SqlContext};
use super::copy::Decoder;
use super::types::Plan;
use crate::config::DatabaseStream;
use crate::session::{Part, Rows, Session, find_column};
use crate::source::Around;

/// Batches that wait for their reader, each partition.
const WAITING_BATCHES: usize = 2;
/// Pages of a slice: with the usual 8 KiB, a commit for each GiB of the table.
const SLICE_PAGES: u64 = 128 * 1024;
/// Pages that a connection reads at a time, at least.
const RANGE_PAGES: u64 = 1024;

/// One relation in one snapshot.
pub(crate) struct PostgresSession {
    server: Server,
    client: Arc<Client>,
    /// By which other connections see the same; `None` if the server exports none.
    snapshot: Option<String>,
    relation: Relation,
    columns: Vec<PostgresColumn>,
    names: Vec<String>,
    parallelism: usize,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
}

/// A table as the catalogue knows it, or a query.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Behind `FROM`.
    pub(crate) sql: String,
    /// For people: `public.sales`.
    pub(crate) label: String,
    /// The table's number; `None` for a query.
    pub(crate) oid: Option<u32>,
    /// Pages of the table, or of its largest partition; 0 if it cannot be read by ranges of pages.
    pages: u64,
}

/// A column, and how it is read.
#[derive(Debug, Clone)]
pub(crate) struct PostgresColumn {
    pub(crate) name: String,
    pub(crate) plan: Plan,
    data_type: Type,
}

impl PostgresColumn {
    pub(crate) fn field(&self) -> Field {
        Field::new(&self.name, self.plan.kind.data_type(), true)
    }

    /// The column's value that is `text`, in SQL.
    pub(crate) fn literal(&self, text: &str) -> String {
        let (schema, name) = (self.data_type.schema(), self.data_type.name());
        format!(
            "{}::{}.{}",
            escape_literal(text),
            escape_identifier(schema),
            escape_identifier(name)
        )
    }
}

impl PostgresSession {
    /// Connects and begins the transaction whose snapshot everything is read from.
    ///
    /// # Errors
    /// As [`Server::connect`]; config: there is no such table.
    pub(crate) async fn open(server: &Server, stream: &DatabaseStream, zone: Tz, around: Around<'_>) -> Result<Self> {
        let Around {
            parallelism,
            task,
            cancel,
            ..
        } = around;
        let client = server.connect(&cancel).await?;
        let doing = || format!("reading {}", stream.label());
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        client.batch_execute(begin).await.doing_sql(doing)?;
        let relation = Relation::find(&client, stream).await?;
        let columns = columns(&client, &relation, &stream.options(), zone).await?;
        let names = columns.iter().map(|column| column.name.clone()).collect();
        let mut session = Self {
            server: server.clone(),
            client: Arc::new(client),
            snapshot: None,
            relation,
            columns,
            names,
            parallelism,
            task,
            cancel,
        };
        if session.relation.pages > RANGE_PAGES && parallelism > 1 {
            session.snapshot = session.export().await;
        }
        Ok(session)
    }

    /// The snapshot's name, in a savepoint: a server that exports none reads with one connection.
    async fn export(&mut self) -> Option<String> {
        let exported = async {
            self.client.batch_execute("SAVEPOINT export").await?;
            self.client
                .query_one("SELECT pg_export_snapshot()", &[])
                .await?
                .try_get(0)
        };
        match exported.await {
            Ok(name) => Some(name),
            Err(error) => {
                tracing::debug!(%error, "the snapshot is not exported");
                // Were the connection gone, the next statement would say so.
                let _ = self.client.batch_execute("ROLLBACK TO SAVEPOINT export").await;
                None
            }
        }
    }

    /// Cuts slices into ranges of pages: the conditions that they are read with, in the order of the pages.
    fn ranges(&self, slices: &std::ops::Range<usize>) -> VecDeque<Option<String>> {
        if self.snapshot.is_none() && self.slices() == 1 {
            return [None].into();
        }
        let pages = self.relation.pages;
        let is_last = slices.end == self.slices();
        let (first, end) = (
            slices.start as u64 * SLICE_PAGES,
            (slices.end as u64 * SLICE_PAGES).min(pages),
        );
        // Several ranges a connection, so that all end at about the same time.
        let step = ((end - first) / (8 * self.parallelism as u64)).clamp(RANGE_PAGES, SLICE_PAGES);
        let mut ranges = VecDeque::new();
        let mut from = first;
        while from < end {
            let to = (from + step).min(end);
            // Pages that other sessions have added since belong to the last one; the snapshot hides their rows.
            ranges.push_back(Some(match (to == end) && is_last {
                true => format!("ctid >= '({from},0)'::tid"),
                false => format!("ctid >= '({from},0)'::tid AND ctid < '({to},0)'::tid"),
            }));
            from = to;
        }
        ranges
    }

    /// The streams that read those ranges, each over a connection of its own.
    fn streams(&self, ranges: VecDeque<Option<String>>, columns: &[PostgresColumn]) -> Rows {
        let schema: SchemaRef = Arc::new(Schema::new(
            columns.iter().map(PostgresColumn::field).collect::<Vec<_>>(),
        ));
        let connections = match self.snapshot {
            Some(_) => self.parallelism.min(ranges.len()).max(1),
            None => 1,
        };
        let ranges = Arc::new(Mutex::new(ranges));
        let partitions = (0..connections).map(|number| {
            let reader = Reader {
                server: self.server.clone(),
                client: (number == 0).then(|| self.client.clone()),
                snapshot: self.snapshot.clone(),
                relation: self.relation.clone(),
                columns: columns.to_vec(),
                schema: schema.clone(),
                ranges: ranges.clone(),
                task: self.task.clone(),
                cancel: self.cancel.clone(),
            };
            let mut stream = RecordBatchReceiverStream::builder(schema.clone(), WAITING_BATCHES);
            let sender = stream.tx();
            stream.spawn(async move { Ok(reader.run(&sender).await?) });
            stream.build()
        });
        Rows {
            partitions: partitions.collect::<Vec<SendableRecordBatchStream>>(),
            schema,
        }
    }
}

#[async_trait]
impl Session for PostgresSession {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn relation(&self) -> &str {
        &self.relation.sql
    }

    fn slices(&self) -> usize {
        usize::try_from(self.relation.pages.div_ceil(SLICE_PAGES))
            .unwrap_or(usize::MAX)
            .max(1)
    }

    async fn rows(&mut self, part: Part) -> Result<Rows> {
        Ok(match part {
            Part::Slices(slices) => self.streams(self.ranges(&slices), &self.columns),
            Part::Where(condition) => self.streams([Some(condition)].into(), &self.columns),
            Part::Columns(names) => {
                let chosen = names
                    .iter()
                    .filter_map(|name| self.columns.iter().find(|column| column.name == *name));
                self.streams(self.ranges(&(0..self.slices())), &chosen.cloned().collect::<Vec<_>>())
            }
        })
    }

    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>> {
        let doing = || format!("reading {}", self.relation.label);
        let messages = tokio::select! {
            messages = self.client.simple_query(sql) => messages.doing_sql(doing)?,
            () = self.cancel.cancelled() => return Err(Error::cancelled(doing())),
        };
        Ok(messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        }))
    }

    async fn is_unique(&mut self, column: &str) -> Result<bool> {
        let Some(oid) = self.relation.oid else {
            return Ok(false);
        };
        let sql = "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid \
                   AND a.attnum = i.indkey[0] WHERE i.indrelid = $1 AND i.indnkeyatts = 1 AND i.indisunique \
                   AND i.indisvalid AND i.indpred IS NULL AND a.attname = $2)";
        let unique = self.client.query_one(sql, &[&oid, &column]).await;
        unique
            .and_then(|row| row.try_get(0))
            .doing_sql(|| format!("reading {}", self.relation.label))
    }

    fn name(&self, column: &str) -> String {
        escape_identifier(column)
    }

    fn text_of(&self, column: &str) -> String {
        format!("{}::text", escape_identifier(column))
    }

    fn literal(&self, column: &str, text: &str) -> Result<String> {
        self.column(column).map(|column| column.literal(text))
    }

    fn before(&self, column: &str, literal: &str, seconds: u64) -> Result<String> {
        match self.column(column)?.data_type {
            Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ => {
                Ok(format!("({literal} - interval '{seconds} seconds')"))
            }
            _ => Err(Error::config(
                format!("reading {}", self.relation.label),
                format!("`lag` needs a date or a timestamp, and `{column}` is none"),
            )),
        }
    }
}

impl PostgresSession {
    fn column(&self, name: &str) -> Result<&PostgresColumn> {
        let name = find_column(&self.names, name, &format!("reading {}", self.relation.label))?;
        let missing = || {
            Error::config(
                format!("reading {}", self.relation.label),
                format!("there is no column `{name}`"),
            )
        };
        self.columns
            .iter()
            .find(|column| column.name == name)
            .ok_or_else(missing)
    }
}

/// One connection that reads ranges until there are no more.
struct Reader {
    server: Server,
    client: Option<Arc<Client>>,
    snapshot: Option<String>,
    relation: Relation,
    columns: Vec<PostgresColumn>,
    schema: SchemaRef,
    ranges: Arc<Mutex<VecDeque<Option<String>>>>,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
}

impl Reader {
    async fn run(
        self,
        sender: &Sender<datafusion_common::error::Result<arrow::record_batch::RecordBatch>>,
    ) -> Result<()> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => Arc::new(self.connect().await?),
        };
        let next = || {
            self.ranges
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .pop_front()
        };
        while let Some(range) = next() {
            tokio::select! {
                read = self.read(&client, range.as_deref(), sender) => {
                    if !read? {
                        break;
                    }
                }
                () = self.cancel.cancelled() => return Err(Error::cancelled(self.doing())),
            }
        }
        Ok(())
    }

    fn doing(&self) -> String {
        format!("reading {}", self.relation.label)
    }

    /// Another connection with the same snapshot.
    async fn connect(&self) -> Result<Client> {
        let client = self.server.connect(&self.cancel).await?;
        if let Some(snapshot) = &self.snapshot {
            let begin = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
                escape_literal(snapshot)
            );
            client.batch_execute(&begin).await.doing_sql(|| self.doing())?;
        }
        Ok(client)
    }

    /// Sends the rows of a range; false if nobody wants them any more.
    async fn read(
        &self,
        client: &Client,
        range: Option<&str>,
        sender: &Sender<datafusion_common::error::Result<arrow::record_batch::RecordBatch>>,
    ) -> Result<bool> {
        let chosen = self
            .columns
            .iter()
            .map(|column| column.plan.sql(&escape_identifier(&column.name)));
        let chosen = chosen.collect::<Vec<_>>().join(", ");
        let condition = range.map(|range| format!(" WHERE {range}")).unwrap_or_default();
        let sql = format!(
            "COPY (SELECT {chosen} FROM {}{condition}) TO STDOUT (FORMAT binary)",
            self.relation.sql
        );
        let kinds: Vec<_> = self.columns.iter().map(|column| column.plan.kind.clone()).collect();
        let mut decoder = Decoder::new(&self.relation.label, self.schema.clone(), &kinds);
        let copied = client.copy_out(&sql).await.doing_sql(|| self.doing())?;
        let mut copied = std::pin::pin!(copied);
        while let Some(piece) = copied.next().await {
            decoder.push(&piece.doing_sql(|| self.doing())?)?;
            if decoder.is_full() && !self.send(&mut decoder, sender).await? {
                return Ok(false);
            }
        }
        decoder.end()?;
        self.send(&mut decoder, sender).await
    }

    async fn send(
        &self,
        decoder: &mut Decoder,
        sender: &Sender<datafusion_common::error::Result<arrow::record_batch::RecordBatch>>,
    ) -> Result<bool> {
        let Some((batch, bytes)) = decoder.take()? else {
            return Ok(true);
        };
        self.task.advance(bytes);
        Ok(sender.send(Ok(batch)).await.is_ok())
    }
}

impl Relation {
    /// Finds the stream's table in the catalogue.
    ///
    /// # Errors
    /// Config: there is none of that name.
    pub(crate) async fn find(client: &Client, stream: &DatabaseStream) -> Result<Self> {
        if let Some(query) = &stream.query {
            return Ok(Self {
                sql: format!("({}\n) AS query", query.trim().trim_end_matches(';')),
                label: "query".to_owned(),
                oid: None,
                pages: 0,
            });
        }
        let written = stream.label();
        let doing = || format!("looking for the table {written}");
        let (schema, name) = split_name(written);
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
        let hint = match tables.is_empty() {
            true => "the database has no tables that this user sees".to_owned(),
            false => did_you_mean(&sought, "there are", tables.iter().map(String::as_str)),
        };
        Err(Error::config(doing(), "there is no such table").hint(hint))
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
            sql: format!("{}.{}", escape_identifier(&schema), escape_identifier(&name)),
            label: format!("{schema}.{name}"),
            oid: Some(row.try_get(0).doing_sql(doing)?),
            pages: pages.and_then(|pages| u64::try_from(pages).ok()).unwrap_or(0),
        }))
    }
}

/// `schema.name`, either of them in double quotes if it has dots.
pub(crate) fn split_name(written: &str) -> (Option<String>, String) {
    let unquote = |part: &str| match part.strip_prefix('"').and_then(|part| part.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => part.to_owned(),
    };
    let mut quoted = false;
    let dot = written.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '.' && !quoted).then_some(at)
    });
    match dot {
        Some(dot) => (Some(unquote(&written[..dot])), unquote(&written[dot + 1..])),
        None => (None, unquote(written)),
    }
}

/// The relation's columns.
pub(crate) async fn columns(
    client: &Client,
    relation: &Relation,
    options: &Options,
    zone: Tz,
) -> Result<Vec<PostgresColumn>> {
    use cordada_core::names::snake_case;
    let doing = || format!("reading the columns of {}", relation.label);
    let statement = client
        .prepare(&format!("SELECT * FROM {}", relation.sql))
        .await
        .doing_sql(doing)?;
    let columns = statement.columns().iter().map(|column| {
        let declared = options.declared(&snake_case(column.name()));
        PostgresColumn {
            name: column.name().to_owned(),
            plan: Plan::new(column.type_(), column.type_modifier(), declared, zone),
            data_type: column.type_().clone(),
        }
    });
    let columns: Vec<_> = columns.collect();
    if columns.is_empty() {
        return Err(Error::config(doing(), "there are none"));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_dot_that_separates() {
        assert_eq!(split_name("public.sales"), (Some("public".into()), "sales".into()));
        assert_eq!(split_name("\"Order.Lines\""), (None, "Order.Lines".into()));
        assert_eq!(
            split_name("erp.\"Order \"\"Lines\"\"\""),
            (Some("erp".into()), "Order \"Lines\"".into())
        );
    }
}
