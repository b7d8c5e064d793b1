//! `changes: logical`: a copy of the table, then the changes that the server's log tells.
//!
//! The slot is made before the copy's snapshot, so that the log may repeat what the copy has, and never misses
//! anything; rows land by their key, the later one wins. A chunk's changes are peeked at, and forgotten by the server
//! once they have landed. The position is in the lake before the server hears of it, so that a slot which is further
//! was moved by somebody else.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::{Context, Error, Result};
use cordada_ingest_source::Landed;
use cordada_ingest_source::extract::{Chunk, Extraction, Rows, State};
use cordada_ingest_source::misfits;
use datafusion_execution::SendableRecordBatchStream;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::types::PgLsn;
use tokio_util::sync::CancellationToken;

use super::connect::PostgresServer;
use super::follower::ChangeFollower;
use super::log_identity::LogIdentity;
use super::relation::{PostgresColumn, PostgresRelation, columns};
use super::replication::{self, Replication};
use super::session::PostgresSession;
use crate::driver::SessionRequest;
use crate::extraction::RelationExtraction;
use crate::feed::Feed;
use crate::position::definition;

/// How far the log may have gone on without a change of the table before that is noted: a segment of it, for the server
/// frees nothing less.
const SEGMENT: u64 = 16 << 20;

/// What the stream remembers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesState {
    /// The table.
    of: String,
    /// Up to where in the server's log changes have landed.
    lsn: String,
    /// The slot that keeps those after; states of before do not name it, nor the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<LogIdentity>,
}

/// The extraction of a stream that follows a table's changes.
pub(super) struct TableChanges {
    server: PostgresServer,
    client: Client,
    replication: Replication,
    log: LogIdentity,
    definition: String,
    table: Arc<FollowedTable>,
    existing: Arc<dyn Landed>,
    /// The copy, until it is done.
    copy: Option<RelationExtraction>,
    /// Up to where changes have landed.
    landed: PgLsn,
    /// Whether the stream's state is one of before, which does not tell all.
    is_former: bool,
    /// Where the log ended when the load began: what comes later is for the next one.
    upto: PgLsn,
    /// What has been given out and not landed.
    given: Option<PgLsn>,
    feed: Feed,
    cancel: CancellationToken,
}

/// The table as it is now.
pub(super) struct FollowedTable {
    pub(super) relation: PostgresRelation,
    pub(super) columns: Vec<PostgresColumn>,
    /// Where among the columns those of the key are.
    pub(super) key: Vec<usize>,
    /// What these are called in the lake.
    pub(super) lake_key: Vec<String>,
    /// The columns, one that says whether the row is gone, and that of the misfits.
    pub(super) schema: SchemaRef,
    pub(super) deleted: String,
}

impl TableChanges {
    /// Prepares the slot and the publication, and a copy if changes cannot continue where the last load ended.
    ///
    /// # Errors
    /// Config: the server, the table or the user is not set up for it, with what to do.
    pub(super) async fn open(
        server: &PostgresServer,
        request: SessionRequest<'_>,
        state: Option<State>,
        existing: Arc<dyn Landed>,
    ) -> Result<Self> {
        let stream = request.stream;
        let client = server.connect(&request.cancel).await?;
        let table = FollowedTable::find(&client, &request).await?;
        let own = Replication::new(stream, request.names, &existing.environment().await?);
        replication::check(&client, &table.relation, &table.key_names()).await?;
        let log = LogIdentity::of(&client).await?;
        let upto = own.end(&client).await?;
        let doing = format!("following the changes of {}", table.relation.label);
        let feed = Feed::new(doing, request.task.clone(), request.cancel.clone());
        let mut changes = Self {
            server: server.clone(),
            client,
            log,
            definition: definition(stream),
            table: Arc::new(table),
            existing,
            copy: None,
            landed: upto,
            is_former: false,
            upto,
            given: None,
            feed,
            cancel: request.cancel.clone(),
            replication: own,
        };
        let state = state.and_then(|state| serde_json::from_value::<ChangesState>(state).ok());
        if !changes.go_on(state.as_ref()).await? {
            if let Some(state) = &state {
                tracing::warn!(
                    stream = stream.label(),
                    slot_before = state.slot.as_deref().unwrap_or("unknown"),
                    "no replication slot goes on where the last load ended: the table is copied again; drop a slot that \
                     nobody reads from any more"
                );
            }
            changes.begin(request).await?;
        }
        Ok(changes)
    }

    /// Goes on where the last load ended; false if that cannot be, because the table is another one or there is no slot.
    ///
    /// # Errors
    /// As [`Replication::position`] and [`Replication::check_continuity`].
    async fn go_on(&mut self, state: Option<&ChangesState>) -> Result<bool> {
        let Some(state) = state.filter(|state| state.of == self.definition) else {
            return Ok(false);
        };
        let Some(replication) = self.replication.of_state(state.slot.as_deref()) else {
            return Ok(false);
        };
        let Some(position) = replication.position(&self.client).await? else {
            return Ok(false);
        };
        let landed = state.lsn.parse();
        let landed: PgLsn = landed.map_err(|_| Error::failed(self.feed.doing(), "the state has no position"))?;
        self.is_former = state.slot.is_none();
        // Loads of before moved the slot without a note when nothing of the table had changed.
        self.landed = if self.is_former { landed.max(position) } else { landed };
        let is_same = state.log.as_ref().is_none_or(|log| log.is_same(&self.log));
        replication.check_continuity(self.landed, position, self.upto, is_same)?;
        self.replication = replication;
        self.await_release().await?;
        // The last load may have ended between its commit and this.
        self.replication.advance(&self.client, self.landed).await?;
        Ok(true)
    }

