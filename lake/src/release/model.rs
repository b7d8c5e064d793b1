//! What a release is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use cordada_core::{Error, Result, TableName};
use serde::{Deserialize, Serialize};

use super::docs::DocsRef;

/// Relations by name.
pub type Relations = BTreeMap<TableName, Relation>;

/// Relations that are added or moved, and those that are dropped (`None`).
pub type Changes = BTreeMap<TableName, Option<Relation>>;

/// For relations that a rollback changed, the release of the last one that did: what was written into their tables before
/// it, and is not published, was undone by it. As PostgreSQL's timelines.
pub type Timelines = BTreeMap<TableName, u64>;

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
    /// The relations that were rolled back.
    pub timelines: Timelines,
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
    /// Whether a client made it, by bulk ingestion. It is the clients' then: nobody else writes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_client: bool,
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
        /// If that version only put the rows of an earlier one into other files: that one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows_of: Option<u64>,
    },
    /// A query over other relations.
    View {
        /// The query; it names relations as `lake.schema.name`.
        sql: String,
        /// The relations that it reads, as they were when it was tested: its rows are those that the tests passed on,
        /// whatever is published of them since. If it is empty, the view reads those of its release.
        #[serde(default, skip_serializing_if = "Relations::is_empty")]
        reads: Relations,
    },
}

impl Relation {
    /// A table at a version, with nothing said about it.
    pub fn table(path: impl Into<String>, version: u64) -> Self {
        Self {
            kind: RelationKind::Table {
                path: path.into(),
                version,
                rows_of: None,
            },
            docs: DocsRef::default(),
            fingerprint: None,
            by_client: false,
        }
    }

    /// A view, with nothing said about it.
    pub fn view(sql: impl Into<String>) -> Self {
        Self {
            kind: RelationKind::View {
                sql: sql.into(),
                reads: Relations::new(),
            },
            docs: DocsRef::default(),
            fingerprint: None,
            by_client: false,
        }
    }

    /// A view of what `release` has under those names now, whatever is published later.
    pub fn pinned_view(sql: impl Into<String>, names: &BTreeSet<TableName>, release: &Release) -> Self {
        let kind = RelationKind::View {
            sql: sql.into(),
            reads: release.pins(names),
        };
        Self {
            kind,
            ..Self::table("", 0)
        }
    }

    /// The same rows at a later version, which has them in other files. A view stays what it is.
    #[must_use]
    pub(crate) fn in_other_files(&self, at: u64) -> Self {
        let mut moved = self.clone();
        if let RelationKind::Table { version, rows_of, .. } = &mut moved.kind {
            *rows_of = Some(rows_of.unwrap_or(*version));
            *version = at;
        }
        moved
    }

    /// Whether the other one has the same rows and the same is said about it, whichever files they are in.
    pub(super) fn is_same(&self, other: &Relation) -> bool {
        let same_kind = match (&self.kind, &other.kind) {
            (
                RelationKind::Table { path, version, rows_of },
                RelationKind::Table {
                    path: path_there,
                    version: version_there,
                    rows_of: rows_of_there,
                },
            ) => path == path_there && rows_of.unwrap_or(*version) == rows_of_there.unwrap_or(*version_there),
            (kind, there) => kind == there,
        };
        same_kind
            && self.docs == other.docs
            && self.fingerprint == other.fingerprint
            && self.by_client == other.by_client
    }

    /// Refers to other versions of tables, by folder and version.
    pub(super) fn follow(&mut self, versions: &HashMap<(String, u64), u64>) {
        match &mut self.kind {
            RelationKind::Table { path, version, .. } => {
                if let Some(now) = versions.get(&(path.clone(), *version)) {
                    *version = *now;
                }
            }
            RelationKind::View { reads, .. } => reads.values_mut().for_each(|read| read.follow(versions)),
        }
    }

    /// If it is a table at `path`: the version.
    pub fn version_at(&self, path: &str) -> Option<u64> {
        match &self.kind {
            RelationKind::Table { path: at, version, .. } if at == path => Some(*version),
            _ => None,
        }
    }
}

