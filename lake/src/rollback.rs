//! An earlier release's state, published again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cordada_core::{Context, Error, Result, TableName};
use object_store::path::Path;

use crate::lake::Lake;
use crate::release::{Draft, Relation, RelationKind, Release};
use crate::table::commit::UNREPEATABLE;

/// What a rollback did.
#[derive(Debug, Clone)]
pub struct RolledBack {
    /// The release that it published.
    pub release: Arc<Release>,
    /// Tables that were left as they are, because their rows could not be had again from where they came.
    pub left: Vec<TableName>,
}

impl Lake {
    /// Publishes the state of release `number` again, as a new release. What was written into its tables since is undone:
    /// the next load of each goes on from the state that it has then.
    ///
    /// Tables of [`crate::Write::unrepeatable`] rows are left as they are.
    ///
    /// # Errors
    /// Config: there is no release of that number. Failed: its files are no longer there. Conflict: somebody published
    /// meanwhile.
    pub async fn rollback(&self, number: u64, run: &str) -> Result<RolledBack> {
        let newest = self.releases().newest().await?;
        let target = self.releases().get(number).await?;
        let mut wanted = target.relations.clone();
        let mut left = Vec::new();
        for (name, relation) in changed(&newest.relations, &target.relations) {
            if let Some(now) = newest.relation(name)
                && self.is_unrepeatable(now).await?
            {
                wanted.insert(name.clone(), now.clone());
                left.push(name.clone());
            } else if let Some(relation) = relation {
                self.check_files(number, name, relation).await?;
            }
        }
        let release = self
            .releases()
            .publish(&Draft::rollback(newest, wanted, number, run))
            .await?;
        Ok(RolledBack { release, left })
    }

    async fn is_unrepeatable(&self, relation: &Relation) -> Result<bool> {
        match &relation.kind {
            RelationKind::Table { path, version, .. } => {
                Ok(self.snapshot(path, *version).await?.property(UNREPEATABLE).is_some())
            }
            RelationKind::View { .. } => Ok(false),
        }
    }

    /// # Errors
    /// Failed: another engine has removed files or entries of the log that the version needs.
    async fn check_files(&self, number: u64, name: &TableName, relation: &Relation) -> Result<()> {
        let RelationKind::Table { path, version, .. } = &relation.kind else {
            return Ok(());
        };
        let doing = || format!("rolling back to release {number}");
        let refused = |why: String| {
            Error::failed(doing(), why).hint("nothing was published; a release before or after it may be whole")
        };
        let snapshot = self.snapshot(path, *version).await;
        let snapshot = snapshot.map_err(|error| refused(format!("{name} cannot be read: {error}")))?;
        let folder = Path::from(path.as_str());
        let there = self
            .object_store()
            .list_with_delimiter(Some(&folder))
            .await
            .doing(doing)?;
        let there: BTreeSet<&Path> = there.objects.iter().map(|object| &object.location).collect();
        let gone = snapshot
            .files()
            .iter()
            .filter(|file| !there.contains(&file.location))
            .count();
        match gone {
            0 => Ok(()),
            _ => Err(refused(format!("{gone} of the files that {name} had were removed"))),
        }
    }
}

/// The relations that differ, as they are in `target`.
fn changed<'a>(
    newest: &'a BTreeMap<TableName, Relation>,
    target: &'a BTreeMap<TableName, Relation>,
) -> Vec<(&'a TableName, Option<&'a Relation>)> {
    let names: BTreeSet<&TableName> = newest.keys().chain(target.keys()).collect();
    let names = names.into_iter().filter(|name| newest.get(*name) != target.get(*name));
    names.map(|name| (name, target.get(name))).collect()
}
