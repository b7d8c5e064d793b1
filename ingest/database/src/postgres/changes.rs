//! `changes: logical`: a copy of the table, then the changes that the server's log tells.
//!
//! The slot is made before the copy's snapshot, so that the log may repeat what the copy has, and never misses
//! anything; rows land by their key, the later one wins. A chunk's changes are peeked at, and forgotten by the server
//! once they have landed.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::names::snake_case;
use cordada_core::progress::Task;
use cordada_core::sql_text::escape_identifier;
use cordada_core::{Context, Error, Result};
use cordada_ingest_source::Landed;
use cordada_ingest_source::extract::{Chunk, Extraction, Rows, State};
use datafusion_physical_plan::stream::RecordBatchReceiverStream;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use super::column::Column;
use super::connect::{Server, SqlContext};
use super::pgoutput::{self, Cell, Message, Tuple};
use super::replication::{Pending, Replication};
use super::session::{PostgresColumn, PostgresSession, Relation, columns};
use crate::config::DatabaseStream;
use crate::position::definition;
use crate::reading::Reading;
use crate::session::find_column;
use crate::source::Around;
use crate::unreadable::Unreadable;

/// Changes of a batch, and bytes of theirs.
const BATCH_CHANGES: usize = 8 * 1024;
const BATCH_BYTES: usize = 8 << 20;
/// Rows whose large values are asked for at a time.
const ASKED_ROWS: usize = 500;
/// Batches that wait for their reader.
const WAITING_BATCHES: usize = 2;

/// What the stream remembers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesState {
    /// The table.
    of: String,
    /// Up to where in the server's log changes have landed.
    lsn: String,
}

/// A stream that follows a table's changes.
pub(crate) struct Changes {
    server: Server,
    client: Client,
    replication: Replication,
    definition: String,
    table: Arc<Table>,
    existing: Arc<dyn Landed>,
    /// The copy, until it is done.
    copy: Option<Reading>,
    /// Where the log ended when the load began: what comes later is for the next one.
    upto: String,
    /// What has been given out and not landed.
    given: Option<String>,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
}

/// The table as it is now.
struct Table {
    relation: Relation,
    columns: Vec<PostgresColumn>,
    /// Where among the columns those of the key are.
    key: Vec<usize>,
    /// The columns, and one that says whether the row is gone.
    schema: SchemaRef,
    deleted: String,
}

impl Changes {
    /// Prepares the slot and the publication, and a copy if changes cannot continue where the last load ended.
    ///
    /// # Errors
    /// Config: the server, the table or the user is not set up for it, with what to do.
    pub(crate) async fn open(
        server: &Server,
        stream: &DatabaseStream,
        (source, name): (&str, &str),
        zone: Tz,
        around: Around<'_>,
        state: Option<State>,
        existing: Arc<dyn Landed>,
    ) -> Result<Self> {
        let client = server.connect(&around.cancel).await?;
        let table = Table::find(&client, stream, zone).await?;
        let replication = Replication::new(stream, source, name);
        replication.check(&client, &table.relation, &table.key_names()).await?;
        let definition = definition(stream);
        let landed = state.and_then(|state| serde_json::from_value::<ChangesState>(state).ok());
        let landed = landed.filter(|landed| landed.of == definition);
        let slot = replication.position(&client).await?;
        let (task, cancel) = (around.task.clone(), around.cancel.clone());
        let copy = match (landed, slot) {
            (Some(landed), Some(_)) => {
                // The last load may have ended between its commit and this.
                replication.advance(&client, &landed.lsn).await?;
                None
            }
            (landed, slot) => {
                if landed.is_some() {
                    tracing::warn!(
                        stream = stream.label(),
                        "the replication slot is gone: the table is copied again"
                    );
                }
                replication.publish(&client, &table.relation).await?;
                let lsn = match slot {
                    Some(position) => position,
                    None => replication.create(&client).await?,
                };
                let session = PostgresSession::open(server, stream, zone, around).await?;
                let state = ChangesState {
                    of: definition.clone(),
                    lsn,
                };
                let state = serde_json::to_value(state).doing(|| "keeping the position in the log")?;
                let origin = table.relation.label.clone();
                let copy = Reading::whole(
                    Box::new(session),
                    origin,
                    table.key_names(),
                    state,
                    Some(existing.clone()),
                );
                Some(copy)
            }
        };
        Ok(Self {
            upto: Replication::end(&client).await?,
            server: server.clone(),
            client,
            replication,
            definition,
            table: Arc::new(table),
            existing,
            copy,
            given: None,
            task,
            cancel,
        })
    }

