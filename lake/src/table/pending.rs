//! Writes that wait for their commit: what a build makes is seen by its own sessions, so that its tests can run on it,
//! and by nobody else until they have passed. A version in a table's log is what other engines read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use cordada_core::threads::locked;
use cordada_core::{Error, Result};
use futures::{StreamExt, stream};

use crate::lake::Lake;
use crate::release::Draft;
use crate::table::data_file;
use crate::table::mode::WriteReport;
use crate::table::outcome::Outcome;
use crate::table::snapshot::TableSnapshot;
use crate::table::write::TableWriter;

/// The pending writes of one run, by the table's folder.
#[derive(Debug, Default)]
pub(crate) struct PendingWrites(Mutex<BTreeMap<String, PendingWrite>>);

struct PendingWrite {
    writer: TableWriter,
    outcome: Outcome,
    /// The table as its commit will make it.
    candidate: Arc<TableSnapshot>,
}

impl std::fmt::Debug for PendingWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version {}", self.candidate.version())
    }
}

impl PendingWrites {
    /// Keeps the write until it is committed. One that changes nothing is done.
    ///
    /// # Errors
    /// Failed: a write of the same table is pending.
    pub(crate) fn keep(&self, writer: TableWriter, outcome: Outcome) -> Result<WriteReport> {
        let Some(candidate) = writer.candidate(&outcome)? else {
            let version = writer.latest.as_ref().map_or(0, |latest| latest.version());
            return Ok(writer.written(&outcome, version));
        };
        let report = writer.written(&outcome, candidate.version());
        let mut pending = locked(&self.0);
        if pending.contains_key(&writer.path) {
            let doing = format!("writing {}", writer.table);
            return Err(Error::failed(doing, "a write of it is pending already"));
        }
        let write = PendingWrite {
            candidate: Arc::new(candidate),
            outcome,
            writer,
        };
        pending.insert(write.writer.path.clone(), write);
        Ok(report)
    }

    /// The table at `path`, if a pending write will make it that version.
    pub(crate) fn snapshot(&self, path: &str, version: u64) -> Option<Arc<TableSnapshot>> {
        let pending = locked(&self.0);
        let candidate = &pending.get(path)?.candidate;
        (candidate.version() == version).then(|| candidate.clone())
    }

    fn take(&self) -> Vec<PendingWrite> {
        std::mem::take(&mut *locked(&self.0)).into_values().collect()
    }
}

impl Lake {
    /// The same lake, but that writes stay pending: they are in files, and sessions of this lake see them as the version
    /// that [`Lake::commit_pending`] will make of them. Each table can be written once.
    #[must_use]
    pub fn with_pending_writes(&self) -> Lake {
        let mut lake = self.clone();
        lake.pending = Some(Arc::default());
        lake
    }

    /// Commits the pending writes, and `draft`, which refers to them, follows where a version became another one because
    /// somebody compacted the table meanwhile. A table's commit stays if another's fails: what it holds is as good, only
    /// not published.
    ///
    /// # Errors
    /// Conflict when another writer came first; a store that cannot be written.
    pub async fn commit_pending(&self, draft: &mut Draft) -> Result<()> {
        let pending = self.pending().map(PendingWrites::take).unwrap_or_default();
        let commits = pending.into_iter().map(|write| async {
            let PendingWrite {
                writer,
                outcome,
                candidate,
            } = write;
            let turn = self.writer(candidate.path());
            let _turn = turn.lock().await;
            let written = writer.commit(outcome).await?;
            Ok(((candidate.path().to_owned(), candidate.version()), written.version))
        });
        // All of them come to their end, for one that is dropped on the way may be durable or not.
        let commits: Vec<_> = stream::iter(commits).buffered(self.parallelism()).collect().await;
        let versions: HashMap<(String, u64), u64> = commits.into_iter().collect::<Result<_>>()?;
        draft.follow(&versions);
        Ok(())
    }

    /// Removes the files of the pending writes, which will not be committed.
    pub async fn discard_pending(&self) {
        for write in self.pending().map(PendingWrites::take).unwrap_or_default() {
            data_file::discard(self.object_store(), &write.writer.path, &write.outcome.added).await;
        }
    }
}
