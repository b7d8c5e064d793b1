//! What changed between two versions of a table, told by their files: no clock has a say in it.

use std::collections::HashSet;
use std::sync::Arc;

use cordada_core::{Context, ErrorKind, Result};
use datafusion::catalog::TableProvider;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::lake::Lake;
use crate::query::provider::PinnedFiles;
use crate::table::snapshot::{DataFile, TableSnapshot};

/// Files that are looked for at a time.
const AT_ONCE: usize = 16;

/// What the later of two versions of a table has and the earlier one had not, and the reverse.
///
/// A row may be on both sides: it was put into another file.
#[derive(Debug)]
pub struct Changes {
    /// The rows of the files that only the later version has.
    pub came: Arc<dyn TableProvider>,
    /// The rows of the files that only the earlier version has, with the columns of the later one; `None` if there are
    /// no such files.
    pub went: Option<Arc<dyn TableProvider>>,
}

impl Lake {
    /// What changed of the table at `path` from one version to another, which need not be the later one. `None` if it
    /// can no longer be told: the log of the first was cleaned up, or files were removed that only it has.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn changes(&self, path: &str, from: u64, to: u64) -> Result<Option<Changes>> {
        let after = self.snapshot(path, to).await?;
        let before = match self.snapshot(path, from).await {
            Ok(before) => before,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => {
                tracing::debug!(path, from, %error, "the version is no longer there");
                return Ok(None);
            }
        };
        let (came, went) = (only_in(&after, &before), only_in(&before, &after));
        if !self.are_there(&went).await? {
            return Ok(None);
        }
        let files = |files| -> Arc<dyn TableProvider> { Arc::new(PinnedFiles::new(files, after.schema())) };
        Ok(Some(Changes {
            went: (!went.is_empty()).then(|| files(went)),
            came: files(came),
        }))
    }

    /// Whether nobody removed any of the files.
    async fn are_there(&self, files: &[Arc<DataFile>]) -> Result<bool> {
        let locations: Vec<Path> = files.iter().map(|file| file.location.clone()).collect();
        let looks = futures::stream::iter(locations).map(|location| async move {
            match self.object_store().head(&location).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(error).doing(|| format!("looking for {location}")),
            }
        });
        looks
            .buffer_unordered(AT_ONCE)
            .try_fold(true, |all, one| async move { Ok(all && one) })
            .await
    }
}

/// The files of `these` that the others have not.
fn only_in(these: &TableSnapshot, others: &TableSnapshot) -> Vec<Arc<DataFile>> {
    let others: HashSet<&str> = others.files().iter().map(|file| file.add.path.as_str()).collect();
    let files = these.files().iter();
    files
        .filter(|file| !others.contains(file.add.path.as_str()))
        .cloned()
        .collect()
}