    /// Whether everything is there, without changing anything.
    ///
    /// # Errors
    /// As [`Changes::open`].
    pub(crate) async fn check(
        server: &Server,
        stream: &DatabaseStream,
        (source, name): (&str, &str),
        zone: Tz,
        cancel: &CancellationToken,
    ) -> Result<()> {
        let client = server.connect(cancel).await?;
        let table = Table::find(&client, stream, zone).await?;
        let replication = Replication::new(stream, source, name);
        replication.check(&client, &table.relation, &table.key_names()).await?;
        replication.position(&client).await.map(drop)
    }

    async fn changes(&mut self) -> Result<Option<Chunk>> {
        let Some(pending) = self.replication.pending(&self.client, &self.upto).await? else {
            // Nothing of this table: the server need not keep the others' changes for it.
            self.replication.advance(&self.client, &self.upto).await?;
            return Ok(None);
        };
        let state = ChangesState {
            of: self.definition.clone(),
            lsn: pending.end.clone(),
        };
        let state = serde_json::to_value(state).doing(|| "keeping the position in the log")?;
        self.given = Some(pending.end.clone());
        let follower = Follower {
            server: self.server.clone(),
            messages: self.replication.messages(&pending.end, None),
            pending,
            table: self.table.clone(),
            existing: self.existing.clone(),
            task: self.task.clone(),
            cancel: self.cancel.clone(),
        };
        let mut stream = RecordBatchReceiverStream::builder(self.table.schema.clone(), WAITING_BATCHES);
        let sender = stream.tx();
        stream.spawn(async move { Ok(follower.run(&sender).await?) });
        let rows = Rows::Typed {
            schema: self.table.schema.clone(),
            partitions: vec![stream.build()],
            origin: self.table.relation.label.clone(),
            deleted: Some(self.table.deleted.clone()),
        };
        Ok(Some(Chunk::new(rows, Some(state), 0)))
    }
}

#[async_trait]
impl Extraction for Changes {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        if let Some(copy) = &mut self.copy {
            if let Some(mut chunk) = copy.next().await? {
                chunk.last = false;
                return Ok(Some(chunk));
            }
            // Its snapshot would keep the server from cleaning up.
            self.copy = None;
        }
        self.changes().await
    }

    async fn landed(&mut self) -> Result<()> {
        match self.given.take() {
            Some(position) => self.replication.advance(&self.client, &position).await,
            None => Ok(()),
        }
    }
}

impl Table {
    async fn find(client: &Client, stream: &DatabaseStream, zone: Tz) -> Result<Self> {
        let relation = Relation::find(client, stream).await?;
        let options = stream.options();
        let columns = columns(client, &relation, &options, zone).await?;
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        let doing = format!("following the changes of {}", relation.label);
        let key = options.key.iter().map(|name| {
            let name = find_column(&names, name, &doing)?;
            Ok(names.iter().position(|column| column == name).unwrap_or_default())
        });
        let key = key.collect::<Result<Vec<_>>>()?;
        let mut deleted = "_deleted".to_owned();
        while names.contains(&deleted) {
            deleted.push('_');
        }
        let fields = columns
            .iter()
            .map(PostgresColumn::field)
            .chain([Field::new(&deleted, DataType::Boolean, false)]);
        Ok(Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            relation,
            columns,
            key,
            deleted,
        })
    }

    fn key_names(&self) -> Vec<String> {
        self.key.iter().map(|at| self.columns[*at].name.clone()).collect()
    }

    fn refuse(&self, column: usize, unreadable: Unreadable) -> Error {
        unreadable.refuse(&self.relation.label, &self.columns[column].name)
    }
}

/// A row that changed, its cells in the order of the table's columns.
struct Change {
    message: Vec<u8>,
    cells: Tuple,
    deleted: bool,
}

impl Change {
    fn text(&self, column: usize) -> Option<&[u8]> {
        match self.cells.get(column) {
            Some(Cell::Text(range)) => self.message.get(range.clone()),
            _ => None,
        }
    }
}

type Batches = Sender<datafusion_common::error::Result<RecordBatch>>;

/// Reads a chunk's changes.
struct Follower {
    server: Server,
    /// The query's `FROM`.
    messages: String,
    pending: Pending,
    table: Arc<Table>,
    existing: Arc<dyn Landed>,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
}

impl Follower {
    fn doing(&self) -> String {
        format!("following the changes of {}", self.table.relation.label)
    }

