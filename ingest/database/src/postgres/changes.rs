//! `changes: logical`: a copy of the table, then the changes that the server's log tells.
//!
//! The slot is made before the copy's snapshot, so that the log may repeat what the copy has, and never misses
//! anything; rows land by their key, the later one wins. A chunk's changes are peeked at, and forgotten by the server
//! once they have landed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::{Context, Error, Result};
use cordada_ingest_source::Landed;
use cordada_ingest_source::extract::{Chunk, Extraction, Rows, State};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::connect::PostgresServer;
use super::follower::ChangeFollower;
use super::relation::{PostgresColumn, PostgresRelation, columns};
use super::replication::Replication;
use super::session::PostgresSession;
use crate::driver::SessionRequest;
use crate::extraction::RelationExtraction;
use crate::feed::Feed;
use crate::position::definition;
use crate::session::find_column;
use crate::value_error::ValueError;

/// What the stream remembers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesState {
    /// The table.
    of: String,
    /// Up to where in the server's log changes have landed.
    lsn: String,
}

/// The extraction of a stream that follows a table's changes.
pub(super) struct TableChanges {
    server: PostgresServer,
    client: Client,
    replication: Replication,
    definition: String,
    table: Arc<FollowedTable>,
    existing: Arc<dyn Landed>,
    /// The copy, until it is done.
    copy: Option<RelationExtraction>,
    /// Where the log ended when the load began: what comes later is for the next one.
    upto: String,
    /// What has been given out and not landed.
    given: Option<String>,
    feed: Feed,
    cancel: CancellationToken,
}

/// The table as it is now.
pub(super) struct FollowedTable {
    pub(super) relation: PostgresRelation,
    pub(super) columns: Vec<PostgresColumn>,
    /// Where among the columns those of the key are.
    pub(super) key: Vec<usize>,
    /// The columns, and one that says whether the row is gone.
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
        let replication = Replication::new(stream, request.names);
        replication.check(&client, &table.relation, &table.key_names()).await?;
        let definition = definition(stream);
        let landed = state.and_then(|state| serde_json::from_value::<ChangesState>(state).ok());
        let landed = landed.filter(|landed| landed.of == definition);
        let slot = replication.position(&client).await?;
        let doing = format!("following the changes of {}", table.relation.label);
        let (feed, cancel) = (
            Feed::new(doing, request.task.clone(), request.cancel.clone()),
            request.cancel.clone(),
        );
        let copy = match (landed, slot) {
            (Some(landed), Some(_)) => {
                replication
                    .await_release(&client, server.timeout(), &request.cancel)
                    .await?;
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
                let session = PostgresSession::open(server, request).await?;
                let state = ChangesState {
                    of: definition.clone(),
                    lsn,
                };
                let state = serde_json::to_value(state).doing(|| "keeping the position in the log")?;
                let origin = table.relation.label.clone();
                let copy = RelationExtraction::whole(
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
            feed,
            cancel,
        })
    }

    /// Whether everything is there, without changing anything.
    ///
    /// # Errors
    /// As [`TableChanges::open`].
    pub(super) async fn check(server: &PostgresServer, request: SessionRequest<'_>) -> Result<()> {
        let client = server.connect(&request.cancel).await?;
        let table = FollowedTable::find(&client, &request).await?;
        let replication = Replication::new(request.stream, request.names);
        replication.check(&client, &table.relation, &table.key_names()).await?;
        replication.position(&client).await.map(drop)
    }

    async fn await_release(&mut self) -> Result<()> {
        self.replication
            .await_release(&self.client, self.server.timeout(), &self.cancel)
            .await
    }

    async fn changes(&mut self) -> Result<Option<Chunk>> {
        self.await_release().await?;
        let Some(extent) = self.replication.next(&self.client, &self.upto).await? else {
            // Nothing of this table: the server need not keep the others' changes for it.
            self.replication.advance(&self.client, &self.upto).await?;
            return Ok(None);
        };
        let state = ChangesState {
            of: self.definition.clone(),
            lsn: extent.end.clone(),
        };
        let state = serde_json::to_value(state).doing(|| "keeping the position in the log")?;
        self.given = Some(extent.end.clone());
        let follower = ChangeFollower {
            server: self.server.clone(),
            messages: self.replication.messages(&extent.end, None),
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
        let rows = Rows::Typed {
            schema: self.table.schema.clone(),
            partitions: vec![stream],
            origin: self.table.relation.label.clone(),
            deleted: Some(self.table.deleted.clone()),
        };
        Ok(Some(Chunk::new(rows, Some(state), 0)))
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
                self.await_release().await?;
                self.replication.advance(&self.client, &position).await
            }
            None => Ok(()),
        }
    }
}

impl FollowedTable {
    async fn find(client: &Client, request: &SessionRequest<'_>) -> Result<Self> {
        let relation = PostgresRelation::find(client, request.stream).await?;
        let options = request.stream.options();
        let columns = columns(client, &relation, &options, request.source.timezone.0).await?;
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        let doing = format!("following the changes of {}", relation.label);
        let key = options.key.iter().map(|name| find_column(&names, name, &doing));
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

    pub(super) fn key_names(&self) -> Vec<String> {
        self.key.iter().map(|at| self.columns[*at].name.clone()).collect()
    }

    pub(super) fn refuse(&self, column: usize, error: ValueError) -> Error {
        error.at(&self.relation.label, &self.columns[column].name)
    }
}
