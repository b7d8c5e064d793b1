//! A statement, from when it comes to when its last row is sent.

use chrono::Utc;
use cordada_core::{Result, TableName, hex};
use cordada_lake::query::sql::{without_literals, without_quotes};
use ring::digest::{SHA256, digest};

use super::record::{Event, Outcome, Record};
use super::{Audit, OnDisk};
use crate::auth::Principal;
use crate::engine::{PlannedQuery, Scope};

/// Bytes of a statement whose text is put down, and not its hash alone: one of megabytes is literals, most of it.
const LONGEST: usize = 256 << 10;

/// What is put down of a statement once it is over. One that is dropped before it ended was cancelled.
#[derive(Debug)]
pub struct Statement {
    audit: Audit,
    /// Its text, if that is put down.
    sql: Option<String>,
    /// Whether its text was understood.
    is_planned: bool,
    /// What it was put down with when it began, if there is a log.
    number: Option<u64>,
    /// `None` once it is put down.
    record: Option<Box<Record>>,
}

impl Audit {
    /// A statement came.
    pub fn statement(&self, door: &'static str, asker: &Principal, session: Option<&str>, sql: &str) -> Statement {
        let record = Record {
            user: Some(asker.name.clone()),
            session: session.map(|session| hash(session.as_bytes())),
            sql_hash: Some(hash(sql.as_bytes())),
            queued_at: Some(Utc::now()),
            ..Record::new(Event::Statement, door, Outcome::Cancelled)
        };
        Statement {
            audit: self.clone(),
            sql: (sql.len() <= LONGEST).then(|| sql.to_owned()),
            is_planned: false,
            number: None,
            record: Some(Box::new(record)),
        }
    }

    /// Rows come for that table.
    pub fn ingest(&self, door: &'static str, asker: &Principal, session: Option<&str>, table: &TableName) -> Statement {
        let now = Some(Utc::now());
        let record = Record {
            user: Some(asker.name.clone()),
            session: session.map(|session| hash(session.as_bytes())),
            relations: Some(table.to_string()),
            queued_at: now,
            started_at: now,
            ..Record::new(Event::Ingest, door, Outcome::Cancelled)
        };
        Statement {
            audit: self.clone(),
            sql: None,
            is_planned: false,
            number: None,
            record: Some(Box::new(record)),
        }
    }
}

impl Statement {
    /// It was planned so.
    pub fn planned(&mut self, scope: &Scope, planned: &PlannedQuery) {
        self.is_planned = true;
        let Some(record) = &mut self.record else { return };
        let relations = planned.relations(&scope.schema);
        let names: Vec<_> = relations.iter().map(ToString::to_string).collect();
        let mut roles: Vec<_> = relations
            .iter()
            .flat_map(|name| scope.access.limits(name))
            .map(|grant| grant.role.as_str())
            .collect();
        roles.sort();
        roles.dedup();
        record.release = Some(scope.release.number);
        record.relations = (!names.is_empty()).then(|| names.join(", "));
        record.policies = (!roles.is_empty()).then(|| roles.join(", "));
    }

    /// It begins to run.
    pub fn started(&mut self) {
        if let Some(record) = &mut self.record {
            record.started_at = Some(Utc::now());
        }
    }

    /// Rows of it were sent.
    pub fn sent(&mut self, rows: u64, bytes: u64) {
        let Some(record) = &mut self.record else { return };
        record.rows += rows;
        record.bytes += bytes;
        if rows > 0 {
            record.first_batch_at.get_or_insert_with(Utc::now);
        }
    }

    /// It is about to be answered: whoever keeps a log has that it began on the disk before.
    ///
    /// # Errors
    /// Unavailable: it cannot be put down, so that it must not be answered.
    pub async fn begins(&mut self) -> Result<()> {
        let Some(record) = &self.record else {
            return Ok(());
        };
        let begun = self.audit.begin(|| Record {
            sql: self.shown(),
            recorded_at: Utc::now(),
            outcome: Outcome::Unknown,
            ..Record::clone(record)
        })?;
        match begun {
            None => Ok(()),
            Some((number, on_disk)) => {
                self.number = Some(number);
                on_disk.settled().await
            }
        }
    }

    /// It is over. `error` is the class of what ended it.
    pub fn ended(&mut self, outcome: Outcome, error: Option<String>) -> OnDisk {
        let Some(record) = self.record.take() else {
            return OnDisk::default();
        };
        let now = Utc::now();
        let record = Record {
            sql: self.shown(),
            outcome,
            error,
            ended_at: Some(now),
            recorded_at: now,
            ..*record
        };
        self.audit.put_down(record, self.number)
    }

    /// Its text as it is put down.
    fn shown(&self) -> Option<String> {
        let sql = self.sql.as_deref()?;
        Some(match self.is_planned {
            true => without_literals(sql),
            false => without_quotes(sql),
        })
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        self.ended(Outcome::Cancelled, None);
    }
}

/// SHA-256 in hexadecimal.
fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}