    async fn run(self, sender: &Batches) -> Result<()> {
        tokio::select! {
            followed = self.follow(sender) => followed,
            () = self.cancel.cancelled() => Err(Error::cancelled(self.doing())),
        }
    }

    async fn follow(&self, sender: &Batches) -> Result<()> {
        let client = self.server.connect(&self.cancel).await?;
        // Asks for large values while the messages are being read.
        let asking = self.server.connect(&self.cancel).await?;
        let sql = format!("SELECT data FROM {}", self.messages);
        let none: [i32; 0] = [];
        let messages = client.query_raw(&sql, none).await.doing_sql(|| self.doing())?;
        let mut messages = std::pin::pin!(messages);
        let (mut number, mut changes, mut bytes) = (0, Vec::new(), 0);
        // Where in a message the table's columns are.
        let mut places: Vec<Option<usize>> = Vec::new();
        while let Some(row) = messages.try_next().await.doing_sql(|| self.doing())? {
            let data: &[u8] = row.try_get(0).doing_sql(|| self.doing())?;
            let message = pgoutput::read(data);
            let message = message.map_err(|_| Error::failed(self.doing(), "the server's log makes no sense"))?;
            number += 1;
            bytes += data.len();
            // What came before the table was emptied is gone with it.
            let is_gone = self.pending.truncated.is_some_and(|truncated| number < truncated);
            self.take(message, data, is_gone, &mut places, &mut changes);
            if self.pending.truncated == Some(number) {
                self.empty(sender).await?;
            }
            if changes.len() >= BATCH_CHANGES || bytes >= BATCH_BYTES {
                self.task.advance(bytes as u64);
                bytes = 0;
                if !self.send(&asking, std::mem::take(&mut changes), sender).await? {
                    return Ok(());
                }
            }
        }
        self.task.advance(bytes as u64);
        self.send(&asking, changes, sender).await.map(drop)
    }

    /// Takes in what a message says about the table's rows.
    fn take(
        &self,
        message: Message,
        data: &[u8],
        is_gone: bool,
        places: &mut Vec<Option<usize>>,
        changes: &mut Vec<Change>,
    ) {
        let own = self.table.relation.oid;
        let is_own = |table: u32| own == Some(table) && !is_gone;
        let arranged = |tuple: &Tuple| -> Tuple {
            let cell = |place: &Option<usize>| place.and_then(|place| tuple.get(place).cloned()).unwrap_or(Cell::Null);
            places.iter().map(cell).collect()
        };
        let change = |cells, deleted| Change {
            message: data.to_vec(),
            cells,
            deleted,
        };
        match message {
            Message::Relation { table, columns } if own == Some(table) => {
                let place = |column: &PostgresColumn| columns.iter().position(|name| *name == column.name);
                *places = self.table.columns.iter().map(place).collect();
            }
            Message::Insert { table, new } if is_own(table) => changes.push(change(arranged(&new), false)),
            Message::Delete { table, old } if is_own(table) => changes.push(change(arranged(&old), true)),
            Message::Update { table, old, new } if is_own(table) => {
                let mut new = arranged(&new);
                if let Some(old) = old.map(|old| arranged(&old)) {
                    let text = |cell: &Cell| match cell {
                        Cell::Text(range) => data.get(range.clone()),
                        _ => None,
                    };
                    // The whole old row tells what the new one leaves as it was.
                    for (cell, old) in new.iter_mut().zip(&old) {
                        if matches!(cell, Cell::Unchanged) && matches!(old, Cell::Text(_)) {
                            *cell = old.clone();
                        }
                    }
                    if self.table.key.iter().any(|at| text(&old[*at]) != text(&new[*at])) {
                        changes.push(change(old, true));
                    }
                }
                changes.push(change(new, false));
            }
            _ => {}
        }
    }

