//! `ops.audit`: who asked what, when, and what came of it.
//!
//! What happens is put down as a [`Record`] at once, in memory, and written in batches: a server that is killed loses what
//! happened since the last one, [`INTERVAL`] or [`BATCH`] records at most. The records of a server are a [`chain`]: the hash
//! of each covers the one before, so that a record that is changed, or is missing between two others, shows.

mod chain;
mod record;
mod statement;
mod verify;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cordada_core::Result;
use cordada_lake::Lake;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::auth::random_id;
use chain::Chain;
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
    waiting: Mutex<Waiting>,
    full: Notify,
    chain: AsyncMutex<Chain>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Record>,
    lost: u64,
}

impl Audit {
    /// The audit of a server over that lake, whose records begin a chain.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub fn new(lake: &Lake) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            lake: lake.clone(),
            waiting: Mutex::default(),
            full: Notify::new(),
            chain: AsyncMutex::new(Chain::new(random_id()?)),
        })))
    }

    /// Puts down what happened. Never waits.
    pub fn record(&self, record: Record) {
        let mut waiting = self.waiting();
        if waiting.records.len() >= WAITING {
            waiting.lost += 1;
            return;
        }
        waiting.records.push_back(record);
        if waiting.records.len() >= BATCH {
            self.0.full.notify_one();
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
        loop {
            if chain.unwritten().is_empty() {
                let (records, lost) = self.take();
                if lost > 0 {
                    tracing::warn!(
                        lost,
                        "what happened while the lake could not be written is not in ops.audit"
                    );
                    chain.add(Record::lost(lost));
                }
                records.into_iter().for_each(|record| chain.add(record));
            }
            if chain.unwritten().is_empty() {
                return Ok(());
            }
            self.0.lake.journal(AUDIT, record::batch(chain.unwritten())?).await?;
            chain.set_written();
        }
    }

    fn take(&self) -> (Vec<Record>, u64) {
        let mut waiting = self.waiting();
        let count = waiting.records.len().min(BATCH);
        let records = waiting.records.drain(..count).collect();
        (records, std::mem::take(&mut waiting.lost))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
