//! What the releases of all environments hold: versions of tables, and what is said about relations.

use std::collections::{BTreeSet, HashMap, HashSet};

use cordada_core::{Context, Result};
use futures::TryStreamExt;
use object_store::path::Path;

use crate::lake::{Lake, TARGETS};
use crate::release::{Relation, RelationKind};

/// What a release of some environment has, or a view of one reads.
#[derive(Debug, Default)]
pub(super) struct Pins {
    /// Versions of tables, by their folders.
    versions: HashMap<String, BTreeSet<u64>>,
    /// Hashes of documentation.
    docs: HashSet<String>,
}

impl Pins {
    /// Of all releases that there are.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) async fn read(environments: &[Lake]) -> Result<Self> {
        let mut pins = Self::default();
        for environment in environments {
            let mut history = std::pin::pin!(environment.releases().history());
            while let Some(release) = history.try_next().await? {
                release
                    .changes
                    .values()
                    .flatten()
                    .for_each(|relation| pins.note(relation));
            }
        }
        Ok(pins)
    }

    /// Adds what the newest releases hold.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) async fn note_newest(&mut self, environments: &[Lake]) -> Result<()> {
        for environment in environments {
            let newest = environment.releases().newest().await?;
            newest.relations.values().for_each(|relation| self.note(relation));
        }
        Ok(())
    }

    fn note(&mut self, relation: &Relation) {
        if !relation.docs.is_empty() {
            self.docs.insert(relation.docs.hash().to_owned());
        }
        match &relation.kind {
            RelationKind::Table { path, version, .. } => {
                self.versions.entry(path.clone()).or_default().insert(*version);
            }
            RelationKind::View { reads, .. } => reads.values().for_each(|read| self.note(read)),
        }
    }

    /// The oldest version of the table at `path` that is held.
    pub(super) fn oldest(&self, path: &str) -> Option<u64> {
        self.versions(path).next()
    }

    /// The versions of the table at `path` that are held, oldest first.
    pub(super) fn versions(&self, path: &str) -> impl Iterator<Item = u64> {
        self.versions.get(path).into_iter().flatten().copied()
    }

    /// Whether documentation of that hash is held.
    pub(super) fn has_docs(&self, hash: &str) -> bool {
        self.docs.contains(hash)
    }
}

/// The lake in production and in each environment that has written.
///
/// # Errors
/// The lake cannot be listed.
pub(super) async fn environments(lake: &Lake) -> Result<Vec<Lake>> {
    let folder = Path::from(TARGETS);
    let listed = lake.object_store().list_with_delimiter(Some(&folder)).await;
    let listed = listed.doing(|| "listing the lake's environments")?;
    let targets = listed.common_prefixes.iter().filter_map(|folder| folder.filename());
    std::iter::once(None)
        .chain(targets.map(Some))
        .map(|target| lake.in_target(target))
        .collect()
}
