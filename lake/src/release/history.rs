//! What was published, release by release.

use cordada_core::{Error, Result};
use futures::{Stream, TryStreamExt, future, stream};

use super::file::Content;
use super::log::{PARALLEL_READS, ReleaseLog};
use super::model::{Changes, Head, changes_between};

/// A release of the past: who published it, and what it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRelease {
    /// Everything but its relations.
    pub head: Head,
    /// What it changed of the release before. For the oldest that there is, all that it has.
    pub changes: Changes,
}

impl ReleaseLog {
    /// All releases, newest first, each read as it is asked for.
    pub fn history(&self) -> impl Stream<Item = Result<PastRelease>> + Send + '_ {
        stream::once(self.files.numbers(0))
            .map_ok(|numbers| {
                let before: Vec<_> = std::iter::once(None).chain(numbers.iter().copied().map(Some)).collect();
                stream::iter(numbers.into_iter().zip(before).rev().map(Ok::<_, Error>))
            })
            .try_flatten()
            .map_ok(|(number, before)| self.published(number, before))
            .try_buffered(PARALLEL_READS)
            .try_filter_map(future::ok)
    }

    /// What release `number` changed of `before`; `None` if it was dropped meanwhile.
    async fn published(&self, number: u64, before: Option<u64>) -> Result<Option<PastRelease>> {
        let Some(file) = self.files.read(number).await? else {
            return Ok(None);
        };
        let mut head = file.head;
        let changes = match file.content {
            Content::Changes(changes) => changes,
            Content::Relations(relations) => {
                head.relation_count = relations.len();
                let before = match before {
                    Some(before) => self.state(before).await?,
                    None => None,
                };
                let before = before.map(|state| state.release).unwrap_or_default();
                changes_between(&before.relations, &relations)
            }
        };
        Ok(Some(PastRelease { head, changes }))
    }
}
