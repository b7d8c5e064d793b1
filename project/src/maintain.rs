//! `maintain`: compaction and clean-up, once when somebody asks, and by need while the project runs.

use std::collections::BTreeSet;
use std::time::Duration;

use cordada_core::units::Span;
use cordada_core::{Result, TableName};
use cordada_lake::Release;
use cordada_lake::maintain::{Effort, MaintenanceReport};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Project;

/// How often tables that changed are looked at.
const COMPACTION: Duration = Duration::from_secs(60);

/// How often a running project is cleaned up, at most.
const CLEAN_UP: Duration = Duration::from_secs(3600);

impl Project {
    /// Puts the small files of all tables together, drops releases that are older than `keep` (`maintain.keep` of the
    /// configuration if `None`), and removes what only they had.
    ///
    /// # Errors
    /// The lake cannot be read or written.
    pub async fn maintain(&self, keep: Option<Span>) -> Result<MaintenanceReport> {
        let tables = self.lake.tables().await?;
        let compacted = self.lake.compact(tables, Effort::Full).await?;
        let cleaned = self.lake.clean_up(self.keep(keep)).await?;
        Ok(MaintenanceReport {
            compacted: compacted.compacted,
            into: compacted.into,
            ..cleaned
        })
    }

    /// Maintains what needs it until it is cancelled. What fails is logged and tried again.
    pub(crate) async fn maintain_by_need(&self, cancel: CancellationToken) {
        let keep = self.keep(None);
        let mut compaction = every(COMPACTION.min(keep));
        let mut clean_up = every(CLEAN_UP.min(keep / 4));
        let mut seen = Release::default();
        loop {
            let work = async {
                tokio::select! {
                    _ = compaction.tick() => self.compact_changed(&mut seen).await,
                    _ = clean_up.tick() => self.lake.clean_up(keep).await,
                }
            };
            let maintained = tokio::select! {
                maintained = work => maintained,
                () = cancel.cancelled() => return,
            };
            match maintained {
                Ok(report) => report.left.iter().for_each(|(table, error)| {
                    tracing::warn!(%table, %error, "a table could not be maintained");
                }),
                Err(error) => tracing::warn!(%error, "maintenance failed; it will be tried again"),
            }
        }
    }

    /// Compacts what has changed since `seen`, and the journals, by need.
    async fn compact_changed(&self, seen: &mut Release) -> Result<MaintenanceReport> {
        let newest = self.lake.releases().newest().await?;
        let changed = newest
            .relations
            .iter()
            .filter(|(name, now)| seen.relation(name) != Some(now));
        let mut tables: BTreeSet<TableName> = changed.map(|(name, _)| name.clone()).collect();
        for journal in crate::journals() {
            tables.insert(journal.table()?);
        }
        let report = self.lake.compact(tables, Effort::Needed).await?;
        *seen = newest.as_ref().clone();
        Ok(report)
    }

    fn keep(&self, keep: Option<Span>) -> Duration {
        keep.unwrap_or(self.config.maintain.keep).0
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period.max(Duration::from_secs(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
