//! Building: run what is stale in graph order, test it, publish it as one release.

mod data_tests;
mod docs;
mod fingerprint;
mod journal;
mod materialize;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::datatypes::Schema;
use chrono::Utc;
use cordada_core::progress::Progress;
use cordada_core::{Error, ErrorKind, Result};
use cordada_lake::estimator::Estimators;
use cordada_lake::{Draft, Lake};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::journal::JOURNALS;
use self::materialize::{Done, Materialize};
pub use self::report::{BuildReport, NodeReport, NodeStatus, TestReport, TestStatus};
use crate::compiled::{Compiled, CompiledNode};
use crate::config::{Materialization, OnSchemaChange};
use crate::node::NodeId;

/// What to build, and how.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// dbt's selectors; all nodes if there is none.
    pub select: Vec<String>,
    /// Selectors of what to leave out.
    pub exclude: Vec<String>,
    /// Build incremental models from scratch, and reuse nothing.
    pub full_refresh: bool,
    /// How many nodes are built at once; 0 for as many as queries have parallel tasks.
    pub threads: usize,
}

/// Builds, tests and publishes.
///
/// A node that fails skips those that read it. One release is published when no node and no test of severity error
/// failed; otherwise the report's `release` is `None` and readers keep seeing what was. Either way `ops.runs` and
/// `ops.test_results` say what happened.
///
/// # Errors
/// What stops the build itself: a selector that matches nothing, an incremental model whose columns changed against
/// its `on_schema_change`, a store that is unavailable, a release published meanwhile over the same relations, or
/// `cancel`. Nothing is published then.
pub async fn build(
    compiled: &Compiled,
    lake: &Lake,
    estimators: &Estimators,
    options: &BuildOptions,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
) -> Result<BuildReport> {
    let selected = compiled.project.select(&options.select, &options.exclude)?;
    let run_id = Uuid::now_v7().to_string();
    let build = Build {
        compiled,
        lake,
        estimators,
        options,
        progress,
        run_id: run_id.clone(),
        selected,
        ended: Mutex::default(),
    };
    build.check_changed_columns()?;
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::cancelled("building the SQL project")),
        result = build.run() => result,
    };
    match result {
        Ok(report) => Ok(report),
        Err(error) => {
            // The first error is the one to report, so one of the journal only adds to the log.
            let nodes = build.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Err(unrecorded) = journal::record_nodes(lake, &run_id, &nodes).await {
                tracing::warn!(%unrecorded, "the build could not be recorded");
            }
            Err(error)
        }
    }
}

/// A build in progress.
struct Build<'a> {
    compiled: &'a Compiled,
    lake: &'a Lake,
    estimators: &'a Estimators,
    options: &'a BuildOptions,
    progress: Arc<dyn Progress>,
    run_id: String,
    selected: BTreeSet<NodeId>,
    /// The nodes that ended, for the journal of a build that is stopped.
    ended: Mutex<Vec<NodeReport>>,
}

