//! What people and clients are told about a relation, and how a release refers to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordada_core::{TableName, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What people and clients are told about a relation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Docs {
    /// What one row is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// By column name; columns without anything to say are absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnDocs>,
    /// Columns that identify a row (tested unique and not null).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub primary_key: Vec<String>,
    /// References to other relations (tested).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
}

impl Docs {
    /// What is left of them for whoever does not see the columns that are `hidden`: a key that names one of those would
    /// tell of it.
    #[must_use]
    pub fn without(&self, name: &TableName, hidden: impl Fn(&TableName, &str) -> bool) -> Self {
        let any_hidden =
            |relation: &TableName, columns: &[String]| columns.iter().any(|column| hidden(relation, column));
        let mut seen = self.clone();
        seen.columns.retain(|column, _| !hidden(name, column));
        if any_hidden(name, &seen.primary_key) {
            seen.primary_key.clear();
        }
        seen.foreign_keys
            .retain(|key| !any_hidden(name, &key.columns) && !any_hidden(&key.references, &key.referenced_columns));
        seen
    }
}

/// What is known about one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnDocs {
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which kind of personal data it holds (`email`, `phone`, `name` …), if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii: Option<String>,
}

/// A reference from columns of one relation to columns of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The relation that they refer to.
    pub references: TableName,
    /// The columns there, in the same order.
    pub referenced_columns: Vec<String>,
}

/// Documentation by the hash of its content: equal references mean equal documentation.
///
/// It holds the documentation itself until that is stored apart; [`crate::Lake::docs`] reads it. Which columns hold
/// personal data is said where the reference is, so that a release alone tells it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "DocsEntry", into = "DocsEntry")]
pub struct DocsRef {
    /// SHA-256 of the JSON, in hexadecimal; empty if nothing is said.
    hash: String,
    /// The kinds of personal data, by the columns that hold it.
    personal: Arc<BTreeMap<String, String>>,
    unstored: Option<Arc<Docs>>,
}

/// What a release's file says: the hash, with the personal columns if there are any; or the documentation itself if the
/// file is of the time before it was apart.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum DocsEntry {
    Hash(String),
    Personal {
        hash: String,
        pii: BTreeMap<String, String>,
    },
    Docs(Docs),
}

impl DocsRef {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.hash.is_empty()
    }

    /// The kinds of personal data, by the columns that hold it.
    pub fn personal(&self) -> &BTreeMap<String, String> {
        &self.personal
    }

    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// The documentation, if it is not stored apart yet.
    pub(super) fn unstored(&self) -> Option<&Arc<Docs>> {
        self.unstored.as_ref()
    }

    /// To be called once it is stored.
    pub(super) fn set_stored(&mut self) {
        self.unstored = None;
    }
}

impl PartialEq for DocsRef {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for DocsRef {}

impl From<Docs> for DocsRef {
    fn from(docs: Docs) -> Self {
        if docs == Docs::default() {
            return Self::default();
        }
        let mut digest = Sha256::new();
        // Lists and maps of text can always be written as JSON, and a digest takes any bytes.
        let _ = serde_json::to_writer(&mut digest, &docs);
        let personal = docs.columns.iter();
        let personal = personal.filter_map(|(name, column)| Some((name.clone(), column.pii.clone()?)));
        Self {
            hash: hex::encode(&digest.finalize()),
            personal: Arc::new(personal.collect()),
            unstored: Some(Arc::new(docs)),
        }
    }
}

impl From<DocsEntry> for DocsRef {
    fn from(recorded: DocsEntry) -> Self {
        match recorded {
            DocsEntry::Hash(hash) => Self {
                hash,
                ..Self::default()
            },
            DocsEntry::Personal { hash, pii } => Self {
                hash,
                personal: Arc::new(pii),
                unstored: None,
            },
            DocsEntry::Docs(docs) => docs.into(),
        }
    }
}

impl From<DocsRef> for DocsEntry {
    fn from(docs: DocsRef) -> Self {
        match docs.personal.is_empty() {
            true => DocsEntry::Hash(docs.hash),
            false => DocsEntry::Personal {
                hash: docs.hash,
                pii: Arc::unwrap_or_clone(docs.personal),
            },
        }
    }
}
