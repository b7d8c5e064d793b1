//! A replication slot and its publication: what keeps the log of one table's changes until they have landed.

use std::time::{Duration, Instant};

use cordada_core::names::snake_case;
use cordada_core::{Error, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use super::SQL;
use super::relation::PostgresRelation;
use crate::config::DatabaseStream;
use crate::sql_error::SqlContext;

/// Changes of a chunk, about: transactions are whole.
const CHUNK_CHANGES: u64 = 1_000_000;

/// How long to wait before looking again whether a slot is free.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A slot and a publication of one table.
#[derive(Debug, Clone)]
pub(super) struct Replication {
    slot: String,
    publication: String,
    label: String,
}

/// How much of the log is read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogExtent {
    /// Where the last transaction ends.
    pub(super) end: String,
    /// Which message empties the table, the last if there are several, from 1.
    pub(super) truncated: Option<u64>,
}

impl Replication {
    /// The stream's slot and publication, by default named after the source and the stream.
    pub(super) fn new(stream: &DatabaseStream, (source, name): (&str, &str)) -> Self {
        let mut default = snake_case(&format!("cordada_{source}_{name}"));
        default.retain(|c| c.is_ascii_alphanumeric() || c == '_');
        // PostgreSQL's limit.
        default.truncate(63);
        let slot = stream.slot.clone().unwrap_or(default);
        Self {
            publication: stream.publication.clone().unwrap_or_else(|| slot.clone()),
            slot,
            label: stream.label().to_owned(),
        }
    }

    fn doing(&self) -> String {
        format!("following the changes of {}", self.label)
    }

    /// Whether the server and the table are set up for it.
    ///
    /// # Errors
    /// Config, with what to do.
    pub(super) async fn check(&self, client: &Client, relation: &PostgresRelation, key: &[String]) -> Result<()> {
        if text(client, "SHOW wal_level")
            .await
            .doing_sql(|| self.doing())?
            .as_deref()
            != Some("logical")
        {
            return Err(Error::config(self.doing(), "the server keeps no log of changes")
                .hint("set wal_level = logical in postgresql.conf and restart it"));
        }
        // The columns by which the log tells which row is gone: all, those of an index, or none.
        let sql = "SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
                   AND NOT a.attisdropped LEFT JOIN pg_index i ON i.indrelid = c.oid AND CASE c.relreplident \
                   WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END \
                   WHERE c.oid = $1 AND (c.relreplident = 'f' OR a.attnum = ANY (i.indkey))";
        let identity = client
            .query(sql, &[&relation.oid.unwrap_or_default()])
            .await
            .doing_sql(|| self.doing())?;
        let identity = identity
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<String>, _>>();
        let identity = identity.doing_sql(|| self.doing())?;
        match key.iter().find(|column| !identity.contains(column)) {
            None => Ok(()),
            Some(column) => {
                let why = format!("the log does not tell `{column}` of rows that are deleted");
                let hint = format!(
                    "use the primary key as `key:`, or run: ALTER TABLE {} REPLICA IDENTITY FULL",
                    relation.sql
                );
                Err(Error::config(self.doing(), why).hint(hint))
            }
        }
    }

