//! What a write is asked to do, and what it says it did.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use cordada_core::spelling::Former;

use super::constraints::TakeBroken;
use super::keys::Duplicates;
use super::tip::Tip;

/// What a write does with the rows that are there. Where it goes by key, null equals null, and of the new rows a later
/// partition's come after an earlier one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Keeps them and adds the new ones.
    Append,
    /// Replaces all of them; the schema becomes the new rows' own.
    Overwrite,
    /// Replaces those with the same key. Of new rows with the same key the last one stays.
    Upsert {
        /// The columns that identify a row.
        key: Vec<String>,
        /// A Boolean column of the new rows that the table does not get: where it is true, the row with that key goes
        /// and the new one does not land. If it is the last of its key, the key is gone.
        deleted: Option<String>,
    },
    /// Keeps them and adds those of the new rows whose key is not there. Of new rows with the same key the first one
    /// stays.
    Insert {
        /// The columns that identify a row.
        key: Vec<String>,
    },
    /// Replaces those with one of the new rows' keys by all new rows: many may share a key, such as that of a parent.
    ReplaceGroups {
        /// The columns that identify a group of rows.
        key: Vec<String>,
        /// As of an upsert: where it is true, the new row does not land; the group with its key goes all the same.
        deleted: Option<String>,
    },
    /// Keeps the former rows beside the current ones, as a dimension of type 2: see [`crate::table::history`].
    History {
        /// The columns that identify a row among the current ones. Of new rows with the same key the last one stays.
        key: Vec<String>,
        /// As of an upsert: where it is true, the current row with that key is closed and none begins.
        deleted: Option<String>,
        /// Columns whose change alone is none, such as `_load_id`. They keep the value that began the row.
        ignored: Vec<String>,
        /// When the new rows begin and the former ones end, in microseconds UTC; later where a row of the same key
        /// began later.
        at: i64,
        /// What becomes of current rows whose key is not among the new ones.
        missing: MissingKey,
        /// Whether to write although the clock must be wrong: it is off by more than a day by the store's clock, or
        /// that much behind the rows that are there.
        trust_clock: bool,
    },
}

impl Mode {
    pub(crate) fn key(&self) -> Option<(&[String], Duplicates)> {
        match self {
            Mode::Append | Mode::Overwrite => None,
            Mode::Insert { key } => Some((key, Duplicates::FirstStays)),
            Mode::ReplaceGroups { key, .. } => Some((key, Duplicates::AllStay)),
            Mode::Upsert { key, .. } | Mode::History { key, .. } => Some((key, Duplicates::LastStays)),
        }
    }

    pub(crate) fn deleted(&self) -> Option<&str> {
        match self {
            Mode::Append | Mode::Overwrite | Mode::Insert { .. } => None,
            Mode::Upsert { deleted, .. } | Mode::ReplaceGroups { deleted, .. } | Mode::History { deleted, .. } => {
                deleted.as_deref()
            }
        }
    }
}

/// What a key that is not among the new rows means to [`Mode::History`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// Nothing: the new rows are changes.
    Keep,
    /// That its row is no more: the new rows are everything there is, and all in this one write.
    Close,
}

/// Which state of the table the write builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The newest version, published or not.
    Latest,
    /// This version: whatever later versions changed is undone in the same commit.
    Version(u64),
    /// Nothing: as if the table were empty.
    Nothing,
    /// Where the table went on when the rows were chosen. If other rows came meanwhile, the write is a conflict.
    Tip(Tip),
}

/// What a write does with a column whose new values are not of the table's type. Fields more within records, and the
/// first value of a column, are no such change.
#[derive(Debug, Clone)]
pub enum Evolution {
    /// It is refused.
    Refuse,
    /// The column gets the narrowest type that holds all values, and its files are written again in the same commit.
    Widen,
    /// As [`Evolution::Widen`], but the type is the new rows' own, which is known to hold the old values too.
    Decided(Arc<Former>),
}

impl Evolution {
    /// What is known of the rows that are there.
    pub(crate) fn former(&self) -> Arc<Former> {
        match self {
            Self::Decided(former) => former.clone(),
            Self::Refuse | Self::Widen => Arc::default(),
        }
    }
}

/// A write to be done.
#[derive(Debug, Clone)]
pub struct Write {
    /// What to do with the rows that are there.
    pub mode: Mode,
    /// The state to build on.
    pub base: Base,
    /// The new rows' columns, any Arrow types; what Delta cannot hold is converted ([`cordada_core::types::storable`]).
    /// A column of the type Null, of which no row has a value, has no type yet: readers see it as text, the files do not
    /// have it, and the first value decides.
    /// Of the field metadata `comment` (text for people) and `pii` (no statistics for that column) are kept.
    pub schema: SchemaRef,
    /// What becomes of columns whose values are of other types than the table's.
    pub evolution: Evolution,
    /// Application transactions that go into the same commit: `(application id, version)`.
    pub transactions: Vec<(String, i64)>,
    /// A text that the table keeps with the rows of this commit, in the place of the one before; see
    /// [`crate::Lake::state`]. Never a secret: whoever can read the table can read it.
    pub state: Option<String>,
    /// Rows of the table that go in the same commit, whatever the mode; a history keeps them.
    pub supersedes: Vec<Superseded>,
    /// Whether its rows cannot be had again from where they came: a rollback leaves the table as it is then.
    pub unrepeatable: bool,
    /// What takes rows that break a constraint of the table. Without it such a row fails the write.
    pub broken: Option<TakeBroken>,
}

impl Write {
    /// A write of rows of `schema` in `mode` on the latest version.
    pub fn new(mode: Mode, schema: SchemaRef) -> Self {
        Self {
            mode,
            base: Base::Latest,
            schema,
            evolution: Evolution::Refuse,
            transactions: Vec::new(),
            state: None,
            supersedes: Vec::new(),
            unrepeatable: false,
            broken: None,
        }
    }
}

/// Rows that were landed from a file at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    /// The file, as `_origin` names it.
    pub file: String,
    /// They came no earlier than that, in microseconds UTC.
    pub since: i64,
    /// And earlier than that, if anything.
    pub until: Option<i64>,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReport {
    /// The Delta version it made; the one there was if nothing changed, for then there is no commit.
    pub version: u64,
    /// Rows that it added, replaced ones included.
    pub rows_added: u64,
    /// Rows of the table that went: replaced by the same key, deleted or overwritten.
    pub rows_removed: u64,
    /// Rows that became former ones ([`Mode::History`]); they are still among the table's.
    pub rows_closed: u64,
    /// Bytes of the new files.
    pub bytes_added: u64,
}