impl Build<'_> {
    async fn run(&self) -> Result<BuildReport> {
        let mut draft = Draft::new(self.compiled.base.clone(), "build", &*self.run_id);
        let nodes = self.run_nodes(&mut draft).await?;
        let tests = self.run_tests(&draft, &nodes).await?;
        let mut report = BuildReport {
            run_id: self.run_id.clone(),
            nodes,
            tests,
            release: None,
        };
        journal::record_tests(self.lake, &self.run_id, &report.tests).await?;
        journal::record_nodes(self.lake, &self.run_id, &report.nodes).await?;
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if report.succeeded() {
            report.release = Some(match draft.is_unchanged() {
                true => draft.base().number,
                false => self.lake.releases().publish(&draft).await?.number,
            });
        }
        Ok(report)
    }

    /// Builds the selected nodes, several at once, each after those that it reads.
    async fn run_nodes(&self, draft: &mut Draft) -> Result<Vec<NodeReport>> {
        let mut waiting = self.waiting();
        let mut failed: BTreeMap<NodeId, String> = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        let mut reports = Vec::new();
        let position: BTreeMap<NodeId, usize> = self
            .compiled
            .project
            .0
            .order
            .iter()
            .enumerate()
            .map(|(at, id)| (*id, at))
            .collect();
        loop {
            let is_ready = |parents: &BTreeSet<NodeId>| parents.is_empty();
            while running.len() < self.threads()
                && let Some(next) = waiting
                    .iter()
                    .filter(|(_, parents)| is_ready(parents))
                    .map(|(id, _)| *id)
                    .min_by_key(|id| position[id])
            {
                waiting.remove(&next);
                running.push(self.run_node(&self.compiled.nodes[next.0], draft.preview()));
            }
            let Some((id, report, result)) = running.next().await else {
                break;
            };
            match result {
                Ok(done) => {
                    draft.set(self.compiled.nodes[id.0].table.clone(), done.relation);
                    for parents in waiting.values_mut() {
                        parents.remove(&id);
                    }
                    reports.push(self.ended(report));
                }
                // Something outside does not get better by going on.
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    self.ended(report);
                    return Err(error);
                }
                Err(_) => {
                    failed.insert(id, report.name.clone());
                    reports.push(self.ended(report));
                    while let Some((skipped, because)) = first_behind(&waiting, &failed) {
                        waiting.remove(&skipped);
                        let report = self.skipped(&self.compiled.nodes[skipped.0], &because);
                        failed.insert(skipped, because);
                        reports.push(self.ended(report));
                    }
                }
            }
        }
        Ok(reports)
    }

    /// The selected nodes, each with the selected ones that must be built before.
    fn waiting(&self) -> BTreeMap<NodeId, BTreeSet<NodeId>> {
        let is_built = |id: &NodeId| {
            self.selected.contains(id) && self.compiled.nodes[id.0].materialization != Materialization::Ephemeral
        };
        let nodes = &self.compiled.project.0.nodes;
        self.selected
            .iter()
            .filter(|id| is_built(id))
            .map(|id| {
                // Through what is not built itself: ephemeral models, and views that are not selected.
                let mut parents = BTreeSet::new();
                let mut seen = BTreeSet::new();
                let mut way: Vec<NodeId> = nodes[id.0].depends_on.clone();
                while let Some(parent) = way.pop() {
                    if is_built(&parent) {
                        parents.insert(parent);
                    } else if seen.insert(parent) {
                        way.extend(&nodes[parent.0].depends_on);
                    }
                }
                (*id, parents)
            })
            .collect()
    }

    async fn run_node(
        &self,
        node: &CompiledNode,
        release: Arc<cordada_lake::Release>,
    ) -> (NodeId, NodeReport, Result<Done>) {
        let project = &self.compiled.project.0;
        let source = &project.nodes[node.id.0];
        let task: Arc<dyn cordada_core::progress::Task> = self.progress.start(&node.name, None, "rows").into();
        let (started_at, clock) = (Utc::now(), Instant::now());
        let materialize = Materialize {
            lake: self.lake,
            estimators: self.estimators,
            node,
            source,
            docs: docs::of(project, source).into(),
            base: &self.compiled.base,
            release,
            full_refresh: self.is_full_refresh(node.id),
            task: task.clone(),
        };
        let result = materialize.run().await;
        let mut report = NodeReport {
            name: node.name.clone(),
            table: node.table.clone(),
            materialization: node.materialization,
            status: NodeStatus::Failed,
            rows: None,
            version: None,
            started_at,
            seconds: clock.elapsed().as_secs_f64(),
            message: None,
        };
        match &result {
            Ok(done) => {
                report.status = if done.reused {
                    NodeStatus::Reused
                } else {
                    NodeStatus::Built
                };
                report.rows = done.rows;
                report.version = fingerprint::version(&done.relation);
                task.finish(&summary(done));
            }
            Err(error) => report.message = Some(error.to_string()),
        }
        (node.id, report, result)
    }

    fn skipped(&self, node: &CompiledNode, because: &str) -> NodeReport {
        NodeReport {
            name: node.name.clone(),
            table: node.table.clone(),
            materialization: node.materialization,
            status: NodeStatus::Skipped,
            rows: None,
            version: None,
            started_at: Utc::now(),
            seconds: 0.0,
            message: Some(format!("{because} failed")),
        }
    }

    fn ended(&self, report: NodeReport) -> NodeReport {
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(report.clone());
        report
    }

    fn threads(&self) -> usize {
        if self.options.threads == 0 {
            self.lake.parallelism()
        } else {
            self.options.threads
        }
    }

    /// Whether a node is built from scratch: its own configuration wins over the command line.
    fn is_full_refresh(&self, id: NodeId) -> bool {
        self.compiled.project.0.nodes[id.0]
            .config
            .full_refresh
            .unwrap_or(self.options.full_refresh)
    }

    /// Refuses incremental models whose columns changed in a way that their `on_schema_change` does not allow.
    fn check_changed_columns(&self) -> Result<()> {
        for id in &self.selected {
            let node = &self.compiled.nodes[id.0];
            let config = &self.compiled.project.0.nodes[id.0].config;
            let Some(existing) = node.work.existing.as_ref().filter(|_| !self.is_full_refresh(*id)) else {
                continue;
            };
            let missing_in = |other: &Schema, schema: &Schema| {
                let mut names = schema.fields().iter().map(|field| field.name().clone());
                names.find(|name| other.field_with_name(name).is_err())
            };
            let gone = missing_in(&node.work.schema, existing);
            let new = missing_in(existing, &node.work.schema);
            let why = match (config.on_schema_change, gone, new) {
                (OnSchemaChange::Fail, _, Some(new)) => format!("the column `{new}` is new"),
                (OnSchemaChange::Fail | OnSchemaChange::Ignore, Some(gone), _) => {
                    format!("the column `{gone}` is no longer selected")
                }
                _ => continue,
            };
            return Err(Error::config(format!("building {}", node.name), why)
                .hint("set on_schema_change='append_new_columns', or build it with --full-refresh")
                .at(node.file.display(), 0, 0));
        }
        Ok(())
    }
}

/// A waiting node that waits for a failed one, and what failed.
fn first_behind(
    waiting: &BTreeMap<NodeId, BTreeSet<NodeId>>,
    failed: &BTreeMap<NodeId, String>,
) -> Option<(NodeId, String)> {
    waiting.iter().find_map(|(id, parents)| {
        let because = parents.iter().find_map(|parent| failed.get(parent))?;
        Some((*id, because.clone()))
    })
}

fn summary(done: &Done) -> String {
    match (done.reused, done.rows) {
        (true, _) => "unchanged".to_owned(),
        (false, Some(rows)) => format!("{rows} rows"),
        (false, None) => "view".to_owned(),
    }
}
