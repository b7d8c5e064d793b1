//! What versions of a table changed: the actions of their entries that matter to whoever reads the table.

use std::collections::HashMap;

use cordada_core::{Context, Result};
use deltalake::kernel::{Action, Add, Metadata};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::protocol::Protocol;

/// What one version of a table changed, or several.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) metadata: Option<Metadata>,
    /// Files by their paths: what was added, and `None` for those that were taken out.
    pub(crate) files: HashMap<String, Option<AddedFile>>,
    pub(crate) transactions: HashMap<String, i64>,
    /// How many actions there were that a checkpoint keeps.
    pub(crate) actions: usize,
}

/// A file that was added.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddedFile {
    pub(crate) path: String,
    pub(crate) size: i64,
    pub(crate) modification_time: i64,
    pub(crate) stats: Option<String>,
    /// Whether some of its rows are deleted.
    #[serde(default, deserialize_with = "is_there", rename = "deletionVector")]
    pub(crate) has_deletions: bool,
}

/// A line of an entry, or of a checkpoint, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    protocol: Option<Protocol>,
    meta_data: Option<Metadata>,
    add: Option<AddedFile>,
    remove: Option<RemovedFile>,
    txn: Option<Txn>,
    pub(super) sidecar: Option<Sidecar>,
}

#[derive(Debug, Deserialize)]
struct RemovedFile {
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

/// A file beside a checkpoint that holds its files.
#[derive(Debug, Deserialize)]
pub(super) struct Sidecar {
    pub(super) path: String,
}

impl Changes {
    /// Those of an entry.
    ///
    /// # Errors
    /// It is not JSON, or an action is not what the protocol says.
    pub(crate) fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut changes = Self::default();
        for line in serde_json::Deserializer::from_slice(bytes).into_iter() {
            changes.take(line?);
        }
        Ok(changes)
    }

    /// Those of actions that are about to be an entry.
    ///
    /// # Errors
    /// An action is not what the protocol says.
    pub(crate) fn of(actions: &[Action]) -> Result<Self> {
        let doing = || "reading actions of a commit";
        let mut changes = Self::default();
        for action in actions {
            match action {
                Action::Metadata(metadata) => changes.metadata = Some(metadata.clone()),
                Action::Protocol(protocol) => {
                    let protocol = serde_json::to_value(protocol).doing(doing)?;
                    changes.protocol = Some(serde_json::from_value(protocol).doing(doing)?);
                }
                Action::Add(add) => changes.add(AddedFile::of(add)),
                Action::Remove(remove) => changes.remove(remove.path.clone()),
                Action::Txn(txn) => {
                    changes.transactions.insert(txn.app_id.clone(), txn.version);
                }
                Action::Cdc(_) | Action::CommitInfo(_) | Action::DomainMetadata(_) => continue,
            }
            changes.actions += 1;
        }
        Ok(changes)
    }

    /// One more action.
    pub(super) fn take(&mut self, line: Line) {
        let kept = line.protocol.is_some()
            || line.meta_data.is_some()
            || line.add.is_some()
            || line.remove.is_some()
            || line.txn.is_some();
        self.actions += usize::from(kept);
        self.protocol = line.protocol.or(self.protocol.take());
        self.metadata = line.meta_data.or(self.metadata.take());
        if let Some(file) = line.remove {
            self.remove(decoded(&file.path));
        }
        if let Some(file) = line.add {
            self.add(AddedFile {
                path: decoded(&file.path),
                ..file
            });
        }
        self.transactions.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
    }

    /// These, and then those of a later version.
    pub(crate) fn extend(&mut self, later: Self) {
        self.protocol = later.protocol.or(self.protocol.take());
        self.metadata = later.metadata.or(self.metadata.take());
        self.files.extend(later.files);
        self.transactions.extend(later.transactions);
        self.actions += later.actions;
    }

    fn add(&mut self, file: AddedFile) {
        self.files.insert(file.path.clone(), Some(file));
    }

    /// A version that adds a file again as it takes it out, with other deletions, has it.
    fn remove(&mut self, path: String) {
        self.files.entry(path).or_insert(None);
    }
}

impl AddedFile {
    fn of(add: &Add) -> Self {
        Self {
            path: add.path.clone(),
            size: add.size,
            modification_time: add.modification_time,
            stats: add.stats.clone(),
            has_deletions: add.deletion_vector.is_some(),
        }
    }

    /// The action that adds the file, or brings it back.
    pub(crate) fn into_add(self) -> Add {
        Add {
            path: self.path,
            size: self.size,
            modification_time: self.modification_time,
            data_change: true,
            stats: self.stats,
            ..Add::default()
        }
    }
}

/// A path as the file's name is, of one as the log has it: a URI.
pub(super) fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn is_there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(value).map(|value| value.is_some())
}
