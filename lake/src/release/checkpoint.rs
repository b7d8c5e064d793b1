//! Checkpoints: whole maps beside the releases, so that reading a release takes few files.
//!
//! A checkpoint says what the releases up to it say already. Nothing but time is lost with it, so whoever publishes
//! writes it afterwards, and an error of it is only logged.

use std::sync::Arc;

use cordada_core::{ErrorKind, Result};

use super::docs_store::DocsStore;
use super::file::{ReleaseFile, ReleaseFiles};
use super::log::State;

/// Releases between two checkpoints, at least.
const INTERVAL: u64 = 32;

/// Relations for which a release more goes between two checkpoints: a checkpoint costs as much to write as there are
/// relations, so a lake of many writes it less often, and what a release costs does not grow with them.
const RELATIONS_A_RELEASE: u64 = 8;

/// The checkpoints of a log.
#[derive(Debug)]
pub(super) struct Checkpoints {
    files: ReleaseFiles,
    docs: Arc<DocsStore>,
}

impl Checkpoints {
    pub(super) fn new(files: ReleaseFiles, docs: Arc<DocsStore>) -> Self {
        Self { files, docs }
    }

    /// The newest one's number; 0 if there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn newest(&self) -> Result<u64> {
        Ok(self.files.numbers(0).await?.last().copied().unwrap_or_default())
    }

    /// The newest one up to release `number` that can be read.
    ///
    /// # Errors
    /// The store is unavailable.
    pub(super) async fn before(&self, number: u64) -> Result<Option<ReleaseFile>> {
        let numbers = self.files.numbers(0).await?;
        for &known in numbers.iter().rev().filter(|known| **known <= number) {
            match self.files.read(known).await {
                Ok(Some(file)) if file.is_whole() => return Ok(Some(file)),
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(error) => tracing::warn!(%error, "a checkpoint cannot be read; the releases before it are read"),
                // Deleted since it was listed.
                Ok(_) => {}
            }
        }
        Ok(None)
    }

    /// Writes a checkpoint of `state`, which was just published, if one is due.
    pub(super) async fn write_if_due(&self, state: &mut State) {
        if is_due(state)
            && let Err(error) = self.write(state).await
        {
            tracing::warn!(%error, "a checkpoint cannot be written; the next release tries again");
        }
    }

    async fn write(&self, state: &mut State) -> Result<()> {
        // Another process may have written one.
        state.whole = state.whole.max(Some(self.newest().await?));
        if is_due(state) {
            let release = Arc::make_mut(&mut state.release);
            let file = ReleaseFile::whole(release, &self.docs).await?;
            self.files.replace(&file).await?;
            state.whole = Some(release.number);
        }
        Ok(())
    }

    /// Deletes those before release `number`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(super) async fn drop_before(&self, number: u64) -> Result<()> {
        let numbers = self.files.numbers(0).await?;
        self.files
            .delete(numbers.into_iter().filter(|known| *known < number))
            .await
    }
}

fn is_due(state: &State) -> bool {
    let whole = state.whole.unwrap_or_default();
    let interval = INTERVAL.max(state.release.relations.len() as u64 / RELATIONS_A_RELEASE);
    state.release.number.saturating_sub(whole) >= interval
}
