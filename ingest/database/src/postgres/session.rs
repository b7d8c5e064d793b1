//! A session with PostgreSQL: one exported snapshot that several connections read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::Result;
use cordada_core::threads::locked;
use cordada_ingest_source::misfits;
use futures::StreamExt;
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};
use tokio_util::sync::CancellationToken;

use super::SQL;
use super::connect::PostgresServer;
use super::copy::CopyDecoder;
use super::relation::{PostgresColumn, PostgresRelation, columns};
use crate::driver::SessionRequest;
use crate::feed::{BatchSender, Feed};
use crate::session::{ColumnNames, Columns, Part, Session, SessionRows, not_a_time};
use crate::sql_error::SqlContext;

/// Pages of a slice: with the usual 8 KiB, a commit for each GiB of the table.
const SLICE_PAGES: u64 = 128 * 1024;
/// Pages that a connection reads at a time, at least.
const RANGE_PAGES: u64 = 1024;

/// One relation in one snapshot.
pub(super) struct PostgresSession {
    server: PostgresServer,
    client: Arc<Client>,
    /// By which other connections see the same; `None` if the server exports none.
    snapshot: Option<String>,
    relation: PostgresRelation,
    columns: Columns<PostgresColumn>,
    parallelism: usize,
    feed: Feed,
    cancel: CancellationToken,
}

impl PostgresSession {
    /// Connects and begins the transaction whose snapshot everything is read from.
    ///
    /// # Errors
    /// As [`PostgresServer::connect`]; config: there is no such table.
    pub(super) async fn open(server: &PostgresServer, request: SessionRequest<'_>) -> Result<Self> {
        let stream = request.stream;
        let client = server.connect(&request.cancel).await?;
        let doing = || format!("reading {}", stream.label());
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        client.batch_execute(begin).await.doing_sql(doing)?;
        let relation = PostgresRelation::find(&client, stream).await?;
        let columns = columns(&client, &relation, &request).await?;
        let doing = format!("reading {}", relation.label);
        let mut session = Self {
            server: server.clone(),
            client: Arc::new(client),
            snapshot: None,
            relation,
            columns,
            parallelism: request.parallelism,
            feed: Feed::new(doing, request.task, request.cancel.clone()),
            cancel: request.cancel,
        };
        if session.relation.pages > RANGE_PAGES && session.parallelism > 1 {
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
    fn ranges(&self, slices: &Range<usize>) -> VecDeque<String> {
        if self.snapshot.is_none() && self.slices() == 1 {
            return [String::new()].into();
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
            ranges.push_back(match (to == end) && is_last {
                true => format!(" WHERE ctid >= '({from},0)'::tid"),
                false => format!(" WHERE ctid >= '({from},0)'::tid AND ctid < '({to},0)'::tid"),
            });
            from = to;
        }
        ranges
    }

    /// The streams that read those ranges, each over a connection of its own.
    fn streams(&self, ranges: VecDeque<String>, columns: Vec<PostgresColumn>) -> SessionRows {
        let fields = columns.iter().map(PostgresColumn::field).collect::<Vec<_>>();
        let schema = misfits::schema(&Schema::new(fields));
        let connections = match self.snapshot {
            Some(_) => self.parallelism.min(ranges.len()).max(1),
            None => 1,
        };
        let ranges = Arc::new(Mutex::new(ranges));
        let partitions = (0..connections).map(|number| {
            let rows = PostgresRows {
                server: self.server.clone(),
                client: (number == 0).then(|| self.client.clone()),
                snapshot: self.snapshot.clone(),
                relation: self.relation.clone(),
                columns: columns.clone(),
                schema: schema.clone(),
                ranges: ranges.clone(),
                doing: self.feed.doing(),
                cancel: self.cancel.clone(),
            };
            self.feed.clone().stream(schema.clone(), |sender| rows.send(sender))
        });
        SessionRows {
            partitions: partitions.collect(),
            schema,
        }
    }

    fn column(&self, name: &str) -> Result<&PostgresColumn> {
        self.columns.get(name, &self.feed.doing())
    }
}

#[async_trait]
impl Session for PostgresSession {
    fn columns(&self) -> &ColumnNames {
        self.columns.names()
    }

    fn relation(&self) -> &str {
        &self.relation.sql
    }

    fn slices(&self) -> usize {
        usize::try_from(self.relation.pages.div_ceil(SLICE_PAGES))
            .unwrap_or(usize::MAX)
            .max(1)
    }

    async fn rows(&mut self, part: Part) -> Result<SessionRows> {
        let (columns, condition) = self.columns.of(&part, &self.feed.doing())?;
        let ranges = match part {
            Part::Slices(slices) => self.ranges(&slices),
            Part::Where(_) => [condition].into(),
            Part::Columns(_) => self.ranges(&(0..self.slices())),
        };
        Ok(self.streams(ranges, columns))
    }

    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>> {
        let asking = async { self.client.simple_query(sql).await.doing_sql(|| self.feed.doing()) };
        let messages = self.feed.unless_cancelled(asking).await?;
        let row = messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        row.map(|row| texts(&row).doing_sql(|| self.feed.doing())).transpose()
    }

    async fn is_unique(&mut self, column: &str) -> Result<bool> {
        let Some(oid) = self.relation.oid else {
            return Ok(false);
        };
        let sql = "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid \
                   AND a.attnum = i.indkey[0] WHERE i.indrelid = $1 AND i.indnkeyatts = 1 AND i.indisunique \
                   AND i.indisvalid AND i.indpred IS NULL AND a.attname = $2)";
        let unique = self.client.query_one(sql, &[&oid, &column]).await;
        unique.and_then(|row| row.try_get(0)).doing_sql(|| self.feed.doing())
    }

    fn name(&self, column: &str) -> String {
        SQL.identifier(column)
    }

    /// Infinity and NaN are above all that may come later.
    fn has_place(&self, column: &str) -> String {
        let name = SQL.identifier(column);
        let column = self.column(column).ok();
        let is_finite = match column.map(|column| base_of(&column.data_type)) {
            Some(&(Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ)) => format!("isfinite({name})"),
            Some(&(Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC)) => {
                format!("{name}::text NOT IN ('NaN', 'Infinity', '-Infinity')")
            }
            _ => return format!("{name} IS NOT NULL"),
        };
        format!("({name} IS NOT NULL AND {is_finite})")
    }

    fn text_of(&self, column: &str) -> String {
        format!("{}::text", SQL.identifier(column))
    }

    fn literal(&self, column: &str, text: &str) -> Result<String> {
        self.column(column).map(|column| column.literal(text))
    }

    fn before(&self, column: &str, literal: &str, seconds: u64) -> Result<String> {
        match self.column(column)?.data_type {
            Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ => {
                Ok(format!("({literal} - interval '{seconds} seconds')"))
            }
            _ => Err(not_a_time(column, self.feed.doing())),
        }
    }
}

/// A row's values.
///
/// # Errors
/// One is not UTF-8.
pub(super) fn texts(row: &SimpleQueryRow) -> Result<Vec<Option<String>>, tokio_postgres::Error> {
    (0..row.len())
        .map(|at| Ok(row.try_get(at)?.map(str::to_owned)))
        .collect()
}

/// The type that a domain is of, whatever it is called.
fn base_of(data_type: &Type) -> &Type {
    match data_type.kind() {
        Kind::Domain(base) => base_of(base),
        _ => data_type,
    }
}

/// The rows of ranges, which one connection reads until there are no more.
struct PostgresRows {
    server: PostgresServer,
    client: Option<Arc<Client>>,
    snapshot: Option<String>,
    relation: PostgresRelation,
    columns: Vec<PostgresColumn>,
    schema: SchemaRef,
    ranges: Arc<Mutex<VecDeque<String>>>,
    doing: String,
    cancel: CancellationToken,
}

impl PostgresRows {
    /// Reads them all, as long as somebody wants them.
    async fn send(self, sender: BatchSender) -> Result<()> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => Arc::new(self.connect().await?),
        };
        let next = || locked(&self.ranges).pop_front();
        while let Some(range) = next() {
            if !self.send_range(&client, &range, &sender).await? {
                break;
            }
        }
        Ok(())
    }

