//! Taking away what no release and no reader needs: files of a table, and entries of its log.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use cordada_core::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::Deserialize;

use crate::lake::Lake;

/// Age of a file that was never committed at which nobody is going to: that of a killed load, not of one that runs.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Entries of a log that are read at the same time.
const PARALLEL_READS: usize = 32;

/// What a clean-up took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cleaned {
    /// Data files.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Files of the log.
    pub(super) log_files: u64,
}

/// The log of a table, as its folder has it.
struct LogFolder {
    entries: BTreeMap<u64, ObjectMeta>,
    /// Whole checkpoints, each in one file.
    checkpoints: Vec<u64>,
    /// All files that are about a version.
    files: Vec<(u64, Path)>,
}

impl LogFolder {
    async fn read(lake: &Lake, path: &str) -> Result<Self> {
        let folder = Path::from(format!("{path}/_delta_log"));
        let mut log = Self {
            entries: BTreeMap::new(),
            checkpoints: Vec::new(),
            files: Vec::new(),
        };
        let mut files = lake.object_store().list(Some(&folder));
        while let Some(file) = files.try_next().await.doing(|| format!("listing {folder}"))? {
            let name = file.location.filename().unwrap_or_default();
            let Some((version, kind)) = name
                .split_once('.')
                .filter(|(version, _)| version.len() == 20)
                .and_then(|(version, kind)| Some((version.parse::<u64>().ok()?, kind)))
            else {
                continue;
            };
            log.files.push((version, file.location.clone()));
            match kind {
                "json" => drop(log.entries.insert(version, file)),
                "checkpoint.parquet" => log.checkpoints.push(version),
                _ => {}
            }
        }
        Ok(log)
    }

    /// The version that the table had at `time`, by the store's clock; the oldest one if all are newer.
    fn version_at(&self, time: DateTime<Utc>) -> Option<u64> {
        let newer = self.entries.iter().find(|(_, entry)| entry.last_modified > time);
        let oldest = self.entries.keys().next().copied();
        match newer {
            Some((&version, _)) => oldest.map(|oldest| oldest.max(version.saturating_sub(1))),
            None => self.entries.keys().next_back().copied(),
        }
    }
}

/// Takes away what the versions before `held` alone have, and what belongs to none; never what a version since `cutoff`
/// (by the store's clock, whose time is `now`) has.
pub(super) async fn clean(
    lake: &Lake,
    path: &str,
    held: Option<u64>,
    cutoff: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Cleaned> {
    let log = LogFolder::read(lake, path).await?;
    let (Some(newest), Some(then)) = (log.entries.keys().next_back().copied(), log.version_at(cutoff)) else {
        return Ok(Cleaned::default());
    };
    let oldest = held.map_or(then, |held| held.min(then));
    let mut cleaned = clean_files(lake, path, &log, oldest..newest, now).await?;
    cleaned.log_files = clean_log(lake, path, &log, oldest).await?;
    Ok(cleaned)
}

async fn clean_files(
    lake: &Lake,
    path: &str,
    log: &LogFolder,
    versions: std::ops::Range<u64>,
    now: DateTime<Utc>,
) -> Result<Cleaned> {
    let doing = || format!("cleaning up {path}");
    let first = lake.snapshot(path, versions.start).await?;
    let mut needed = HashSet::new();
    first.files().iter().for_each(|file| note(&mut needed, &file.add.path));
    let mut committed = HashSet::new();
    let mut entries = stream::iter(log.entries.keys().copied())
        .map(|version| async move { Ok((version, added(lake, path, version).await?)) })
        .buffered(PARALLEL_READS);
    while let Some((version, files)) = entries.try_next().await? {
        let known = match version > versions.start {
            true => &mut needed,
            false => &mut committed,
        };
        files.iter().for_each(|file| note(known, file));
    }
    let abandoned = now - ABANDONED;
    let folder = Path::from(path);
    let listed = lake
        .object_store()
        .list_with_delimiter(Some(&folder))
        .await
        .doing(doing)?;
    let garbage = listed.objects.into_iter().filter(|object| {
        let name = object.location.filename().unwrap_or_default();
        let is_data = !name.starts_with(['_', '.']) && !needed.contains(name);
        is_data && (committed.contains(name) || object.last_modified < abandoned)
    });
    let garbage: Vec<ObjectMeta> = garbage.collect();
    let cleaned = Cleaned {
        files: garbage.len() as u64,
        bytes: garbage.iter().map(|object| object.size).sum(),
        log_files: 0,
    };
    delete(lake, path, garbage.into_iter().map(|object| object.location)).await?;
    Ok(cleaned)
}

/// Notes the name of a file of the log, whose path may be encoded as in a URL (Delta protocol, "Add File").
fn note(names: &mut HashSet<String>, path: &str) {
    let decoded = Path::from_url_path(path).ok();
    names.extend(decoded.and_then(|path| path.filename().map(str::to_owned)));
    names.insert(path.to_owned());
}

/// Takes away the entries that the last checkpoint at or before `oldest` replaces.
async fn clean_log(lake: &Lake, path: &str, log: &LogFolder, oldest: u64) -> Result<u64> {
    let checkpoints = log.checkpoints.iter().copied();
    let Some(checkpoint) = checkpoints.filter(|version| *version <= oldest).max() else {
        return Ok(0);
    };
    let mut gone: Vec<_> = log.files.iter().filter(|(version, _)| *version < checkpoint).collect();
    // Oldest first, so that what is left after a crash has no holes.
    gone.sort_unstable();
    let count = gone.len() as u64;
    delete(lake, path, gone.into_iter().map(|(_, file)| file.clone())).await?;
    Ok(count)
}

async fn delete(lake: &Lake, path: &str, files: impl Iterator<Item = Path>) -> Result<()> {
    let files: Vec<_> = files.map(Ok).collect();
    let deleted = lake.object_store().delete_stream(stream::iter(files).boxed());
    deleted
        .try_for_each(|_| async { Ok(()) })
        .await
        .doing(|| format!("cleaning up {path}"))
}

/// The files that a version added.
async fn added(lake: &Lake, path: &str, version: u64) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Action {
        add: Option<File>,
    }
    #[derive(Deserialize)]
    struct File {
        path: String,
    }
    let doing = || format!("reading entry {version} of the log of {path}");
    let entry = Path::from(format!("{path}/_delta_log/{version:020}.json"));
    let bytes = lake
        .object_store()
        .get(&entry)
        .await
        .doing(doing)?
        .bytes()
        .await
        .doing(doing)?;
    let actions = serde_json::Deserializer::from_slice(&bytes).into_iter::<Action>();
    let files = actions.filter_map(|action| action.map(|action| Some(action.add?.path)).transpose());
    files.collect::<Result<_, _>>().doing(doing)
}
