//! `ops.audit`: who asked what, when, and what came of it.
//!
//! What happens is put down as a [`Record`] at once, in memory, and written in batches: a server that is killed loses what
//! happened since the last one, [`INTERVAL`] or [`BATCH`] records at most. Unless it has a [`log`]: there a statement is on
//! the disk before its first answer leaves. The records of a server are a [`chain`]: the hash of each covers the one before,
//! so that a record that is changed, or is missing between two others, shows.

mod chain;
mod log;
mod record;
mod statement;
mod verify;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cordada_core::{Error, Result};
use cordada_lake::Lake;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::auth::random_id;
use chain::Chain;
pub use log::OnDisk;
use log::{AuditLog, Written};
pub use record::{AUDIT, Event, Outcome, Record};
pub(crate) use statement::Noted;
pub use statement::Statement;
pub use verify::{Verified, verify};

/// How often what was put down is written.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Records that are written before that.
pub const BATCH: usize = 4_096;
/// Records that may wait while the lake is slow or away. Those beyond are not kept, and a record says how many.
const WAITING: usize = 65_536;

/// Puts down what happens. Clones are of the same server.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lake: Lake,
    /// The chain's name.
    name: String,
    waiting: Mutex<Waiting>,
    full: Notify,
    chain: AsyncMutex<Chain>,
    log: Option<AuditLog>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Record>,
    /// The number of the last one that was put down.
    number: i64,
    /// The number of the last statement that was put down when it began.
    statement: u64,
    /// Those of which the end is not put down yet.
    running: BTreeMap<u64, Vec<record::Value>>,
}

impl Audit {
    /// The audit of a server over that lake, whose records begin a chain.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub fn new(lake: &Lake) -> Result<Self> {
        Self::with(lake, None)
    }

    /// The same, which keeps what it puts down in a log in that folder until it is in the journal. What a server that was
    /// killed left there is in the journal now.
    ///
    /// # Errors
    /// Conflict: another server has the log. Those of reading it, and of writing the journal.
    pub async fn with_log(lake: &Lake, folder: &Path) -> Result<Self> {
        let log = AuditLog::open(lake, folder).await?;
        Self::with(lake, Some(log))
    }

    fn with(lake: &Lake, log: Option<AuditLog>) -> Result<Self> {
        let name = random_id()?;
        Ok(Self(Arc::new(Shared {
            lake: lake.clone(),
            waiting: Mutex::default(),
            full: Notify::new(),
            chain: AsyncMutex::new(Chain::new(name.clone())),
            name,
            log,
        })))
    }

    /// Puts down what happened.
    pub fn record(&self, record: Record) -> OnDisk {
        self.put_down(record, None)
    }

    /// Puts down what happened; `statement` is the number that it was put down with when it began.
    fn put_down(&self, record: Record, statement: Option<u64>) -> OnDisk {
        let mut waiting = self.waiting();
        if let Some(statement) = statement {
            waiting.running.remove(&statement);
        }
        let is_full = waiting.records.len() >= WAITING;
        if let Some(last) = waiting.records.back_mut().filter(|_| is_full)
            && last.event == Event::Lost
        {
            last.rows += 1;
            return OnDisk::default();
        }
        let record = match is_full {
            true => Record::lost(1),
            false => record,
        };
        waiting.number += 1;
        // Handed over in the order of the numbers.
        let on_disk = self.0.log.as_ref().map(|log| {
            log.write(&Written {
                chain: self.0.name.clone(),
                statement,
                number: waiting.number,
                has_ended: true,
                values: record.values(),
            })
        });
        waiting.records.push_back(record);
        if waiting.records.len() >= BATCH {
            self.0.full.notify_one();
        }
        on_disk.unwrap_or_default()
    }

    /// Puts down that a statement begins, if there is a log; gives its number, and says when it is on the disk.
    ///
    /// # Errors
    /// Unavailable: so much waits for the lake that its end could not be put down.
    fn begin(&self, record: impl FnOnce() -> Record) -> Result<Option<(u64, OnDisk)>> {
        let Some(log) = &self.0.log else {
            return Ok(None);
        };
        let values = record().values();
        let mut waiting = self.waiting();
        if waiting.records.len() >= WAITING {
            return Err(
                Error::unavailable("writing ops.audit", "too much waits to be written already")
                    .hint("see why the lake cannot be written"),
            );
        }
        waiting.statement += 1;
        let statement = waiting.statement;
        let written = self.begun(&waiting, statement, values.clone());
        waiting.running.insert(statement, values);
        Ok(Some((statement, log.write(&written))))
    }

    fn begun(&self, waiting: &Waiting, statement: u64, values: Vec<record::Value>) -> Written {
        Written {
            chain: self.0.name.clone(),
            statement: Some(statement),
            number: waiting.number,
            has_ended: false,
            values,
        }
    }

    /// Writes what was put down, again and again, until it is dropped: whoever serves has to let it run.
    pub async fn keep(&self) -> Infallible {
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.0.full.notified() => {}
            }
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "cannot write ops.audit; what is put down waits");
                // A lake that is away is not asked more often because much waits for it.
                tokio::time::sleep(INTERVAL).await;
            }
        }
    }

    /// Writes what was put down.
    ///
    /// # Errors
    /// Those of writing: what was put down waits.
    pub async fn flush(&self) -> Result<()> {
        let mut chain = self.0.chain.lock().await;
        // What is in these is among what waits.
        let segments = match &self.0.log {
            Some(log) => log.seal().await?,
            None => Vec::new(),
        };
        loop {
            if chain.unwritten().is_empty() {
                for record in self.take() {
                    if record.event == Event::Lost {
                        let lost = record.rows;
                        tracing::warn!(
                            lost,
                            "what happened while the lake could not be written is not in ops.audit"
                        );
                    }
                    chain.add(record.values());
                }
            }
            if chain.unwritten().is_empty() {
                break;
            }
            self.0.lake.journal(AUDIT, record::batch(chain.unwritten())?).await?;
            chain.set_written();
        }
        match &self.0.log {
            Some(log) if !segments.is_empty() => {
                for running in self.carry(log) {
                    running.settled().await?;
                }
                log.forget(segments).await
            }
            _ => Ok(()),
        }
    }

    /// Writes what is known of statements that run once more, so that what was written before can be forgotten.
    fn carry(&self, log: &AuditLog) -> Vec<OnDisk> {
        let waiting = self.waiting();
        let running = waiting.running.iter();
        running
            .map(|(statement, values)| log.write(&self.begun(&waiting, *statement, values.clone())))
            .collect()
    }

    fn take(&self) -> Vec<Record> {
        let mut waiting = self.waiting();
        let count = waiting.records.len().min(BATCH);
        waiting.records.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
