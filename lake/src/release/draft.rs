//! Changes to a release that are not published yet.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::Utc;
use cordada_core::{Error, Result, TableName};

use super::model::{self, Changes, Relation, Relations, Release};

/// Changes to a release that are not published yet.
#[derive(Debug, Clone)]
pub struct Draft {
    base: Arc<Release>,
    by: String,
    run: String,
    restores: Option<u64>,
    changes: Changes,
    reads: BTreeSet<TableName>,
}

impl Draft {
    /// Begins with `base`, made `by` a command (`ingest`, `build`) in the run or load `run`.
    pub fn new(base: Arc<Release>, by: impl Into<String>, run: impl Into<String>) -> Self {
        Self {
            base,
            by: by.into(),
            run: run.into(),
            restores: None,
            changes: Changes::new(),
            reads: BTreeSet::new(),
        }
    }

    /// The `relations` of release `number`, to be published on top of `newest`.
    pub(crate) fn rollback(newest: Arc<Release>, relations: Relations, number: u64, run: &str) -> Self {
        let mut draft = Self::new(newest.clone(), "rollback", run);
        draft.restores = Some(number);
        for name in newest.relations.keys() {
            draft.remove(name.clone());
        }
        for (name, relation) in relations {
            draft.set(name, relation);
        }
        draft
    }

    /// The release that it began with.
    pub fn base(&self) -> &Arc<Release> {
        &self.base
    }

    /// Adds or moves a relation.
    pub fn set(&mut self, name: TableName, relation: Relation) {
        self.changes.insert(name, Some(relation));
    }

    /// Drops a relation from the release; its table stays in the lake.
    pub fn remove(&mut self, name: TableName) {
        self.changes.insert(name, None);
    }

    /// Refers to other versions of tables, by folder and version, than those it was set with. What was made of them is
    /// not recognised by its fingerprint then, and is built again by the next build.
    pub(crate) fn follow(&mut self, versions: &HashMap<(String, u64), u64>) {
        if versions.iter().all(|((_, version), now)| version == now) {
            return;
        }
        for relation in self.changes.values_mut().flatten() {
            relation.fingerprint = None;
            relation.follow(versions);
        }
    }

    /// Notes that what it sets was made of that relation, as its base has it.
    pub fn read(&mut self, name: TableName) {
        self.reads.insert(name);
    }

    /// Whether publishing it would change nothing.
    pub fn is_unchanged(&self) -> bool {
        self.changes
            .iter()
            .all(|(name, relation)| self.base.relation(name) == relation.as_ref())
    }

    /// The release as it would be: for reading what is not published yet. Its number is the base's.
    pub fn preview(&self) -> Arc<Release> {
        Arc::new(self.onto(&self.base, self.base.number, self.changes.clone()))
    }

    /// What of it changes `newest`. What is said about a relation as before is stored already.
    pub(super) fn changes_to(&self, newest: &Release) -> Changes {
        let mut changes = self.changes.clone();
        changes.retain(|name, relation| newest.relation(name) != relation.as_ref());
        for (name, relation) in &mut changes {
            if let (Some(before), Some(relation)) = (newest.relation(name), relation)
                && before.docs == relation.docs
            {
                relation.docs = before.docs.clone();
            }
        }
        changes
    }

    /// The release `number`: `newest` with `changes`.
    pub(super) fn onto(&self, newest: &Release, number: u64, changes: Changes) -> Release {
        let (mut relations, mut timelines) = (newest.relations.clone(), newest.timelines.clone());
        if self.restores.is_some() {
            timelines.extend(changes.keys().map(|name| (name.clone(), number)));
        }
        model::apply(&mut relations, changes);
        Release {
            number,
            published_at: Utc::now(),
            by: self.by.clone(),
            run: self.run.clone(),
            restores: self.restores,
            relations,
            timelines,
        }
    }

    /// A rollback brings back what was there, whosever it was.
    ///
    /// # Errors
    /// Config: it puts a relation into the place of one that is not of the same owner.
    pub(super) fn check_owners(&self, newest: &Release) -> Result<()> {
        if self.restores.is_some() {
            return Ok(());
        }
        let set = self.changes.iter();
        let mut set = set.filter_map(|(name, relation)| Some((name, relation.as_ref()?)));
        set.try_for_each(|(name, relation)| newest.check_owner(name, relation.by_client))
    }

    /// # Errors
    /// Conflict: since its base, a release changed the rows of a relation that it changes too, or took one away that it was made of.
    pub(super) fn check_conflict(&self, newest: &Release) -> Result<()> {
        for name in self.changes.keys() {
            let same = match (self.base.relation(name), newest.relation(name)) {
                (Some(then), Some(now)) => then.is_same(now),
                (then, now) => then == now,
            };
            if !same {
                return Err(Error::conflict(
                    format!("publishing {name}"),
                    format!("release {} by {} changed it meanwhile", newest.number, newest.by),
                )
                .hint("run again: nothing of this run was published"));
            }
        }
        match self.reads.iter().find(|name| !newest.continues(name, &self.base)) {
            None => Ok(()),
            Some(name) => Err(Error::conflict(
                format!("publishing what was made of {name}"),
                format!(
                    "release {} by {} took away what had been read of it",
                    newest.number, newest.by
                ),
            )
            .hint("run again: nothing of this run was published")),
        }
    }
}