    /// Begins with a copy of the table, after which the slot goes on.
    async fn begin(&mut self, request: SessionRequest<'_>) -> Result<()> {
        self.replication.publish(&self.client, &self.table.relation).await?;
        self.landed = match self.replication.position(&self.client).await? {
            Some(position) => position,
            None => {
                let position = self.replication.create(&self.client).await?;
                tracing::info!(
                    slot = self.replication.slot(),
                    drop = self.replication.drop_statement(),
                    "the server keeps its log for a new replication slot, from one load to the next, until it is dropped"
                );
                position
            }
        };
        let session = PostgresSession::open(&self.server, request).await?;
        self.copy = Some(RelationExtraction::whole(
            Box::new(session),
            self.table.relation.label.clone(),
            self.table.key_names(),
            self.state(self.landed)?,
            Some(self.existing.clone()),
        ));
        self.upto = self.replication.end(&self.client).await?;
        Ok(())
    }

    /// What the stream remembers once everything before `lsn` has landed.
    fn state(&self, lsn: PgLsn) -> Result<State> {
        let state = ChangesState {
            of: self.definition.clone(),
            lsn: lsn.to_string(),
            slot: Some(self.replication.slot().to_owned()),
            log: Some(self.log.clone()),
        };
        serde_json::to_value(state).doing(|| "keeping the position in the log")
    }

    /// Whether everything is there, without changing anything.
    ///
    /// # Errors
    /// As [`TableChanges::open`].
    pub(super) async fn check(server: &PostgresServer, request: SessionRequest<'_>) -> Result<()> {
        let client = server.connect(&request.cancel).await?;
        let table = FollowedTable::find(&client, &request).await?;
        replication::check(&client, &table.relation, &table.key_names()).await
    }

    async fn await_release(&mut self) -> Result<()> {
        self.replication
            .await_release(&self.client, self.server.timeout(), &self.cancel)
            .await
    }

    async fn changes(&mut self) -> Result<Option<Chunk>> {
        self.await_release().await?;
        let Some(extent) = self.replication.next(&self.client, self.upto).await? else {
            // Nothing of this table: the server need not keep the others' changes for it.
            let is_due = u64::from(self.upto) >= u64::from(self.landed) + SEGMENT;
            return match is_due || self.is_former {
                true => self.chunk(self.upto.max(self.landed), Vec::new()).map(Some),
                false => Ok(None),
            };
        };
        let end = extent.end;
        let follower = ChangeFollower {
            server: self.server.clone(),
            messages: self.replication.messages(end, None),
            extent,
            table: self.table.clone(),
            existing: self.existing.clone(),
            doing: self.feed.doing(),
            cancel: self.cancel.clone(),
        };
        let stream = self
            .feed
            .clone()
            .stream(self.table.schema.clone(), |sender| follower.send(sender));
        self.chunk(end, vec![stream]).map(Some)
    }

    /// Changes that land together with the position after them.
    fn chunk(&mut self, end: PgLsn, partitions: Vec<SendableRecordBatchStream>) -> Result<Chunk> {
        self.given = Some(end);
        let rows = Rows::Typed {
            schema: self.table.schema.clone(),
            partitions,
            origin: self.table.relation.label.clone(),
            deleted: Some(self.table.deleted.clone()),
            misfits: true,
        };
        Ok(Chunk::new(rows, Some(self.state(end)?), 0))
    }
}

#[async_trait]
impl Extraction for TableChanges {
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
            Some(position) => {
                (self.landed, self.is_former) = (position, false);
                self.await_release().await?;
                self.replication.advance(&self.client, position).await
            }
            None => Ok(()),
        }
    }
}

impl FollowedTable {
    async fn find(client: &Client, request: &SessionRequest<'_>) -> Result<Self> {
        let relation = PostgresRelation::find(client, request.stream).await?;
        let columns = columns(client, &relation, request).await?;
        let doing = format!("following the changes of {}", relation.label);
        let key = request.stream.options().key;
        let key = key.iter().map(|name| columns.names().find(name, &doing));
        let key = key.collect::<Result<Vec<_>>>()?;
        let mut deleted = "_deleted".to_owned();
        while columns.names().sources().contains(&deleted) {
            deleted.push('_');
        }
        let fields =
            columns
                .all()
                .iter()
                .map(PostgresColumn::field)
                .chain([Field::new(&deleted, DataType::Boolean, false)]);
        Ok(Self {
            schema: misfits::schema(&Schema::new(fields.collect::<Vec<_>>())),
            relation,
            lake_key: key.iter().map(|at| columns.names().lake()[*at].clone()).collect(),
            columns: columns.all().to_vec(),
            key,
            deleted,
        })
    }

    pub(super) fn key_names(&self) -> Vec<String> {
        self.key.iter().map(|at| self.columns[*at].name.clone()).collect()
    }
}