    /// Sends changes as a batch; false if nobody wants it any more.
    async fn send(&self, client: &Client, mut changes: Vec<Change>, sender: &Batches) -> Result<bool> {
        self.complete(client, &mut changes).await?;
        if changes.is_empty() {
            return Ok(true);
        }
        let columns = self.table.columns.iter().enumerate().map(|(at, column)| {
            let mut values = Column::new(&column.plan.kind);
            for change in &changes {
                match change.text(at) {
                    Some(text) => values
                        .push_text(text)
                        .map_err(|unreadable| self.table.refuse(at, unreadable))?,
                    None => values.push_null(),
                }
            }
            values.finish().map_err(|unreadable| self.table.refuse(at, unreadable))
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        columns.push(Arc::new(BooleanArray::from_iter(
            changes.iter().map(|change| Some(change.deleted)),
        )));
        let batch = RecordBatch::try_new(self.table.schema.clone(), columns).doing(|| self.doing())?;
        Ok(sender.send(Ok(batch)).await.is_ok())
    }

    /// Asks for the large values that the log does not repeat. A row that is not there any more has changed again: what
    /// the log tells of that comes later, so that this change is left out.
    async fn complete(&self, client: &Client, changes: &mut Vec<Change>) -> Result<()> {
        let is_incomplete = |change: &Change| !change.deleted && change.cells.contains(&Cell::Unchanged);
        let incomplete: Vec<usize> = changes
            .iter()
            .enumerate()
            .filter(|(_, change)| is_incomplete(change))
            .map(|(at, _)| at)
            .collect();
        let mut missing = Vec::new();
        for asked in incomplete.chunks(ASKED_ROWS) {
            let found = self.ask(client, asked.iter().map(|at| &changes[*at])).await?;
            for at in asked {
                let key = self.key_of(&changes[*at]);
                let Some(values) = found.get(&key) else {
                    missing.push(*at);
                    continue;
                };
                let Change { message, cells, .. } = &mut changes[*at];
                for (cell, value) in cells.iter_mut().zip(values) {
                    if *cell != Cell::Unchanged {
                        continue;
                    }
                    *cell = match value {
                        Some(text) => {
                            let start = message.len();
                            message.extend_from_slice(text.as_bytes());
                            Cell::Text(start..message.len())
                        }
                        None => Cell::Null,
                    };
                }
            }
        }
        let mut at = 0;
        changes.retain(|_| {
            at += 1;
            missing.binary_search(&(at - 1)).is_err()
        });
        Ok(())
    }

    fn key_of(&self, change: &Change) -> Vec<String> {
        let text = |at: &usize| String::from_utf8_lossy(change.text(*at).unwrap_or_default()).into_owned();
        self.table.key.iter().map(text).collect()
    }

    /// All values of the changes' rows as they are now, as text, by their keys.
    async fn ask(
        &self,
        client: &Client,
        changes: impl Iterator<Item = &Change>,
    ) -> Result<std::collections::HashMap<Vec<String>, Vec<Option<String>>>> {
        let output = |name: &str| format!("CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END");
        let names: Vec<_> = self
            .table
            .columns
            .iter()
            .map(|column| escape_identifier(&column.name))
            .collect();
        let chosen: Vec<_> = names.iter().map(|name| output(name)).collect();
        let key: Vec<_> = self.table.key.iter().map(|at| names[*at].as_str()).collect();
        let keys = changes.map(|change| {
            let columns = self.table.key.iter().zip(self.key_of(change));
            let literals: Vec<_> = columns
                .map(|(at, text)| self.table.columns[*at].literal(&text))
                .collect();
            format!("({})", literals.join(", "))
        });
        let keys: Vec<_> = keys.collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE ({}) IN ({})",
            chosen.join(", "),
            self.table.relation.sql,
            key.join(", "),
            keys.join(", ")
        );
        let messages = client.simple_query(&sql).await.doing_sql(|| self.doing())?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|at| row.get(at).map(str::to_owned))
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        });
        let keyed = rows.map(|row| {
            let key = self
                .table
                .key
                .iter()
                .map(|at| row.get(*at).cloned().flatten().unwrap_or_default());
            (key.collect(), row)
        });
        Ok(keyed.collect())
    }

    /// Sends all keys of the lake as rows that are gone.
    async fn empty(&self, sender: &Batches) -> Result<()> {
        let names: Vec<_> = self.table.key_names().iter().map(|name| snake_case(name)).collect();
        let Some(mut keys) = self.existing.keys(&names).await? else {
            return Ok(());
        };
        let doing = || self.doing();
        while let Some(batch) = keys.next().await {
            let batch = batch.doing(doing)?;
            let rows = batch.num_rows();
            let column = |(at, field): (usize, &Arc<Field>)| -> Result<ArrayRef> {
                match self.table.key.iter().position(|key| *key == at) {
                    Some(key) => cast(batch.column(key), field.data_type()).doing(doing),
                    None if field.name() == &self.table.deleted => Ok(Arc::new(BooleanArray::from(vec![true; rows]))),
                    None => Ok(new_null_array(field.data_type(), rows)),
                }
            };
            let columns = self
                .table
                .schema
                .fields()
                .iter()
                .enumerate()
                .map(column)
                .collect::<Result<Vec<_>>>()?;
            let batch = RecordBatch::try_new(self.table.schema.clone(), columns).doing(doing)?;
            if sender.send(Ok(batch)).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
