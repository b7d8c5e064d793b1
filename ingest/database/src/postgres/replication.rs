//! A replication slot and its publication: what keeps the log of one table's changes until they have landed.

use std::time::{Duration, Instant};

use cordada_core::names::snake_case;
use cordada_core::{Error, Result, hex};
use cordada_ingest_source::Environment;
use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::PgLsn;
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

/// PostgreSQL's limit for names.
const LONGEST_NAME: usize = 63;

/// A slot and a publication of one table. A slot is read by one lake and target alone: what one has taken in, the server
/// forgets for all.
#[derive(Debug, Clone)]
pub(super) struct Replication {
    slot: String,
    /// The slot of states that name none: those of before slots were of one lake and target, which was production.
    former: Option<String>,
    publication: String,
    label: String,
}

/// How much of the log is read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogExtent {
    /// Where the last transaction ends.
    pub(super) end: PgLsn,
    /// Which message empties the table, the last if there are several, from 1.
    pub(super) truncated: Option<u64>,
}

impl Replication {
    /// The stream's slot and publication. Unless the configuration names the slot, its name is derived from the lake,
    /// the target, the source and the stream; a target has one of its own in any case.
    pub(super) fn new(
        stream: &DatabaseStream,
        (source, name): (&str, &str),
        Environment { lake, target }: &Environment,
    ) -> Self {
        let plain = identifier(&format!("cordada_{source}_{name}"), LONGEST_NAME);
        let named = stream.slot.as_ref().filter(|_| target.is_none());
        let slot = named.cloned().unwrap_or_else(|| {
            let mut readable = stream.slot.clone().unwrap_or_else(|| plain.clone());
            let mut digest = Sha256::new_with_prefix(lake);
            for part in [target.as_deref().unwrap_or_default(), source, name] {
                digest.update([0]);
                digest.update(part);
            }
            if let Some(target) = target {
                readable.push('_');
                readable.push_str(target);
            }
            let digest = hex::encode(&digest.finalize()[..6]);
            format!("{}_{digest}", identifier(&readable, LONGEST_NAME - 1 - digest.len()))
        });
        let former = stream.slot.clone().unwrap_or_else(|| plain.clone());
        Self {
            slot,
            former: target.is_none().then_some(former),
            publication: stream.publication.clone().or(stream.slot.clone()).unwrap_or(plain),
            label: stream.label().to_owned(),
        }
    }

    /// The replication that a load left which noted that slot; `None` if it was not this lake's and target's.
    pub(super) fn of_state(&self, slot: Option<&str>) -> Option<Self> {
        let slot = slot.or(self.former.as_deref())?;
        let is_own = slot == self.slot || Some(slot) == self.former.as_deref();
        is_own.then(|| Self {
            slot: slot.to_owned(),
            ..self.clone()
        })
    }

    /// The slot's name.
    pub(super) fn slot(&self) -> &str {
        &self.slot
    }

