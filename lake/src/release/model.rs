//! What a release is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cordada_core::TableName;
use serde::{Deserialize, Serialize};

use super::docs::DocsRef;

/// Relations by name.
pub type Relations = BTreeMap<TableName, Relation>;

/// Relations that are added or moved, and those that are dropped (`None`).
pub type Changes = BTreeMap<TableName, Option<Relation>>;

/// One published state of the whole lake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// Its number; 0 is the empty lake before anything was published.
    pub number: u64,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// What published it: `ingest`, `build`, `rollback`.
    pub by: String,
    /// The run or load that published it.
    pub run: String,
    /// For a rollback, the release whose state it brings back.
    pub restores: Option<u64>,
    /// Every table and view, with where it is.
    pub relations: Relations,
}

/// A release without its relations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// What published it: `ingest`, `build`, `rollback`.
    pub by: String,
    /// The run or load that published it.
    pub run: String,
    /// For a rollback, the release whose state it brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// How many relations it has.
    #[serde(default)]
    pub relation_count: usize,
}

/// A table or view of a release, with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Where its rows come from.
    #[serde(flatten)]
    pub kind: RelationKind,
    /// What people and clients are told about it.
    #[serde(default, skip_serializing_if = "DocsRef::is_empty")]
    pub docs: DocsRef,
    /// What it was built from, if whoever built it recorded that: equal fingerprints mean equal rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Where a relation's rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RelationKind {
    /// A Delta table at a version.
    Table {
        /// The table's folder, relative to the lake.
        path: String,
        /// The Delta version that this release publishes.
        version: u64,
    },
    /// A query over other relations of the same release.
    View {
        /// The query; it names relations as `lake.schema.name`.
        sql: String,
    },
}

impl Relation {
    /// A table at a version, with nothing said about it.
    pub fn table(path: impl Into<String>, version: u64) -> Self {
        Self {
            kind: RelationKind::Table {
                path: path.into(),
                version,
            },
            docs: DocsRef::default(),
            fingerprint: None,
        }
    }

    /// A view, with nothing said about it.
    pub fn view(sql: impl Into<String>) -> Self {
        Self {
            kind: RelationKind::View { sql: sql.into() },
            docs: DocsRef::default(),
            fingerprint: None,
        }
    }

    /// If it is a table at `path`: the version.
    pub fn version_at(&self, path: &str) -> Option<u64> {
        match &self.kind {
            RelationKind::Table { path: at, version } if at == path => Some(*version),
            _ => None,
        }
    }
}

impl Release {
    pub(super) fn new(head: Head, relations: Relations) -> Self {
        Self {
            number: head.number,
            published_at: head.published_at,
            by: head.by,
            run: head.run,
            restores: head.restores,
            relations,
        }
    }

    pub(super) fn head(&self) -> Head {
        Head {
            number: self.number,
            published_at: self.published_at,
            by: self.by.clone(),
            run: self.run.clone(),
            restores: self.restores,
            relation_count: self.relations.len(),
        }
    }

    /// The relation of that name.
    pub fn relation(&self, name: &TableName) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// The relation, if it is a table at `path`: the version it is published at.
    pub fn published_version(&self, name: &TableName, path: &str) -> Option<u64> {
        self.relation(name)?.version_at(path)
    }
}

/// Makes the changes.
pub(super) fn apply(relations: &mut Relations, changes: Changes) {
    for (name, relation) in changes {
        match relation {
            Some(relation) => relations.insert(name, relation),
            None => relations.remove(&name),
        };
    }
}
