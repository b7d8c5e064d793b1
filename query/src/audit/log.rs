//! The log in which records wait on the disk until they are in the journal, where that was asked for.
//!
//! A statement is in it before its first answer leaves, and again when it ended. What a process left that was killed, the
//! next one that has its log puts into the journal, as the chain of that process goes on: records that ended, and behind them
//! the statements that did not, whose outcome is `unknown`. Those that are in the journal already are known by their numbers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cordada_core::threads::blocking;
use cordada_core::{Context, Error, Result};
use cordada_lake::Lake;
use cordada_lake::query::sql;
use cordada_wal::{Entry, Found, Limits, Log, Logs, Segment};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};

use super::BATCH;
use super::chain::{Chain, beginning};
use super::record::{AUDIT, VALUES, Value, batch, rows};

/// What is being done when the log fails.
const DOING: &str = "reading the log of the audit";
const LIMITS: Limits = Limits {
    what: "the log of the audit",
    segment: 16 << 20,
    backlog: 256 << 20,
};

/// What is written of a record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Written {
    /// The chain that it is of.
    pub(super) chain: String,
    /// The statement that it is of, if that was written when it began.
    pub(super) statement: Option<u64>,
    /// Its number in the chain if it has ended, else that of the last one before it.
    pub(super) number: i64,
    pub(super) has_ended: bool,
    pub(super) values: Vec<Value>,
}

/// Says when something that was put down is on the disk: at once, if there is no log. Nobody has to wait for it.
#[derive(Default)]
pub struct OnDisk(Option<BoxFuture<'static, Result<()>>>);

impl OnDisk {
    /// Waits until it is.
    ///
    /// # Errors
    /// Unavailable: the disk is full or broken, or too much waits there.
    pub async fn settled(self) -> Result<()> {
        match self.0 {
            Some(written) => written.await,
            None => Ok(()),
        }
    }
}

/// The log of a server.
pub(super) struct AuditLog(Arc<Log>);

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditLog")
    }
}

impl AuditLog {
    /// The log in that folder, whose records of processes before are in the journal now.
    ///
    /// # Errors
    /// Conflict: another server has it. Those of reading it, and of writing the journal.
    pub(super) async fn open(lake: &Lake, folder: &Path) -> Result<Self> {
        let dir = folder.to_owned();
        let log = blocking(DOING, move || Logs::default().open(&dir, LIMITS)).await?;
        let log = log.ok_or_else(|| {
            Error::conflict("opening the log of the audit", "another server of this project has it")
                .hint("stop that one, or serve from a project of its own")
                .with("folder", folder.display())
        })?;
        let log = Self(log);
        log.recover(lake).await?;
        Ok(log)
    }

    /// Has it written, behind all that was before.
    pub(super) fn write(&self, written: &Written) -> OnDisk {
        let written = match serde_json::to_vec(written) {
            Ok(json) => self.0.hand_over(vec![Entry::Record(json)], None).boxed(),
            Err(error) => ready(Err(Error::failed("writing the log of the audit", error))).boxed(),
        };
        OnDisk(Some(written))
    }

    /// The segments that hold all that was written so far.
    ///
    /// # Errors
    /// Failed: the log is closed.
    pub(super) async fn seal(&self) -> Result<Vec<Segment>> {
        self.0.seal().await?;
        Ok(self.0.sealed())
    }

    /// Forgets segments whose records are in the journal, or in others.
    ///
    /// # Errors
    /// Unavailable: the disk cannot be written.
    pub(super) async fn forget(&self, segments: Vec<Segment>) -> Result<()> {
        let log = self.0.clone();
        blocking(DOING, move || {
            segments
                .iter()
                .try_for_each(|segment| log.remove(segment, !segment.is_whole()?))
        })
        .await
    }

    async fn recover(&self, lake: &Lake) -> Result<()> {
        let segments = self.0.sealed();
        if segments.is_empty() {
            return Ok(());
        }
        let (all, read) = (segments.clone(), segments);
        let left = blocking(DOING, move || left_in(&read)).await?;
        for (name, left) in left {
            let mut chain = landed(lake, name).await?;
            let (before, rows) = (chain.number(), left.rows());
            for (number, values) in rows.filter(|(number, _)| *number > before) {
                chain.leave_out(number);
                chain.add(values);
                if chain.unwritten().len() >= BATCH {
                    lake.journal(AUDIT, batch(chain.unwritten())?).await?;
                    chain.set_written();
                }
            }
            lake.journal(AUDIT, batch(chain.unwritten())?).await?;
            tracing::warn!(
                records = chain.number() - before,
                "what a server that was killed had put down is in ops.audit"
            );
        }
        self.forget(all).await
    }
}

/// What a process left.
#[derive(Default)]
struct Left {
    /// By their numbers.
    ended: BTreeMap<i64, Vec<Value>>,
    running: BTreeMap<u64, Vec<Value>>,
    /// The number of the last one that ended.
    last: i64,
}

impl Left {
    /// The records with their numbers.
    fn rows(self) -> impl Iterator<Item = (i64, Vec<Value>)> {
        self.ended
            .into_iter()
            .chain((self.last + 1..).zip(self.running.into_values()))
    }
}

/// What is in the segments, by the chain.
fn left_in(segments: &[Segment]) -> Result<BTreeMap<String, Left>> {
    let mut all: BTreeMap<String, Left> = BTreeMap::new();
    for segment in segments {
        let mut scan = segment.scan()?;
        while let Some(found) = scan.advance()? {
            let json = match found {
                Found::Record(_, Entry::Record(json) | Entry::Rejected(json)) => json,
                Found::Damage(damage) => {
                    tracing::error!(file = %segment.path.display(), %damage, "the log of the audit is damaged");
                    continue;
                }
            };
            let written: Written = serde_json::from_slice(&json).doing(|| DOING)?;
            if written.values.len() != VALUES {
                return Err(
                    Error::failed(DOING, "its records are those of another version of the program")
                        .hint("start the version that wrote it once, and end it")
                        .with("file", segment.path.display()),
                );
            }
            let left = all.entry(written.chain).or_default();
            left.last = left.last.max(written.number);
            match (written.has_ended, written.statement) {
                (true, statement) => {
                    if let Some(statement) = statement {
                        left.running.remove(&statement);
                    }
                    left.ended.insert(written.number, written.values);
                }
                (false, Some(statement)) => {
                    left.running.insert(statement, written.values);
                }
                (false, None) => {}
            }
        }
    }
    Ok(all)
}

/// The chain behind its last record in the journal.
async fn landed(lake: &Lake, name: String) -> Result<Chain> {
    let doing = || "reading ops.audit";
    let session = lake.session(&lake.releases().newest().await?);
    let last = format!(
        "select number, hash from lake.ops.audit where chain = '{}' order by number desc limit 1",
        name.replace('\'', "''")
    );
    let plan = sql::plan(lake, &session, &last).await?;
    let batches = session.execute_logical_plan(plan).await.doing(doing)?;
    let batches = batches.collect().await.doing(doing)?;
    let last = batches.iter().find(|batch| batch.num_rows() > 0);
    let last = last.map(rows).transpose()?.and_then(|rows| rows.into_iter().next());
    Ok(match last.as_deref() {
        Some([Value::Number(Some(number)), Value::Text(Some(hash))]) => Chain::behind(name, *number, hash.clone()),
        _ => {
            let hash = beginning(&name);
            Chain::behind(name, 0, hash)
        }
    })
}