    fn doing(&self) -> String {
        format!("following the changes of {}", self.label)
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
    pub(super) async fn position(&self, client: &Client) -> Result<Option<PgLsn>> {
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
                let why = format!("the server has removed changes of the slot {slot} that had not landed");
                let hint = format!("raise max_slot_wal_keep_size, and {}", self.copy_again());
                Err(Error::config(self.doing(), why).hint(hint))
            }
            position => position.map(|position| self.lsn(position)).transpose(),
        }
    }

    /// Whether a load can go on from `landed`, where the last one has ended, with a slot that is at `position` in a log
    /// that ends at `end`; `is_same` says whether it is the log of then.
    ///
    /// # Errors
    /// Failed: the server was restored, or replaced. Conflict: somebody else has moved the slot, be it another load of
    /// this stream.
    pub(super) fn check_continuity(&self, landed: PgLsn, position: PgLsn, end: PgLsn, is_same: bool) -> Result<()> {
        let slot = SQL.literal(&self.slot);
        let error = if !is_same || end < landed {
            let why = "the server's log is not the one whose changes have landed: the server was restored from a backup, \
                       failed over, or is another one";
            Error::failed(self.doing(), why).hint(self.copy_again())
        } else if position > landed {
            let why = format!(
                "the replication slot {slot} is ahead of what has landed: somebody else has read from it, or has made it \
                 anew, and changes are missing"
            );
            let hint = format!(
                "if nobody else needs the slot, {}; else give this stream one of its own with `slot:`",
                self.copy_again()
            );
            Error::conflict(self.doing(), why).hint(hint)
        } else {
            return Ok(());
        };
        Err(error
            .with("slot", &self.slot)
            .with("landed", landed)
            .with("position", position)
            .with("end", end))
    }

    /// What to do when changes are missing.
    fn copy_again(&self) -> String {
        format!("run: {}; the next load copies the table again", self.drop_statement())
    }

    /// The statement that drops the slot.
    pub(super) fn drop_statement(&self) -> String {
        format!("SELECT pg_drop_replication_slot({})", SQL.literal(&self.slot))
    }

    fn lsn(&self, text: &str) -> Result<PgLsn> {
        let wrong = |_| Error::failed(self.doing(), "the server's position in its log is not one");
        text.parse().map_err(wrong)
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
    pub(super) async fn create(&self, client: &Client) -> Result<PgLsn> {
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
                Some(position) => self.lsn(&position),
                None => Err(Error::failed(self.doing(), "the server made no replication slot")),
            },
        }
    }

    /// Tells the server that everything before `position` has landed. Never goes back.
    pub(super) async fn advance(&self, client: &Client, position: PgLsn) -> Result<()> {
        let (slot, position) = (SQL.literal(&self.slot), SQL.literal(&position.to_string()));
        let sql = format!(
            "SELECT pg_replication_slot_advance(slot_name, {position}::pg_lsn) FROM pg_replication_slots \
             WHERE slot_name = {slot} AND confirmed_flush_lsn < {position}::pg_lsn"
        );
        text(client, &sql).await.doing_sql(|| self.doing()).map(drop)
    }

    /// Where the log ends now, as far as it is on the disk, for no more of it is told.
    pub(super) async fn end(&self, client: &Client) -> Result<PgLsn> {
        let end = text(client, "SELECT pg_current_wal_flush_lsn()::text")
            .await
            .doing_sql(|| self.doing())?;
        self.lsn(end.as_deref().unwrap_or_default())
    }

    /// The messages up to a position in the log, without forgetting them. All of a transaction or nothing.
    pub(super) fn messages(&self, upto: PgLsn, changes: Option<u64>) -> String {
        let changes = changes.map_or("NULL".to_owned(), |changes| changes.to_string());
        format!(
            "pg_logical_slot_peek_binary_changes({}, {}::pg_lsn, {changes}, 'proto_version', '1', \
             'publication_names', {})",
            SQL.literal(&self.slot),
            SQL.literal(&upto.to_string()),
            SQL.literal(&SQL.identifier(&self.publication))
        )
    }

    /// What there is before `upto`, as much as fits a chunk; `None` if no row has changed.
    pub(super) async fn next(&self, client: &Client, upto: PgLsn) -> Result<Option<LogExtent>> {
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
                end: self.lsn(end)?,
                truncated: row.get(1).and_then(|number| number.parse().ok()),
            }),
        })
    }
}

