//! A table's log: what each of its versions changed, and reading what the table is from that (Delta protocol).
//!
//! A table is read from its newest checkpoint and the entries after it, once; from then on each version is made from the
//! one before it and its own entry.

mod changes;
mod checkpoint;
mod checkpoint_writer;
mod protocol;

use std::sync::Arc;

use bytes::Bytes;
use cordada_core::{Context, Error, Result};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

pub(crate) use self::changes::{AddedFile, Changes};
pub(crate) use self::checkpoint::Content;
use self::checkpoint::{Checkpoint, Hint};
pub(crate) use self::protocol::Protocol;
use super::snapshot::TableSnapshot;

/// Entries that are read at the same time.
const PARALLEL_READS: usize = 32;

/// Entries that are read beyond the last one that is known to be there.
const READS_AHEAD: usize = 8;

/// Versions after which a checkpoint is nearer than the entries before it.
pub(crate) const FAR: u64 = 200;

/// The file that says which checkpoint is the newest.
const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// The log of a table.
#[derive(Debug)]
pub(crate) struct Log {
    store: Arc<dyn ObjectStore>,
    table: String,
    folder: Path,
    /// Whether a power cut can leave an entry torn: an object store writes all of it or nothing.
    tears: bool,
}

/// What there is under a version's name.
enum Found {
    Nothing,
    Entry(Changes),
    /// An entry that is cut off, as a power cut leaves it. What it should hold was never said to be committed.
    Torn,
}

/// What entries changed, one after the other.
#[derive(Default)]
struct Entries {
    changes: Changes,
    /// The last of them.
    last: Option<u64>,
    /// One that should be there, and is not.
    missing: Option<u64>,
}

/// What became of a table since a version of it.
pub(crate) enum Followed {
    Unchanged,
    Changed(TableSnapshot),
    /// That cannot be told: an entry is no longer there.
    Missing,
}

/// What became of an entry that was to be written.
pub(crate) enum Put {
    Written,
    /// There is one of that version.
    Taken,
    /// There is one of that version, which is torn.
    Torn,
}