impl Release {
    pub(super) fn new(head: Head, relations: Relations, timelines: Timelines) -> Self {
        Self {
            number: head.number,
            published_at: head.published_at,
            by: head.by,
            run: head.run,
            restores: head.restores,
            relations,
            timelines,
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

    /// Whether a client, or anybody else, may put a relation of that name into the place of what is there.
    ///
    /// # Errors
    /// Config: it is not theirs.
    pub fn check_owner(&self, name: &TableName, by_client: bool) -> Result<()> {
        let Some(relation) = self.relation(name).filter(|relation| relation.by_client != by_client) else {
            return Ok(());
        };
        let (why, hint) = match relation.by_client {
            true => (
                "clients write the table of that name, by bulk ingestion",
                "give the model or the stream another name, or have clients write to another table",
            ),
            false => (
                "no client made the relation of that name",
                "ingest into a table of another name, and let a model of the SQL project read it",
            ),
        };
        Err(Error::config(format!("writing {name}"), why).hint(hint))
    }

    /// The relations of those names without what is said about them. Views among them keep what they read themselves,
    /// beside the others where that is the same, so that a chain of views does not repeat it.
    fn pins(&self, names: &BTreeSet<TableName>) -> Relations {
        let bare = |kind: &RelationKind| Relation {
            kind: kind.clone(),
            docs: DocsRef::default(),
            fingerprint: None,
            by_client: false,
        };
        let all = names.iter().filter_map(|name| Some((name, &self.relation(name)?.kind)));
        let (tables, views): (Vec<_>, Vec<_>) = all.partition(|(_, kind)| matches!(kind, RelationKind::Table { .. }));
        let mut pins: Relations = tables
            .into_iter()
            .map(|(name, kind)| (name.clone(), bare(kind)))
            .collect();
        for (name, kind) in views {
            let RelationKind::View { sql, reads } = kind else {
                continue;
            };
            let agrees = reads.iter().all(|(read, pin)| {
                pins.get(read)
                    .map_or(self.relation(read).is_some(), |known| known == pin)
            });
            let relation = match agrees && !reads.is_empty() {
                true => {
                    pins.extend(reads.clone());
                    Relation::view(sql)
                }
                false => bare(kind),
            };
            pins.insert(name.clone(), relation);
        }
        pins
    }

    /// The version whose rows `version` of the relation's table has, as far as this release tells: an earlier one, if it
    /// only put them into other files.
    pub fn rows_version(&self, name: &TableName, version: u64) -> u64 {
        match self.relation(name).map(|relation| &relation.kind) {
            Some(RelationKind::Table {
                version: published,
                rows_of: Some(rows_of),
                ..
            }) if *published == version => *rows_of,
            _ => version,
        }
    }

    /// The timeline that the relation is on: the last rollback that changed it, 0 if none did.
    pub fn timeline(&self, name: &TableName) -> u64 {
        self.timelines.get(name).copied().unwrap_or_default()
    }

    /// Whether whoever read the relation as `before` has it can go on with what is in this release: it is the same, or a
    /// table that was written since. Not one that was rolled back, dropped or defined anew.
    pub fn continues(&self, name: &TableName, before: &Release) -> bool {
        let (then, now) = (before.relation(name), self.relation(name));
        let written = match (then.map(|then| &then.kind), now.map(|now| &now.kind)) {
            (
                Some(RelationKind::Table {
                    path: was,
                    version: from,
                    ..
                }),
                Some(RelationKind::Table { path, version, .. }),
            ) => was == path && from <= version && before.timeline(name) == self.timeline(name),
            _ => false,
        };
        written || then == now
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

/// What `after` has changed of `before`.
pub(super) fn changes_between(before: &Relations, after: &Relations) -> Changes {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), None));
    let changed = after
        .iter()
        .filter(|(name, relation)| before.get(*name) != Some(*relation));
    gone.chain(changed.map(|(name, relation)| (name.clone(), Some(relation.clone()))))
        .collect()
}
