//! Which versions of tables the releases of all environments hold.

use std::collections::HashMap;

use cordada_core::{Context, Result};
use futures::TryStreamExt;
use object_store::path::Path;

use crate::lake::{Lake, TARGETS};
use crate::release::{Relation, RelationKind};

/// The oldest version of each table, by its folder, that a release of some environment has or a view of one reads.
#[derive(Debug, Default)]
pub(super) struct Pins(HashMap<String, u64>);

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
        match &relation.kind {
            RelationKind::Table { path, version, .. } => {
                let oldest = self.0.entry(path.clone()).or_insert(*version);
                *oldest = (*oldest).min(*version);
            }
            RelationKind::View { reads, .. } => reads.values().for_each(|read| self.note(read)),
        }
    }

    /// The oldest version of the table at `path` that is held.
    pub(super) fn oldest(&self, path: &str) -> Option<u64> {
        self.0.get(path).copied()
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