    fn doing(&self) -> &str {
        &self.doing
    }

    /// Another connection with the same snapshot.
    async fn connect(&self) -> Result<Client> {
        let client = self.server.connect(&self.cancel).await?;
        if let Some(snapshot) = &self.snapshot {
            let begin = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
                SQL.literal(snapshot)
            );
            client.batch_execute(&begin).await.doing_sql(|| self.doing())?;
        }
        Ok(client)
    }

    /// Sends the rows of a range; false if nobody wants them any more.
    async fn send_range(&self, client: &Client, range: &str, sender: &BatchSender) -> Result<bool> {
        let chosen = self
            .columns
            .iter()
            .map(|column| column.format.sql(&SQL.identifier(&column.name)));
        let chosen = chosen.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "COPY (SELECT {chosen} FROM {}{range}) TO STDOUT (FORMAT binary)",
            self.relation.sql
        );
        let kinds: Vec<_> = self.columns.iter().map(|column| column.format.kind.clone()).collect();
        let mut decoder = CopyDecoder::new(&self.relation.label, self.schema.clone(), &kinds);
        let copied = client.copy_out(&sql).await.doing_sql(|| self.doing())?;
        let mut copied = std::pin::pin!(copied);
        while let Some(piece) = copied.next().await {
            decoder.push(&piece.doing_sql(|| self.doing())?)?;
            if decoder.is_full() && !sender.send(decoder.take()?).await {
                return Ok(false);
            }
        }
        decoder.end()?;
        Ok(sender.send(decoder.take()?).await)
    }
}
