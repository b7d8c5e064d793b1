//! Reads the changes of one chunk out of the server's log, and asks for what the log leaves out.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::Field;
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Error, Result};
use cordada_ingest_source::Landed;
use cordada_ingest_source::misfits::Misfits;
use futures::{StreamExt, TryStreamExt};
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use super::SQL;
use super::changes::FollowedTable;
use super::column::Column;
use super::connect::PostgresServer;
use super::pgoutput::{self, Cell, Message, Tuple};
use super::relation::PostgresColumn;
use super::replication::LogExtent;
use super::session::texts;
use crate::feed::{BatchSender, is_batch};
use crate::sql_error::SqlContext;
use crate::value_error::shown;

/// Rows whose large values are asked for at a time.
const ASKED_ROWS: usize = 500;

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

/// Reads a chunk's changes.
pub(super) struct ChangeFollower {
    pub(super) server: PostgresServer,
    /// The query's `FROM`.
    pub(super) messages: String,
    pub(super) extent: LogExtent,
    pub(super) table: Arc<FollowedTable>,
    pub(super) existing: Arc<dyn Landed>,
    pub(super) doing: String,
    pub(super) cancel: CancellationToken,
}

impl ChangeFollower {
    fn doing(&self) -> &str {
        &self.doing
    }

    /// Reads them all, as long as somebody wants them.
    pub(super) async fn send(self, sender: BatchSender) -> Result<()> {
        let client = self.server.connect(&self.cancel).await?;
        // Asks for large values while the messages are being read.
        let asking = self.server.connect(&self.cancel).await?;
        let sql = format!("SELECT data FROM {}", self.messages);
        let none: [i32; 0] = [];
        let messages = client.query_raw(&sql, none).await.doing_sql(|| self.doing())?;
        let mut messages = pin!(messages);
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
            let is_gone = self.extent.truncated.is_some_and(|truncated| number < truncated);
            self.take(message, data, is_gone, &mut places, &mut changes);
            if self.extent.truncated == Some(number) {
                self.send_gone(&sender).await?;
            }
            if is_batch(changes.len(), bytes) {
                let batch = self.batch(&asking, std::mem::take(&mut changes)).await?;
                let read = std::mem::take(&mut bytes) as u64;
                if !sender.send(batch.map(|batch| (batch, read))).await {
                    return Ok(());
                }
            }
        }
        let batch = self.batch(&asking, changes).await?;
        sender.send(batch.map(|batch| (batch, bytes as u64))).await;
        Ok(())
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

    /// Changes as a batch; `None` if there are none.
    async fn batch(&self, client: &Client, mut changes: Vec<Change>) -> Result<Option<RecordBatch>> {
        self.complete(client, &mut changes).await?;
        if changes.is_empty() {
            return Ok(None);
        }
        let mut misfits = Misfits::default();
        let columns = self.table.columns.iter().enumerate().map(|(at, column)| {
            let mut values = Column::new(&column.format.kind);
            for (row, change) in changes.iter().enumerate() {
                match change.text(at).map(|text| (text, values.push_text(text))) {
                    Some((_, Ok(()))) => {}
                    Some((text, Err(error))) => {
                        values.push_misfit();
                        misfits.add(row, error.misfit(at, shown(text)));
                    }
                    None => values.push_null(),
                }
            }
            values.finish_into(at, &mut misfits)
        });
        let mut columns: Vec<_> = columns.collect();
        columns.push(Arc::new(BooleanArray::from_iter(
            changes.iter().map(|change| Some(change.deleted)),
        )));
        columns.push(misfits.finish(changes.len())?);
        let batch = RecordBatch::try_new(self.table.schema.clone(), columns);
        batch.map(Some).doing(|| self.doing())
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
    ) -> Result<HashMap<Vec<String>, Vec<Option<String>>>> {
        let output = |name: &str| format!("CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END");
        let names: Vec<_> = self
            .table
            .columns
            .iter()
            .map(|column| SQL.identifier(&column.name))
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
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let keyed = rows.map(|row| {
            let row = texts(&row).doing_sql(|| self.doing())?;
            let key = self.table.key.iter().map(|at| row[*at].clone().unwrap_or_default());
            Ok((key.collect(), row))
        });
        keyed.collect()
    }

    /// Sends all keys of the lake as rows that are gone.
    async fn send_gone(&self, sender: &BatchSender) -> Result<()> {
        let Some(mut keys) = self.existing.keys(&self.table.lake_key).await? else {
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
            if !sender.send(Some((batch, 0))).await {
                break;
            }
        }
        Ok(())
    }
}
