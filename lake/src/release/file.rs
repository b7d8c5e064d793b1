//! The numbered files of a folder: releases, and checkpoints of them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cordada_core::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Serialize};

use super::docs_store::DocsStore;
use super::model::{Changes, Head, Relations, Release, Timelines};

/// A release as a file holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReleaseFile {
    #[serde(flatten)]
    pub(super) head: Head,
    #[serde(flatten)]
    pub(super) content: Content,
    /// With the whole map: the relations that were rolled back. Files of the time before that was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timelines: Option<Timelines>,
}

/// What there is under a number.
pub(super) enum Found {
    Nothing,
    File(ReleaseFile),
    /// A file that is cut off, as a power cut leaves it. What it should hold was never said to be published.
    Torn,
}

/// What a file says about the relations.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// What the release changed.
    Changes(Changes),
    /// The whole map: the first release of a log, a checkpoint, and releases of the time when each was whole.
    Relations(Relations),
}

impl ReleaseFile {
    /// The file of a release that can be read without any other. What is said about its relations is stored.
    ///
    /// # Errors
    /// It cannot be stored.
    pub(super) async fn whole(release: &mut Release, docs: &DocsStore) -> Result<Self> {
        let said = release.relations.values_mut().map(|relation| &mut relation.docs);
        docs.store(said.collect()).await?;
        Ok(Self {
            head: release.head(),
            content: Content::Relations(release.relations.clone()),
            timelines: Some(release.timelines.clone()),
        })
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self.content, Content::Relations(_))
    }
}

/// The numbered files of a folder.
#[derive(Debug)]
pub(super) struct ReleaseFiles {
    store: Arc<dyn ObjectStore>,
    /// Where the lake is, for errors: the releases are what every command reads first.
    lake: Arc<str>,
    folder: Path,
    /// What a file is, for errors.
    what: &'static str,
}

impl ReleaseFiles {
    pub(super) fn new(store: Arc<dyn ObjectStore>, lake: Arc<str>, folder: Path, what: &'static str) -> Self {
        Self {
            store,
            lake,
            folder,
            what,
        }
    }

    /// Where the lake is.
    pub(super) fn lake(&self) -> &str {
        &self.lake
    }

    /// The numbers from `first` on, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn numbers(&self, first: u64) -> Result<Vec<u64>> {
        Ok(self.list(first).await?.into_iter().map(|(number, _)| number).collect())
    }

    /// The numbers from `first` on, in order, and when their files were written, by the store's clock.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn list(&self, first: u64) -> Result<Vec<(u64, DateTime<Utc>)>> {
        let files = match first.checked_sub(1) {
            Some(before) => self.store.list_with_offset(Some(&self.folder), &self.file(before)),
            None => self.store.list(Some(&self.folder)),
        };
        let numbers = files.try_filter_map(|file| async move {
            let number = self.number(&file.location);
            Ok(number.map(|number| (number, file.last_modified)))
        });
        let mut numbers: Vec<_> = numbers
            .try_collect()
            .await
            .doing(|| format!("listing the {}s", self.what))
            .map_err(|error| error.with("lake", &self.lake))?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The file of that number, if there is one that is whole.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn read(&self, number: u64) -> Result<Option<ReleaseFile>> {
        match self.find(number).await? {
            Found::File(file) => Ok(Some(file)),
            Found::Nothing | Found::Torn => Ok(None),
        }
    }

    /// What there is under that number.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn find(&self, number: u64) -> Result<Found> {
        let doing = || format!("reading {} {number}", self.what);
        let bytes = match self.store.get(&self.file(number)).await {
            Ok(found) => found.bytes().await.doing(doing)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(Found::Nothing),
            Err(error) => return Err(error).doing(doing).map_err(|error| error.with("lake", &self.lake)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(file) => Ok(Found::File(file)),
            Err(error) if error.is_eof() || bytes.contains(&0) => Ok(Found::Torn),
            Err(error) => Err(error).doing(doing),
        }
    }

    /// Writes the file unless its number is taken; says whether it was written.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) async fn create(&self, file: &ReleaseFile) -> Result<bool> {
        let number = file.head.number;
        let (path, doing) = (self.file(number), || format!("publishing {} {number}", self.what));
        let json = serde_json::to_vec(file).doing(doing)?;
        match self.store.put_opts(&path, json.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(error).doing(doing).map_err(|error| error.with("lake", &self.lake)),
        }
    }

    /// Writes the file, whether or not its number is taken.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) async fn replace(&self, file: &ReleaseFile) -> Result<()> {
        let number = file.head.number;
        let doing = || format!("writing {} {number}", self.what);
        let json = serde_json::to_vec(file).doing(doing)?;
        let put = self.store.put(&self.file(number), json.into()).await;
        put.doing(doing).map_err(|error| error.with("lake", &self.lake))?;
        Ok(())
    }

    /// Deletes the files of those numbers, about in that order.
    ///
    /// # Errors
    /// One cannot be deleted.
    pub(super) async fn delete(&self, numbers: impl IntoIterator<Item = u64>) -> Result<()> {
        let files: Vec<_> = numbers.into_iter().map(|number| Ok(self.file(number))).collect();
        let deleted = self.store.delete_stream(futures::stream::iter(files).boxed());
        deleted
            .try_for_each(|_| async { Ok(()) })
            .await
            .doing(|| format!("deleting {}s", self.what))
            .map_err(|error| error.with("lake", &self.lake))
    }

    fn file(&self, number: u64) -> Path {
        self.folder.clone().join(format!("{number:020}.json"))
    }

    /// The number in a file's name; `None` for what is not directly in the folder, or not numbered.
    fn number(&self, file: &Path) -> Option<u64> {
        let mut parts = file.prefix_match(&self.folder)?;
        let name = parts.next()?;
        match parts.next() {
            None => name.as_ref().strip_suffix(".json")?.parse().ok(),
            Some(_) => None,
        }
    }
}
