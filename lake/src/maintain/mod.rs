//! Maintenance: small files are put together, releases that nobody wants any more go, and what only they had goes too.
//!
//! Readers and writers are never stopped: whoever reads a release has its files for as long as it is kept, and a writer
//! goes on from a compaction as if there had been none.

mod cleanup;
mod compaction;
mod contents;
mod journal;
mod pins;
mod plan;

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use cordada_core::{Context, Error, ErrorKind, Result, TableName, local_store, threads};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use self::compaction::Compacted;
pub use self::journal::MAINTENANCE;
use self::pins::{Pins, environments};
pub use self::plan::Effort;
use crate::lake::Lake;

/// The file by which the lake is asked for its time.
const CLOCK: &str = "_cordada/clock";

/// Age of a file that was never committed at which nobody is going to: that of a killed load, not of one that runs.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);

/// What maintenance did.
#[derive(Debug, Default)]
pub struct MaintenanceReport {
    /// Releases that were dropped.
    pub releases: u64,
    /// Tables that were looked at.
    pub tables: u64,
    /// Files that were put together.
    pub compacted: u64,
    /// Files that they became.
    pub into: u64,
    /// Data files that were removed.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Files of logs that were removed.
    pub log_files: u64,
    /// Documentation and artefacts that were removed.
    pub contents: u64,
    /// Files that were removed because whoever wrote them was killed.
    pub unfinished: u64,
    /// Tables that were left as they are, and why: another engine keeps them in a way that the lake does not read.
    pub left: Vec<(TableName, Error)>,
}

impl MaintenanceReport {
    /// What was done to a table, or the reason to leave it alone.
    ///
    /// # Errors
    /// What stops everything: the store.
    fn outcome<T>(&mut self, table: &TableName, outcome: Result<T>) -> Result<Option<T>> {
        self.tables += 1;
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            Err(error) => {
                self.left.push((table.clone(), error));
                Ok(None)
            }
        }
    }
}

/// What was done to one table.
struct Done {
    table: TableName,
    path: String,
    at: DateTime<Utc>,
    compacted: Option<Compacted>,
    cleaned: cleanup::Cleaned,
}

impl Lake {
    /// Puts together the small files of those tables of this environment. Dropping the future leaves nothing but files
    /// that [`Lake::clean_up`] removes one day.
    ///
    /// # Errors
    /// Unavailable: the store cannot be read or written. What is wrong with a table is in the report.
    pub async fn compact(
        &self,
        tables: impl IntoIterator<Item = TableName>,
        effort: Effort,
    ) -> Result<MaintenanceReport> {
        let mut report = MaintenanceReport::default();
        let mut done = Vec::new();
        for table in tables {
            let compacted = compaction::compact(self, &table, effort).await;
            let Some(compacted) = report.outcome(&table, compacted)?.flatten() else {
                continue;
            };
            report.compacted += compacted.files;
            report.into += compacted.into;
            done.push(Done {
                path: self.path_of(&table),
                table,
                at: Utc::now(),
                compacted: Some(compacted),
                cleaned: cleanup::Cleaned::default(),
            });
        }
        journal::record(self, &done).await?;
        Ok(report)
    }

    /// Drops the releases of all environments that are older than `keep`, but for the newest, and removes the files and
    /// log entries that no other one needs and that no version of the last `keep` had, documentation and artefacts that
    /// no other one names, and what killed writers left. What reads or writes must not
    /// take longer than `keep`.
    ///
    /// # Errors
    /// Unavailable: the store cannot be read or written. Doing it again goes on. What is wrong with a table is in the
    /// report.
    pub async fn clean_up(&self, keep: Duration) -> Result<MaintenanceReport> {
        let now = self.now().await?;
        let cutoff = now - keep;
        let mut report = MaintenanceReport::default();
        let mut done = Vec::new();
        let environments = environments(self).await?;
        for environment in &environments {
            let releases = environment.releases();
            let first = releases.first_since(cutoff).await?.unwrap_or(u64::MAX);
            report.releases += releases.drop_before(first).await? as u64;
        }
        let mut pins = Pins::read(&environments).await?;
        for environment in &environments {
            for table in environment.tables().await? {
                // A rollback may have brought something back.
                pins.note_newest(&environments).await?;
                let path = environment.path_of(&table);
                let cleaned = cleanup::clean(environment, &path, pins.oldest(&path), cutoff, now).await;
                let Some(cleaned) = report.outcome(&table, cleaned)? else {
                    continue;
                };
                report.removed += cleaned.files;
                report.removed_bytes += cleaned.bytes;
                report.log_files += cleaned.log_files;
                if cleaned != cleanup::Cleaned::default() {
                    let compacted = None;
                    let at = Utc::now();
                    done.push(Done {
                        table,
                        path,
                        at,
                        compacted,
                        cleaned,
                    });
                }
            }
        }
        report.contents = contents::clean(self, &environments, &pins, cutoff).await?;
        report.unfinished = self.remove_unfinished((now - ABANDONED).into()).await?;
        journal::record(self, &done).await?;
        Ok(report)
    }

    /// Removes what writers of a local lake that were killed left under names that nobody lists.
    async fn remove_unfinished(&self, before: SystemTime) -> Result<u64> {
        let doing = || "removing what killed writers left";
        let Some(folder) = self.local_folder().map(ToOwned::to_owned) else {
            return Ok(0);
        };
        threads::blocking(doing(), move || {
            local_store::remove_unfinished(&folder, before).doing(doing)
        })
        .await
    }

    /// The tables in this environment's own folder, journals among them.
    ///
    /// # Errors
    /// The lake cannot be listed.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        let root = self.folder().map(Path::from);
        let mut tables = Vec::new();
        for schema in self.folders(root.as_ref()).await? {
            for folder in self.folders(Some(&schema)).await? {
                let (Some(schema), Some(name)) = (schema.filename(), folder.filename()) else {
                    continue;
                };
                // What is not called as a table is not one of ours.
                if let Ok(table) = TableName::new(schema, name)
                    && self.latest_version(&table).await?.is_some()
                {
                    tables.push(table);
                }
            }
        }
        Ok(tables)
    }

    async fn folders(&self, folder: Option<&Path>) -> Result<Vec<Path>> {
        let listed = self.object_store().list_with_delimiter(folder).await;
        let listed = listed.doing(|| "listing the lake's tables")?.common_prefixes;
        Ok(listed
            .into_iter()
            .filter(|folder| !folder.filename().unwrap_or_default().starts_with(['_', '.']))
            .collect())
    }

    /// The time by the clock of the store, which is the one that says how old files are.
    async fn now(&self) -> Result<DateTime<Utc>> {
        let doing = || "asking the lake's store for its time";
        let clock = Path::from(CLOCK);
        self.object_store().put(&clock, Vec::new().into()).await.doing(doing)?;
        Ok(self.object_store().head(&clock).await.doing(doing)?.last_modified)
    }
}