    /// Makes the publication, unless there is one.
    ///
    /// # Errors
    /// Config: the user may not, with what to run instead.
    pub(super) async fn publish(&self, client: &Client, relation: &PostgresRelation) -> Result<()> {
        let name = SQL.literal(&self.publication);
        let sql = format!("SELECT 1 FROM pg_publication WHERE pubname = {name}");
        let exists = text(client, &sql).await.doing_sql(|| self.doing())?.is_some();
        let (publication, table) = (SQL.identifier(&self.publication), &relation.sql);
        if exists {
            let sql = format!(
                "SELECT 1 FROM pg_publication_tables WHERE pubname = {name} AND schemaname || '.' || tablename = {}",
                SQL.literal(&relation.label)
            );
            return match text(client, &sql).await.doing_sql(|| self.doing())? {
                Some(_) => Ok(()),
                None => Err(Error::config(
                    self.doing(),
                    format!("the publication {publication} does not have the table"),
                )
                .hint(format!("run: ALTER PUBLICATION {publication} ADD TABLE {table}"))),
            };
        }
        // With the root, changes of partitions are told as the table's own; known since version 13.
        let create =
            format!("CREATE PUBLICATION {publication} FOR TABLE {table} WITH (publish_via_partition_root = true)");
        match client.batch_execute(&create).await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Err(Error::config(
                self.doing(),
                "the user of `connection` may not create the publication",
            )
            .hint(format!("let the table's owner run: {create}"))),
            created => created.doing_sql(|| self.doing()),
        }
    }

    /// Up to where the server knows that changes have landed; `None` if there is no slot.
    ///
    /// # Errors
    /// Config: the slot has lost changes, or is another's.
    pub(super) async fn position(&self, client: &Client) -> Result<Option<String>> {
        let slot = SQL.literal(&self.slot);
        let sql = format!(
            "SELECT CASE WHEN plugin IS DISTINCT FROM 'pgoutput' OR database <> current_database() THEN 'other' \
             WHEN wal_status = 'lost' THEN 'lost' ELSE confirmed_flush_lsn::text END FROM pg_replication_slots \
             WHERE slot_name = {slot}"
        );
        match text(client, &sql).await.doing_sql(|| self.doing())?.as_deref() {
            Some("other") => Err(
                Error::config(self.doing(), format!("the replication slot {slot} is not ours"))
                    .hint("name another one in `slot:`"),
            ),
            Some("lost") => {
                let hint = format!(
                    "raise max_slot_wal_keep_size and run: SELECT pg_drop_replication_slot({slot}); \
                     then the next load copies the table again"
                );
                Err(Error::config(self.doing(), "the server has removed changes that had not landed").hint(hint))
            }
            position => Ok(position.map(str::to_owned)),
        }
    }

    /// Waits until no session reads from the slot: that of a load which was killed ends a while after it.
    ///
    /// # Errors
    /// Unavailable: another session holds it for longer than `patience`. Cancelled.
    pub(super) async fn await_release(
        &self,
        client: &Client,
        patience: Duration,
        cancel: &CancellationToken,
    ) -> Result<()> {
        let sql = format!(
            "SELECT active_pid::text FROM pg_replication_slots WHERE slot_name = {} AND active",
            SQL.literal(&self.slot)
        );
        let begun = Instant::now();
        while let Some(pid) = text(client, &sql).await.doing_sql(|| self.doing())? {
            if begun.elapsed() >= patience {
                let why = format!("another session reads from the replication slot {}", self.slot);
                return Err(Error::unavailable(self.doing(), why)
                    .hint(format!(
                        "wait for the load that it belongs to, or run: SELECT pg_terminate_backend({pid})"
                    ))
                    .with("pid", pid));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = cancel.cancelled() => return Err(Error::cancelled(self.doing())),
            }
        }
        Ok(())
    }

    /// Makes the slot; from there on the server keeps changes.
    ///
    /// # Errors
    /// Config: the user may not, or there are too many.
    pub(super) async fn create(&self, client: &Client) -> Result<String> {
        let slot = SQL.literal(&self.slot);
        let create = format!("SELECT lsn::text FROM pg_create_logical_replication_slot({slot}, 'pgoutput')");
        match text(client, &create).await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Err(Error::config(
                self.doing(),
                "the user of `connection` may not replicate",
            )
            .hint("let an administrator run: ALTER ROLE … REPLICATION")),
            Err(error) if error.code() == Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => {
                Err(Error::config(self.doing(), "the server has no replication slot left")
                    .hint("drop one that nobody uses, or raise max_replication_slots"))
            }
            created => match created.doing_sql(|| self.doing())? {
                Some(position) => Ok(position),
                None => Err(Error::failed(self.doing(), "the server made no replication slot")),
            },
        }
    }

    /// Tells the server that everything before `position` has landed. Never goes back.
    pub(super) async fn advance(&self, client: &Client, position: &str) -> Result<()> {
        let (slot, position) = (SQL.literal(&self.slot), SQL.literal(position));
        let sql = format!(
            "SELECT pg_replication_slot_advance(slot_name, {position}::pg_lsn) FROM pg_replication_slots \
             WHERE slot_name = {slot} AND confirmed_flush_lsn < {position}::pg_lsn"
        );
        text(client, &sql).await.doing_sql(|| self.doing()).map(drop)
    }

    /// Where the log ends now.
    pub(super) async fn end(client: &Client) -> Result<String> {
        let end = text(client, "SELECT pg_current_wal_lsn()::text")
            .await
            .doing_sql(|| "asking for the log's end")?;
        end.ok_or_else(|| Error::failed("asking for the log's end", "the server does not say"))
    }

    /// The messages up to a position in the log, without forgetting them. All of a transaction or nothing.
    pub(super) fn messages(&self, upto: &str, changes: Option<u64>) -> String {
        let changes = changes.map_or("NULL".to_owned(), |changes| changes.to_string());
        format!(
            "pg_logical_slot_peek_binary_changes({}, {}::pg_lsn, {changes}, 'proto_version', '1', \
             'publication_names', {})",
            SQL.literal(&self.slot),
            SQL.literal(upto),
            SQL.literal(&SQL.identifier(&self.publication))
        )
    }

    /// What there is before `upto`, as much as fits a chunk; `None` if no row has changed.
    pub(super) async fn next(&self, client: &Client, upto: &str) -> Result<Option<LogExtent>> {
        // The first byte of a message: C commits, T truncates, I, U and D change a row.
        let sql = format!(
            "SELECT max(lsn) FILTER (WHERE kind = 67), max(number) FILTER (WHERE kind = 84), \
             count(*) FILTER (WHERE kind IN (73, 85, 68, 84)) FROM (SELECT lsn, get_byte(data, 0) AS kind, number \
             FROM {} WITH ORDINALITY AS message (lsn, xid, data, number)) AS message",
            self.messages(upto, Some(CHUNK_CHANGES))
        );
        let row = client
            .simple_query(&sql)
            .await
            .doing_sql(|| self.doing())?
            .into_iter()
            .find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            });
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(match (row.get(0), row.get(2)) {
            (None, _) | (_, None | Some("0")) => None,
            (Some(end), _) => Some(LogExtent {
                end: end.to_owned(),
                truncated: row.get(1).and_then(|number| number.parse().ok()),
            }),
        })
    }
}

/// The first value of a query.
async fn text(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