impl Log {
    /// The log of the table at `table`, relative to the store, which is a local folder or not.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, table: &str, is_local: bool) -> Self {
        Self {
            store,
            folder: Path::from(format!("{table}/_delta_log")),
            table: table.to_owned(),
            tears: is_local,
        }
    }

    /// The table at its newest version; `None` if there is no table.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn newest(&self) -> Result<Option<TableSnapshot>> {
        self.open(None).await
    }

    /// The table at that version.
    ///
    /// # Errors
    /// It cannot be read, or there is no such version.
    pub(crate) async fn at(&self, version: u64) -> Result<TableSnapshot> {
        self.open(Some(version)).await?.ok_or_else(|| self.missing(version))
    }

    async fn open(&self, version: Option<u64>) -> Result<Option<TableSnapshot>> {
        let wanted = |checkpoint: u64| version.is_none_or(|version| checkpoint <= version);
        if let Some(hint) = self.hint().await?.filter(|hint| wanted(hint.version))
            && let Some(base) = self.checkpoint(&Checkpoint::hinted(&self.folder, &hint)).await?
        {
            match self.follow(&base, version).await? {
                Followed::Unchanged => return Ok(Some(base)),
                Followed::Changed(table) => return Ok(Some(table)),
                Followed::Missing => {}
            }
        }
        // There is no checkpoint, or the one that is hinted at is not enough.
        let (newest, checkpoints) = self.list().await?;
        let Some(newest) = newest else {
            return Ok(None);
        };
        let mut base = None;
        for checkpoint in checkpoints.iter().filter(|checkpoint| wanted(checkpoint.version)) {
            base = self.checkpoint(checkpoint).await?;
            if base.is_some() {
                break;
            }
        }
        let first = base.as_ref().map_or(0, |base| base.version() + 1);
        let entries = self.entries(first, version, Some(newest)).await?;
        match (entries.missing, entries.last, base) {
            (Some(missing), ..) => Err(self.missing(missing)),
            (None, None, base) => Ok(base),
            (None, Some(last), Some(base)) => base.then(last, entries.changes).map(Some),
            (None, Some(last), None) => TableSnapshot::first(&self.table, last, entries.changes).map(Some),
        }
    }

    /// What became of the table since `known`, to `version` or the newest one.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn follow(&self, known: &TableSnapshot, version: Option<u64>) -> Result<Followed> {
        let next = known.version() + 1;
        if version.is_none() {
            let (there, own) = futures::try_join!(self.exists(next), self.exists(known.version()))?;
            if !there {
                return Ok(match own {
                    true => Followed::Unchanged,
                    false => Followed::Missing,
                });
            }
            // From a checkpoint that is much later the table is read sooner.
            if self.hint().await?.is_some_and(|hint| hint.version > next + FAR) {
                return Ok(Followed::Missing);
            }
        }
        let entries = self.entries(next, version, None).await?;
        Ok(match (entries.missing, entries.last) {
            (Some(_), _) => Followed::Missing,
            (None, None) => Followed::Unchanged,
            (None, Some(last)) => Followed::Changed(known.then(last, entries.changes)?),
        })
    }

    /// What the versions from `first` on changed, to `wanted` or the newest. `listed` says up to which there are entries.
    async fn entries(&self, first: u64, wanted: Option<u64>, listed: Option<u64>) -> Result<Entries> {
        let mut entries = Entries::default();
        // Where the end is not known, what is read at the same time is mostly not there.
        let parallel = match wanted.or(listed) {
            Some(_) => PARALLEL_READS,
            None => READS_AHEAD,
        };
        let mut found = stream::iter(first..=wanted.unwrap_or(u64::MAX))
            .map(|version| async move { self.find(version).await.map(|found| (version, found)) })
            .buffered(parallel);
        while let Some((version, found)) = found.try_next().await? {
            match found {
                Found::Entry(entry) => {
                    entries.changes.extend(entry);
                    entries.last = Some(version);
                }
                Found::Nothing if wanted.is_none() && listed.is_none_or(|last| version > last) => break,
                Found::Nothing => {
                    entries.missing = Some(version);
                    break;
                }
                Found::Torn if wanted.is_none() => {
                    self.check_is_newest(version).await?;
                    tracing::warn!(
                        table = self.table,
                        version,
                        "a version is cut off, as after a power cut; it was never committed, and is passed over"
                    );
                    break;
                }
                Found::Torn => {
                    return Err(Error::failed(
                        self.reading(version),
                        "it is cut off, as after a power cut",
                    ));
                }
            }
        }
        Ok(entries)
    }

    fn reading(&self, version: u64) -> String {
        format!("reading version {version} of the table at {}", self.table)
    }

    fn missing(&self, version: u64) -> Error {
        let why = "its entry is not in the table's log";
        Error::failed(self.reading(version), why).hint("another engine may have cleaned the log up")
    }

    /// The bytes of the entry of that version, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn entry(&self, version: u64) -> Result<Option<Bytes>> {
        match self.store.get(&self.file(version)).await {
            Ok(found) => found.bytes().await.doing(|| self.reading(version)).map(Some),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).doing(|| self.reading(version)),
        }
    }

    async fn find(&self, version: u64) -> Result<Found> {
        let Some(bytes) = self.entry(version).await? else {
            return Ok(Found::Nothing);
        };
        match Changes::parse(&bytes) {
            _ if self.tears && bytes.is_empty() => Ok(Found::Torn),
            Ok(entry) => Ok(Found::Entry(entry)),
            // JSON that says what it should not was meant so.
            Err(error) if self.tears && !error.is_data() => Ok(Found::Torn),
            Err(error) => Err(error).doing(|| self.reading(version)),
        }
    }

    async fn exists(&self, version: u64) -> Result<bool> {
        match self.store.head(&self.file(version)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error).doing(|| format!("looking for the newest version of {}", self.table)),
        }
    }

    /// # Errors
    /// Failed: the entry of `version`, which is torn, is not the last one, so that what it changed is missing.
    async fn check_is_newest(&self, version: u64) -> Result<()> {
        let mut after = version + 1;
        loop {
            match self.find(after).await? {
                Found::Nothing => return Ok(()),
                Found::Torn => after += 1,
                Found::Entry(_) => {
                    let why = "it is cut off, and later ones build on it";
                    return Err(Error::failed(self.reading(version), why).hint("restore its file from a backup"));
                }
            }
        }
    }

    /// Writes the entry of that version, unless there is one.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) async fn put(&self, version: u64, entry: Bytes) -> Result<Put> {
        let file = self.file(version);
        match self.store.put_opts(&file, entry.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(Put::Written),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                match self.find(version).await? {
                    Found::Torn => Ok(Put::Torn),
                    Found::Entry(_) | Found::Nothing => Ok(Put::Taken),
                }
            }
            Err(error) => Err(error).doing(|| format!("committing version {version} of the table at {}", self.table)),
        }
    }

    /// Puts an entry that changes nothing in the place of one that is torn, so that the next has a number. It says the
    /// same whoever does so.
    ///
    /// # Errors
    /// Later ones build on it, or it cannot be written.
    pub(crate) async fn clear_torn(&self, version: u64, nothing: Bytes) -> Result<()> {
        self.check_is_newest(version).await?;
        tracing::warn!(table = self.table, version, "cleared a version that was cut off");
        let put = self.store.put(&self.file(version), nothing.into()).await;
        put.doing(|| format!("clearing version {version} of the table at {}", self.table))?;
        Ok(())
    }

    async fn hint(&self) -> Result<Option<Hint>> {
        let doing = || format!("reading the last checkpoint of the table at {}", self.table);
        let bytes = match self.store.get(&self.folder.clone().join(LAST_CHECKPOINT)).await {
            Ok(found) => found.bytes().await.doing(doing)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error).doing(doing),
        };
        // It only saves a listing: one that another engine garbled is as good as none.
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// The table as a checkpoint has it; `None` if that cannot be read, for then an earlier one may do.
    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<Option<TableSnapshot>> {
        match checkpoint::read(&self.store, checkpoint).await {
            Ok(content) => TableSnapshot::of_checkpoint(&self.table, checkpoint.version, content).map(Some),
            Err(error) => {
                tracing::warn!(table = self.table, version = checkpoint.version, %error, "passed over a checkpoint");
                Ok(None)
            }
        }
    }

    /// The newest version that there is an entry or a checkpoint of, and the checkpoints, newest first.
    async fn list(&self) -> Result<(Option<u64>, Vec<Checkpoint>)> {
        let mut newest = None;
        let mut others = Vec::new();
        let mut files = self.store.list(Some(&self.folder));
        while let Some(file) = files
            .try_next()
            .await
            .doing(|| format!("looking for the versions of the table at {}", self.table))?
        {
            let name = file.location.filename().unwrap_or_default();
            match name
                .strip_suffix(".json")
                .filter(|stem| stem.len() == 20)
                .map(str::parse)
            {
                Some(Ok(version)) => newest = newest.max(Some(version)),
                _ => others.push(file.location),
            }
        }
        let checkpoints = Checkpoint::among(others);
        let newest = newest.max(checkpoints.first().map(|checkpoint| checkpoint.version));
        Ok((newest, checkpoints))
    }

    fn file(&self, version: u64) -> Path {
        self.folder.clone().join(format!("{version:020}.json"))
    }
}
