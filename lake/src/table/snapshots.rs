//! The snapshots of tables that are kept in memory, as many as fit.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex as SyncMutex};

use cordada_core::threads::locked;
use tokio::sync::Mutex;

use crate::table::snapshot::TableSnapshot;

/// Snapshots of one table: whoever reads older versions than these begins with a checkpoint.
const MOST_VERSIONS: usize = 16;

/// Snapshots of tables, within a bound of bytes; those that were not asked for longest go first.
///
/// A snapshot grows when somebody asks for its files, so that it is weighed again whenever it is asked for.
#[derive(Debug)]
pub(crate) struct Snapshots {
    limit: usize,
    kept: SyncMutex<Kept>,
    /// A table is read by one at a time: the others find what it has read.
    readers: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
}

#[derive(Debug, Default)]
struct Kept {
    tables: HashMap<Arc<str>, BTreeMap<u64, Entry>>,
    /// The tables and versions in the order in which they were asked for last.
    by_use: BTreeMap<u64, (Arc<str>, u64)>,
    /// What all entries take.
    bytes: usize,
    /// Counts the times that something was asked for.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    snapshot: Arc<TableSnapshot>,
    bytes: usize,
    used: u64,
}

impl Snapshots {
    /// None yet, and later no more than take `limit` bytes, unless a single one does.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: SyncMutex::default(),
            readers: SyncMutex::default(),
        }
    }

    /// Whose turn it is to read the table at `path`.
    pub(crate) fn reader(&self, path: &str) -> Arc<Mutex<()>> {
        locked(&self.readers).entry(path.to_owned()).or_default().clone()
    }

    /// The table at `path` and that version.
    pub(crate) fn get(&self, path: &str, version: u64) -> Option<Arc<TableSnapshot>> {
        self.before(path, version)
            .filter(|snapshot| snapshot.version() == version)
    }

    /// The last version of the table at `path` that is kept, not later than `version`.
    pub(crate) fn before(&self, path: &str, version: u64) -> Option<Arc<TableSnapshot>> {
        let mut kept = locked(&self.kept);
        let snapshot = kept.used(path, version)?;
        kept.trim(self.limit);
        Some(snapshot)
    }

    /// Keeps the snapshot.
    pub(crate) fn insert(&self, snapshot: TableSnapshot) -> Arc<TableSnapshot> {
        let snapshot = Arc::new(snapshot);
        let mut kept = locked(&self.kept);
        kept.insert(snapshot.clone());
        kept.trim(self.limit);
        snapshot
    }

    /// Forgets the table at `path`, of which another engine has left nothing that is known.
    pub(crate) fn forget(&self, path: &str) {
        let mut guard = locked(&self.kept);
        let kept = &mut *guard;
        for entry in kept.tables.remove(path).into_iter().flat_map(BTreeMap::into_values) {
            kept.bytes -= entry.bytes;
            kept.by_use.remove(&entry.used);
        }
    }
}

impl Kept {
    /// The last version that is kept, not later than `version`: asked for and weighed now.
    fn used(&mut self, path: &str, version: u64) -> Option<Arc<TableSnapshot>> {
        let (_, entry) = self.tables.get_mut(path)?.range_mut(..=version).next_back()?;
        self.clock += 1;
        let bytes = entry.snapshot.bytes();
        self.bytes = self.bytes - entry.bytes + bytes;
        entry.bytes = bytes;
        let asked = self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.extend(asked.map(|asked| (self.clock, asked)));
        Some(entry.snapshot.clone())
    }

    fn insert(&mut self, snapshot: Arc<TableSnapshot>) {
        let (path, version): (Arc<str>, _) = (snapshot.path().into(), snapshot.version());
        self.remove(&path, version);
        self.clock += 1;
        let entry = Entry {
            bytes: snapshot.bytes(),
            used: self.clock,
            snapshot,
        };
        self.bytes += entry.bytes;
        self.by_use.insert(self.clock, (path.clone(), version));
        let versions = self.tables.entry(path.clone()).or_default();
        versions.insert(version, entry);
        if versions.len() > MOST_VERSIONS
            && let Some((_, oldest)) = versions.iter().map(|(version, entry)| (entry.used, *version)).min()
        {
            self.remove(&path, oldest);
        }
    }

    fn remove(&mut self, path: &str, version: u64) {
        let Some(versions) = self.tables.get_mut(path) else {
            return;
        };
        if let Some(gone) = versions.remove(&version) {
            self.bytes -= gone.bytes;
            self.by_use.remove(&gone.used);
        }
        if versions.is_empty() {
            self.tables.remove(path);
        }
    }

    /// Forgets what was not asked for longest, as long as it is too much; not what was asked for just now.
    fn trim(&mut self, limit: usize) {
        while self.bytes > limit && self.by_use.len() > 1 {
            let Some((path, version)) = self.by_use.values().next().cloned() else {
                return;
            };
            self.remove(&path, version);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::table::log::Changes;

    fn snapshot(path: &str, version: u64) -> TableSnapshot {
        let entry = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
            {"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"partitionColumns":[],"configuration":{},
            "schemaString":"{\"type\":\"struct\",\"fields\":[]}"}}
            {"add":{"path":"f","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}"#;
        TableSnapshot::first(path, version, Changes::parse(entry.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let one = snapshot("a", 0).bytes();
        let snapshots = Snapshots::new(3 * one);
        for version in 0..3 {
            snapshots.insert(snapshot("a", version));
        }
        assert_eq!(snapshots.get("a", 0).unwrap().version(), 0);
        snapshots.insert(snapshot("b", 7));
        assert!(snapshots.get("a", 1).is_none());
        assert_eq!(snapshots.before("a", 1).unwrap().version(), 0);
        for version in 8..1000 {
            snapshots.insert(snapshot("b", version));
            let kept = locked(&snapshots.kept);
            assert!(kept.bytes <= 3 * one);
            assert_eq!(kept.tables.values().map(BTreeMap::len).sum::<usize>(), 3);
        }
        snapshots.forget("b");
        let kept = locked(&snapshots.kept);
        assert_eq!((kept.bytes, kept.by_use.len()), (0, 0), "nothing else was left");
    }

    #[test]
    fn a_table_that_is_larger_than_the_bound_is_kept_alone() {
        let snapshots = Snapshots::new(1);
        snapshots.insert(snapshot("a", 0));
        snapshots.insert(snapshot("a", 1));
        assert!(snapshots.get("a", 0).is_none() && snapshots.get("a", 1).is_some());
    }

    #[test]
    fn of_one_table_there_are_few() {
        let snapshots = Snapshots::new(usize::MAX);
        for version in 0..100 {
            snapshots.insert(snapshot("a", version));
            snapshots.get("a", 3);
        }
        let known = (0..100).filter(|version| snapshots.get("a", *version).is_some());
        let known: Vec<u64> = known.collect();
        let last: Vec<u64> = std::iter::once(3).chain(85..100).collect();
        assert_eq!(known, last, "one that is asked for stays");
    }
}