/// Whether the server and the table are set up for it that changes are followed.
///
/// # Errors
/// Config, with what to do.
pub(super) async fn check(client: &Client, relation: &PostgresRelation, key: &[String]) -> Result<()> {
    let doing = || format!("following the changes of {}", relation.label);
    if text(client, "SHOW wal_level").await.doing_sql(doing)?.as_deref() != Some("logical") {
        return Err(Error::config(doing(), "the server keeps no log of changes")
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
        .doing_sql(doing)?;
    let identity = identity
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<Vec<String>, _>>();
    let identity = identity.doing_sql(doing)?;
    match key.iter().find(|column| !identity.contains(column)) {
        None => Ok(()),
        Some(column) => {
            let why = format!("the log does not tell `{column}` of rows that are deleted");
            let hint = format!(
                "use the primary key as `key:`, or run: ALTER TABLE {} REPLICA IDENTITY FULL",
                relation.sql
            );
            Err(Error::config(doing(), why).hint(hint))
        }
    }
}

/// A text as a name in PostgreSQL: its first letters, digits and underscores.
fn identifier(text: &str, longest: usize) -> String {
    let mut name = snake_case(text);
    name.retain(|c| c.is_ascii_alphanumeric() || c == '_');
    name.truncate(longest);
    name
}

/// The first value of a query.
pub(super) async fn text(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn replication(stream: &str, names: (&str, &str), lake: &str, target: Option<&str>) -> Replication {
        let stream = cordada_core::yaml::parse(std::path::Path::new("erp.yml"), stream).unwrap();
        let environment = Environment {
            lake: lake.to_owned(),
            target: target.map(str::to_owned),
        };
        Replication::new(&stream, names, &environment)
    }

    #[test]
    fn a_slot_is_of_one_lake_and_target() {
        let plain = "{table: sales, key: [id], changes: logical}";
        let named = "{table: sales, key: [id], changes: logical, slot: sales}";
        let long = "x".repeat(80);
        let mut slots = std::collections::BTreeSet::new();
        for lake in ["a", "b"] {
            for target in [None, Some("dev"), Some("Dev-2")] {
                for names in [
                    ("erp", "sales"),
                    ("erp_sales", ""),
                    ("erp", long.as_str()),
                    (long.as_str(), "erp"),
                ] {
                    let replication = replication(plain, names, lake, target);
                    let slot = replication.slot();
                    assert!(slot.starts_with("cordada_") && slot.len() <= LONGEST_NAME, "{slot}");
                    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                    assert!(slot.chars().all(is_allowed), "{slot}");
                    assert!(slots.insert(slot.to_owned()), "{slot}");
                }
            }
        }
        let names = ("erp", "sales");
        assert_eq!(replication(named, names, "a", None).slot(), "sales");
        let target = replication(named, names, "a", Some("dev"));
        assert!(target.slot().starts_with("sales_dev_"), "{target:?}");
        assert_eq!(target.publication, "sales");
    }

    #[test]
    fn what_production_has_read_from_it_goes_on_reading_from() {
        let plain = "{table: sales, key: [id], changes: logical}";
        let own = replication(plain, ("erp", "sales"), "a", None);
        let former = own.of_state(None).unwrap();
        assert_eq!(former.slot(), "cordada_erp_sales");
        assert_eq!(own.of_state(Some("cordada_erp_sales")).unwrap().slot(), former.slot());
        assert_eq!(own.of_state(Some(own.slot())).unwrap().slot(), own.slot());
        assert!(own.of_state(Some("another")).is_none());
        let target = replication(plain, ("erp", "sales"), "a", Some("dev"));
        assert!(target.of_state(None).is_none() && target.of_state(Some("cordada_erp_sales")).is_none());
    }

    #[test]
    fn what_is_missing_is_told() {
        let own = replication(
            "{table: sales, key: [id], changes: logical}",
            ("erp", "sales"),
            "a",
            None,
        );
        let check =
            |position: u64, end: u64, is_same| own.check_continuity(50.into(), position.into(), end.into(), is_same);
        assert!(check(50, 50, true).is_ok() && check(40, 60, true).is_ok());
        for (position, end, is_same) in [(51, 60, true), (40, 49, true), (40, 60, false)] {
            let error = check(position, end, is_same).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert!(error.to_string().contains(&own.drop_statement()), "{error}");
        }
    }
}
