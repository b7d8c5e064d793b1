//! Changes to a release that are not published yet.

use std::sync::Arc;

use chrono::Utc;
use cordada_core::{Error, Result, TableName};

use super::model::{self, Changes, Relation, Release};

/// Changes to a release that are not published yet.
#[derive(Debug, Clone)]
pub struct Draft {
    base: Arc<Release>,
    by: String,
    run: String,
    restores: Option<u64>,
    changes: Changes,
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
        }
    }

    /// The state of `target`, to be published on top of `newest`.
    pub(super) fn rollback(newest: Arc<Release>, target: &Release, run: &str) -> Self {
        let mut draft = Self::new(newest.clone(), "rollback", run);
        draft.restores = Some(target.number);
        for name in newest.relations.keys() {
            draft.remove(name.clone());
        }
        for (name, relation) in &target.relations {
            draft.set(name.clone(), relation.clone());
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
        let mut relations = newest.relations.clone();
        model::apply(&mut relations, changes);
        Release {
            number,
            published_at: Utc::now(),
            by: self.by.clone(),
            run: self.run.clone(),
            restores: self.restores,
            relations,
        }
    }

    /// # Errors
    /// Conflict: since its base, a release changed a relation that it changes too.
    pub(super) fn check_conflict(&self, newest: &Release) -> Result<()> {
        for name in self.changes.keys() {
            if self.base.relation(name) != newest.relation(name) {
                return Err(Error::conflict(
                    format!("publishing {name}"),
                    format!("release {} by {} changed it meanwhile", newest.number, newest.by),
                )
                .hint("run again: nothing of this run was published"));
            }
        }
        Ok(())
    }
}
