//! The snapshots of tables that are kept in memory, as many as fit.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex as SyncMutex};

use cordada_core::threads::locked;
use tokio::sync::Mutex;

use crate::table::snapshot::TableSnapshot;

/// Snapshots of tables, within a bound of bytes; those that were not asked for longest go first.
#[derive(Debug)]
pub(crate) struct Snapshots {
    limit: usize,
    kept: SyncMutex<Kept>,
    /// A table is read by one at a time: the others find what it has read.
    readers: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
}

#[derive(Debug, Default)]
struct Kept {
    tables: HashMap<String, BTreeMap<u64, Entry>>,
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
        kept.clock += 1;
        let now = kept.clock;
        let (_, entry) = kept.tables.get_mut(path)?.range_mut(..=version).next_back()?;
        entry.used = now;
        Some(entry.snapshot.clone())
    }

    /// Keeps the snapshot.
    pub(crate) fn insert(&self, snapshot: TableSnapshot) -> Arc<TableSnapshot> {
        let snapshot = Arc::new(snapshot);
        let mut kept = locked(&self.kept);
        kept.clock += 1;
        let entry = Entry {
            bytes: snapshot.bytes(),
            used: kept.clock,
            snapshot: snapshot.clone(),
        };
        kept.bytes += entry.bytes;
        let versions = kept.tables.entry(snapshot.path().to_owned()).or_default();
        if let Some(replaced) = versions.insert(snapshot.version(), entry) {
            kept.bytes -= replaced.bytes;
        }
        while kept.bytes > self.limit && kept.forget_oldest() {}
        snapshot
    }

    /// Forgets the table at `path`, of which another engine has left nothing that is known.
    pub(crate) fn forget(&self, path: &str) {
        let mut kept = locked(&self.kept);
        let versions = kept.tables.remove(path).unwrap_or_default();
        kept.bytes -= versions.values().map(|entry| entry.bytes).sum::<usize>();
    }
}

impl Kept {
    /// Forgets what was not asked for longest; says whether that was not the last one.
    fn forget_oldest(&mut self) -> bool {
        let all = self.tables.iter().flat_map(|(path, versions)| {
            let entries = versions.iter();
            entries.map(move |(version, entry)| (entry.used, path, *version))
        });
        let Some((used, path, version)) = all.min() else {
            return false;
        };
        if used == self.clock {
            return false;
        }
        let path = path.clone();
        if let Some(versions) = self.tables.get_mut(&path) {
            self.bytes -= versions.remove(&version).map_or(0, |entry| entry.bytes);
            if versions.is_empty() {
                self.tables.remove(&path);
            }
        }
        true
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
        assert_eq!(locked(&snapshots.kept).bytes, 0, "nothing else was left");
    }

    #[test]
    fn a_table_that_is_larger_than_the_bound_is_kept_alone() {
        let snapshots = Snapshots::new(1);
        snapshots.insert(snapshot("a", 0));
        snapshots.insert(snapshot("a", 1));
        assert!(snapshots.get("a", 0).is_none() && snapshots.get("a", 1).is_some());
    }
}
