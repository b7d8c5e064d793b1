//! Building: run what is stale in graph order, test it, publish it as one release.

mod arrivals;
mod canonical;
mod data_tests;
pub(crate) mod docs;
mod fingerprint;
mod journal;
mod materialize;
mod model;
mod query;
mod report;
pub(crate) mod rows;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use cordada_core::progress::Progress;
use cordada_core::{Error, ErrorKind, Result};
use cordada_lake::estimator::{Estimators, Relations};
use cordada_lake::{Draft, Lake};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::arrivals::Arrivals;
pub use self::journal::JOURNALS;
use self::materialize::{BuiltNode, BuiltRelation, Goal, Materialize};
pub use self::report::{BuildReport, NodeReport, NodeStatus, TestReport, TestStatus};
use crate::compiled::{CompiledNode, CompiledProject};
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
    compiled: &CompiledProject,
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
        drafted: lake.with_pending_writes(),
        estimators,
        options,
        progress,
        run_id: run_id.clone(),
        selected,
        arrivals: Arrivals::default(),
        ended: Mutex::default(),
    };
    build.check_owners()?;
    build.check_changed_columns()?;
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::cancelled("building the SQL project")),
        result = build.run() => result,
    };
    match result {
        Ok(report) => Ok(report),
        Err(error) => {
            build.drafted.discard_pending().await;
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
    compiled: &'a CompiledProject,
    lake: &'a Lake,
    /// The lake with what is built: nobody else sees it until the tests have passed.
    drafted: Lake,
    estimators: &'a Estimators,
    options: &'a BuildOptions,
    progress: Arc<dyn Progress>,
    run_id: String,
    selected: BTreeSet<NodeId>,
    /// The rows that came to tables that segments choose from.
    arrivals: Arrivals,
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
        match report.succeeded() {
            true => {
                self.drafted.commit_pending(&mut draft).await?;
                report.note_versions(&draft.preview());
            }
            false => self.drafted.discard_pending().await,
        }
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
                running.push(self.run_node(next, draft.preview()));
            }
            let Some((id, ended, result)) = running.next().await else {
                break;
            };
            reports.extend(self.ended(ended));
            match result {
                Ok(built) => {
                    built.reads.into_iter().for_each(|name| draft.read(name));
                    for relation in built.relations {
                        draft.set(self.compiled.nodes[relation.node.0].table.clone(), relation.relation);
                    }
                    for parents in waiting.values_mut() {
                        parents.remove(&id);
                    }
                }
                // Something outside does not get better by going on.
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(_) => {
                    failed.insert(id, self.compiled.nodes[id.0].name.clone());
                    while let Some((skipped, because)) = first_behind(&waiting, &failed) {
                        waiting.remove(&skipped);
                        reports.extend(self.ended(self.skipped(skipped, &because)));
                        failed.insert(skipped, because);
                    }
                }
            }
        }
        Ok(reports)
    }

    /// The selected nodes, each with the selected ones that must be built before.
    fn waiting(&self) -> BTreeMap<NodeId, BTreeSet<NodeId>> {
        // An ephemeral model is built within those that read it, an output with its model.
        let is_built = |id: &NodeId| {
            let materialization = self.compiled.nodes[id.0].materialization;
            self.selected.contains(id)
                && !matches!(materialization, Materialization::Ephemeral | Materialization::Output)
        };
        let nodes = &self.compiled.project.0.nodes;
        self.selected
            .iter()
            .filter(|id| is_built(id))
            .map(|id| {
                // Through what is not built itself: ephemeral models, outputs, and views that are not selected.
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

    /// Builds a node with its further outputs, and reports on all of them.
    async fn run_node(
        &self,
        id: NodeId,
        release: Arc<cordada_lake::Release>,
    ) -> (NodeId, Vec<NodeReport>, Result<BuiltNode>) {
        let node = &self.compiled.nodes[id.0];
        let task: Arc<dyn cordada_core::progress::Task> = self.progress.start(&node.name, None, "rows").into();
        let (started_at, clock) = (Utc::now(), Instant::now());
        let materialize = Materialize {
            lake: &self.drafted,
            estimators: self.estimators,
            goals: self.goals(id),
            source: &self.compiled.project.0.nodes[id.0],
            base: &self.compiled.base,
            release,
            full_refresh: self.is_full_refresh(id),
            task: task.clone(),
            reads: Mutex::default(),
            arrivals: &self.arrivals,
            is_chosen_from: self.is_chosen_from(id),
        };
        let result = materialize.run().await;
        let seconds = clock.elapsed().as_secs_f64();
        let reports = match &result {
            Ok(built) => {
                task.finish(&summary(built));
                self.reports(built, started_at, seconds)
            }
            Err(error) => {
                let mut failed = NodeReport::new(node, NodeStatus::Failed, started_at);
                failed.seconds = seconds;
                failed.message = Some(error.to_string());
                let outputs = self.outputs(id);
                let behind = outputs.map(|output| NodeReport::skipped(output, &node.name));
                std::iter::once(failed).chain(behind).collect()
            }
        };
        (id, reports, result)
    }

    /// Whether a segment chooses from the node.
    fn is_chosen_from(&self, id: NodeId) -> bool {
        let table = &self.compiled.nodes[id.0].table;
        let mut segments = self.compiled.nodes.iter().filter_map(|node| node.work.segment.as_ref());
        segments.any(|segment| segment.table.as_ref() == Some(table))
    }

    /// The relations that building a node makes.
    fn goals(&self, id: NodeId) -> Relations<Goal<'_>> {
        let project = &self.compiled.project.0;
        let goal = |id: NodeId| Goal {
            node: &self.compiled.nodes[id.0],
            docs: docs::of(project, &project.nodes[id.0]).into(),
        };
        let outputs = &project.nodes[id.0].outputs;
        Relations {
            main: goal(id),
            further: outputs.iter().map(|(name, id)| (name.clone(), goal(*id))).collect(),
        }
    }

    /// The further outputs of a node.
    fn outputs(&self, id: NodeId) -> impl Iterator<Item = &CompiledNode> {
        let outputs = self.compiled.project.0.nodes[id.0].outputs.values();
        outputs.map(|id| &self.compiled.nodes[id.0])
    }

    fn reports(&self, built: &BuiltNode, started_at: DateTime<Utc>, seconds: f64) -> Vec<NodeReport> {
        let status = if built.reused {
            NodeStatus::Reused
        } else {
            NodeStatus::Built
        };
        let report = |relation: &BuiltRelation| NodeReport {
            rows: relation.rows,
            seconds,
            message: built.note.clone(),
            ..NodeReport::new(&self.compiled.nodes[relation.node.0], status, started_at)
        };
        built.relations.iter().map(report).collect()
    }

    fn skipped(&self, id: NodeId, because: &str) -> Vec<NodeReport> {
        let nodes = std::iter::once(&self.compiled.nodes[id.0]).chain(self.outputs(id));
        nodes.map(|node| NodeReport::skipped(node, because)).collect()
    }

    fn ended(&self, reports: Vec<NodeReport>) -> Vec<NodeReport> {
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&reports);
        reports
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

    /// Before anything is computed: what is built replaces nothing that clients wrote.
    fn check_owners(&self) -> Result<()> {
        for id in &self.selected {
            let node = &self.compiled.nodes[id.0];
            if node.materialization != Materialization::Ephemeral {
                let checked = self.compiled.base.check_owner(&node.table, false);
                checked.map_err(|error| error.at(node.file.display(), 0, 0))?;
            }
        }
        Ok(())
    }

    /// Refuses incremental models whose columns changed in a way that their `on_schema_change` does not allow.
    fn check_changed_columns(&self) -> Result<()> {
        for id in &self.selected {
            let node = &self.compiled.nodes[id.0];
            let config = &self.compiled.project.0.nodes[id.0].config;
            let Some(existing) = node.work.existing.as_ref().filter(|_| !self.is_full_refresh(*id)) else {
                continue;
            };
            // One that says nothing is built from scratch, unless its rows must stay.
            if config.on_schema_change.is_none() && config.full_refresh != Some(false) {
                continue;
            }
            let missing_in = |other: &Schema, schema: &Schema| {
                let mut names = schema.fields().iter().map(|field| field.name().clone());
                names.find(|name| other.field_with_name(name).is_err())
            };
            let gone = missing_in(&node.work.schema, existing);
            let new = missing_in(existing, &node.work.schema);
            let why = match (config.on_schema_change(), gone, new) {
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

fn summary(built: &BuiltNode) -> String {
    if let Some(note) = &built.note {
        return note.clone();
    }
    let rows: Option<u64> = built.relations.iter().map(|relation| relation.rows).sum();
    match (built.reused, rows) {
        (true, _) => "unchanged".to_owned(),
        (false, Some(rows)) => format!("{rows} rows"),
        (false, None) => "view".to_owned(),
    }
}
