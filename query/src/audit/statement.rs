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
    /// Its text, until it is known what is put down of that.
    sql: Option<String>,
    /// What it was put down with when it began, if there is a log.
    number: Option<u64>,
    /// `None` once it is put down.
    record: Option<Box<Record>>,
}

/// What is put down of a planned statement whenever it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    sql_hash: String,
    sql: Option<String>,
    relations: Option<String>,
    policies: Option<String>,
}

impl Audit {
    /// A statement came.
    pub fn statement(&self, door: &'static str, asker: &Principal, session: Option<&str>, sql: &str) -> Statement {
        let record = Record {
            user: Some(asker.name.clone()),
            session: session.map(|session| hash(session.as_bytes())),
            queued_at: Some(Utc::now()),
            ..Record::new(Event::Statement, door, Outcome::Cancelled)
        };
        Statement {
            audit: self.clone(),
            sql: Some(sql.to_owned()),
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
            number: None,
            record: Some(Box::new(record)),
        }
    }
}

impl Statement {
    /// It was planned so, in that scope.
    pub fn planned(&mut self, scope: &Scope, planned: &PlannedQuery) {
        let (Some(record), Some(sql)) = (&mut self.record, self.sql.take()) else {
            return;
        };
        let noted = planned.noted.get_or_init(|| Noted::of(&sql, scope, planned)).clone();
        record.release = Some(scope.release.number);
        record.sql_hash = Some(noted.sql_hash);
        record.sql = noted.sql;
        record.relations = noted.relations;
        record.policies = noted.policies;
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
        let begun = self.audit.begin(|| {
            let mut record = Record::clone(record);
            if let Some(sql) = &self.sql {
                not_understood(&mut record, sql);
            }
            record.recorded_at = Utc::now();
            record.outcome = Outcome::Unknown;
            record
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
        let Some(mut record) = self.record.take() else {
            return OnDisk::default();
        };
        if let Some(sql) = self.sql.take() {
            not_understood(&mut record, &sql);
        }
        let now = Utc::now();
        record.outcome = outcome;
        record.error = error;
        record.ended_at = Some(now);
        record.recorded_at = now;
        self.audit.put_down(*record, self.number)
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        self.ended(Outcome::Cancelled, None);
    }
}

impl Noted {
    fn of(sql: &str, scope: &Scope, planned: &PlannedQuery) -> Self {
        let relations = planned.relations(&scope.schema);
        let names: Vec<_> = relations.iter().map(ToString::to_string).collect();
        let mut roles: Vec<_> = relations
            .iter()
            .flat_map(|name| scope.access.limits(name))
            .map(|grant| grant.role.as_str())
            .collect();
        roles.sort();
        roles.dedup();
        Self {
            sql_hash: hash(sql.as_bytes()),
            sql: shown(sql, without_literals),
            relations: (!names.is_empty()).then(|| names.join(", ")),
            policies: (!roles.is_empty()).then(|| roles.join(", ")),
        }
    }
}

/// Notes the text of what was not planned: whatever stands in quotes may be a value.
fn not_understood(record: &mut Record, sql: &str) {
    record.sql_hash = Some(hash(sql.as_bytes()));
    record.sql = shown(sql, without_quotes);
}

/// What is shown of a text that is not too long.
fn shown(sql: &str, without: fn(&str) -> String) -> Option<String> {
    (sql.len() <= LONGEST).then(|| without(sql))
}

/// SHA-256 in hexadecimal.
fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}
