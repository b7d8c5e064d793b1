//! Taking away what releases name by the hash of its content, and share: documentation, and what fitting a model left.

use chrono::{DateTime, Utc};
use cordada_core::{Context, Result, TableName};
use futures::TryStreamExt;
use object_store::path::Path;

use super::cleanup;
use super::pins::Pins;
use crate::estimator::ARTEFACTS;
use crate::lake::Lake;

/// Removes what was stored before `cutoff` and no release names; says how many files those were. Whoever names one anew
/// stores it again, so that it is younger then.
pub(super) async fn clean(lake: &Lake, environments: &[Lake], pins: &Pins, cutoff: DateTime<Utc>) -> Result<u64> {
    let mut gone = stored_before(lake, &lake.docs_folder(), cutoff).await?;
    gone.retain(|file| {
        let hash = file.filename().and_then(|name| name.strip_suffix(".json"));
        hash.is_some_and(|hash| !pins.has_docs(hash))
    });
    let artefacts = lake
        .object_store()
        .list_with_delimiter(Some(&Path::from(ARTEFACTS)))
        .await;
    for folder in artefacts.doing(|| "listing the lake's artefacts")?.common_prefixes {
        let Some(Ok(model)) = folder.filename().map(str::parse::<TableName>) else {
            continue;
        };
        let old = stored_before(lake, &folder, cutoff).await?;
        if old.is_empty() {
            continue;
        }
        let states = states(environments, pins, &model).await?;
        gone.extend(old.into_iter().filter(|file| {
            let name = file.filename().unwrap_or_default();
            !states.iter().any(|state| state.contains(name))
        }));
    }
    let count = gone.len() as u64;
    cleanup::delete(lake, "what no release names", gone.into_iter()).await?;
    Ok(count)
}

async fn stored_before(lake: &Lake, folder: &Path, cutoff: DateTime<Utc>) -> Result<Vec<Path>> {
    let files = lake
        .object_store()
        .list(Some(folder))
        .try_filter_map(|file| async move { Ok((file.last_modified < cutoff).then_some(file.location)) });
    files.try_collect().await.doing(|| format!("listing {folder}"))
}

/// What the versions of the model's table that are held say of the artefacts that they were scored with.
async fn states(environments: &[Lake], pins: &Pins, model: &TableName) -> Result<Vec<String>> {
    let mut states = Vec::new();
    for environment in environments {
        let path = environment.path_of(model);
        for version in pins.versions(&path) {
            states.extend(environment.state_at(&path, version).await?);
        }
    }
    Ok(states)
}
