//! Dropping old releases.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cordada_core::{Error, Result};
use futures::{StreamExt, TryStreamExt, stream};

use super::file::ReleaseFile;
use super::log::{PARALLEL_READS, ReleaseLog};

impl ReleaseLog {
    /// The number of the first release that was published at `time` or later; `None` if all are older.
    ///
    /// A clock that was behind does not make a release older than those before it, and one that was ahead none younger
    /// than its file.
    ///
    /// # Errors
    /// The releases cannot be read.
    pub async fn first_since(&self, time: DateTime<Utc>) -> Result<Option<u64>> {
        let files = self.files.list(0).await?;
        let mut heads = stream::iter(files)
            .map(|(number, written)| async move {
                let file = self.files.read(number).await?;
                Ok::<_, Error>(file.map(|file| (number, written, file.head.published_at)))
            })
            .buffered(PARALLEL_READS);
        let mut latest = DateTime::<Utc>::MIN_UTC;
        while let Some(head) = heads.try_next().await? {
            let Some((number, written, published_at)) = head else {
                continue;
            };
            latest = latest.max(published_at);
            if latest.min(written) >= time {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Drops the releases before `number`, and says how many those were. The newest stays in any case, and those that
    /// stay can be read without those that go. Tables are left alone, and so is documentation, which environments
    /// share.
    ///
    /// # Errors
    /// The store cannot be written. Doing it again goes on.
    pub async fn drop_before(&self, number: u64) -> Result<usize> {
        let numbers = self.files.numbers(0).await?;
        let stays = numbers.iter().find(|known| **known >= number).or(numbers.last());
        let Some(&oldest) = stays else {
            return Ok(0);
        };
        let dropped: Vec<u64> = numbers.into_iter().filter(|known| *known < oldest).collect();
        if !dropped.is_empty() {
            self.make_whole(oldest).await?;
        }
        // Newest first, so that what is left after a crash still begins with a whole map.
        self.files.delete(dropped.iter().copied().rev()).await?;
        self.checkpoints.drop_before(oldest).await?;
        Ok(dropped.len())
    }

    /// Writes the release's file anew, with the whole map instead of the changes.
    async fn make_whole(&self, number: u64) -> Result<()> {
        let (Some(file), Some(state)) = (self.files.read(number).await?, self.state(number).await?) else {
            return Ok(());
        };
        if file.is_whole() {
            return Ok(());
        }
        let mut release = Arc::unwrap_or_clone(state.release);
        let file = ReleaseFile::whole(&mut release, &self.docs).await?;
        self.files.replace(&file).await
    }
}
