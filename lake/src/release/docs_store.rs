//! Documentation apart from the releases: a file each, named by the hash of its content, written when it changes and
//! read when it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cordada_core::threads::locked;
use cordada_core::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::docs::{Docs, DocsRef};

/// How much documentation is kept in memory: more than the relations of any project we know of.
const CACHED: usize = 4096;

/// Files that are written at the same time.
const PARALLEL_WRITES: usize = 16;

/// The documentation of all environments.
#[derive(Debug)]
pub(crate) struct DocsStore {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// By hash: what was read or written.
    known: Mutex<HashMap<String, Arc<Docs>>>,
}

impl DocsStore {
    /// The documentation in `docs` of that folder.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, folder: &Path) -> Self {
        Self {
            store,
            folder: folder.clone().join("docs"),
            known: Mutex::default(),
        }
    }

    /// The documentation that is referred to.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn get(&self, docs: &DocsRef) -> Result<Arc<Docs>> {
        if docs.is_empty() {
            return Ok(Arc::default());
        }
        if let Some(unstored) = docs.unstored() {
            return Ok(unstored.clone());
        }
        if let Some(known) = locked(&self.known).get(docs.hash()) {
            return Ok(known.clone());
        }
        let doing = || format!("reading the documentation {}", docs.hash());
        let found = self.store.get(&self.file(docs)).await.doing(doing)?;
        let read: Docs = serde_json::from_slice(&found.bytes().await.doing(doing)?).doing(doing)?;
        let read = Arc::new(read);
        self.remember(docs, read.clone());
        Ok(read)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stores those that are not stored yet, though the same may have been before: what no release named for long is
    /// removed one day, unless it was stored lately.
    ///
    /// # Errors
    /// One cannot be written.
    pub(super) async fn store(&self, all: Vec<&mut DocsRef>) -> Result<()> {
        // Clones, because a stream over borrowed references is not provably `Send`.
        let writes: Vec<_> = all.iter().map(|docs| self.write((**docs).clone())).collect();
        let writes = stream::iter(writes).buffer_unordered(PARALLEL_WRITES);
        writes.try_collect::<()>().await?;
        all.into_iter().for_each(DocsRef::set_stored);
        Ok(())
    }

    async fn write(&self, docs: DocsRef) -> Result<()> {
        let Some(unstored) = docs.unstored() else {
            return Ok(());
        };
        let doing = || format!("writing the documentation {}", docs.hash());
        let json = serde_json::to_vec(&**unstored).doing(doing)?;
        self.store.put(&self.file(&docs), json.into()).await.doing(doing)?;
        self.remember(&docs, unstored.clone());
        Ok(())
    }

    fn remember(&self, docs: &DocsRef, content: Arc<Docs>) {
        let mut known = locked(&self.known);
        if known.len() >= CACHED {
            known.clear();
        }
        known.insert(docs.hash().to_owned(), content);
    }

    fn file(&self, docs: &DocsRef) -> Path {
        self.folder.clone().join(format!("{}.json", docs.hash()))
    }
}
