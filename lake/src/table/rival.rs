//! What others committed to a table since it was read.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use cordada_core::{Error, Result, TableName};
use serde_json::Value;

use crate::table::log::Log;

/// Which of a version's commit is ours, in what it says of itself.
pub(crate) const COMMIT_ID: &str = "cordadaCommit";

/// The entries of those versions of a table's log, by version.
#[derive(Debug)]
pub(crate) struct Entries(BTreeMap<u64, Vec<Value>>);

impl Entries {
    /// Reads them; one that is no longer there is passed over.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) async fn read(table: &TableName, log: &Log, versions: RangeInclusive<u64>) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for version in versions {
            let doing = || format!("reading entry {version} of the log of {table}");
            let Some(bytes) = log.entry(version).await? else {
                continue;
            };
            let actions = serde_json::Deserializer::from_slice(&bytes).into_iter();
            let actions: Result<Vec<Value>, _> = actions.collect();
            entries.insert(version, actions.map_err(|error| Error::failed(doing(), error))?);
        }
        Ok(Self(entries))
    }

    fn actions<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.values().flatten().filter_map(move |action| action.get(kind))
    }

    /// Whether they only put the same rows into other files, as a compaction does.
    pub(crate) fn keep_rows(&self) -> bool {
        let moves = |kind| {
            self.actions(kind)
                .all(|file| file.get("dataChange") == Some(&Value::Bool(false)))
        };
        let is_quiet = |kind| self.actions(kind).next().is_none();
        moves("add") && moves("remove") && ["metaData", "protocol", "txn"].into_iter().all(is_quiet)
    }

    /// Whether rows that are added beside them, with those transactions, are added as if they were not there: they leave
    /// the table's columns and properties, and record nothing of the same applications.
    pub(crate) fn leave_room(&self, transactions: &[(String, i64)]) -> bool {
        let is_quiet = |kind| self.actions(kind).next().is_none();
        let same = |id: &str| transactions.iter().any(|(own, _)| own == id);
        ["metaData", "protocol"].into_iter().all(is_quiet) && !self.applications().any(same)
    }

    /// The version of the commit that calls itself `id`, if it is one of them.
    pub(crate) fn version_of(&self, id: &str) -> Option<u64> {
        let is_own = |action: &Value| action["commitInfo"][COMMIT_ID] == id;
        let own = self.0.iter().find(|(_, actions)| actions.iter().any(is_own));
        own.map(|(version, _)| *version)
    }

    /// The ids of applications whose transactions they record.
    pub(crate) fn applications(&self) -> impl Iterator<Item = &str> {
        self.actions("txn").filter_map(|txn| txn.get("appId")?.as_str())
    }
}
