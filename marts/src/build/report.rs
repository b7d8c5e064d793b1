//! What a build did.

use chrono::{DateTime, Utc};
use cordada_core::TableName;
use cordada_lake::{RelationKind, Release};

use crate::compiled::CompiledNode;
use crate::config::Materialization;
use crate::severity::Severity;

/// What a build did.
#[derive(Debug, Clone)]
pub struct BuildReport {
    /// Identifies the build in `ops.runs` and `ops.test_results`.
    pub run_id: String,
    /// The nodes, in the order in which they ended.
    pub nodes: Vec<NodeReport>,
    /// The tests, in the order of the project.
    pub tests: Vec<TestReport>,
    /// The release that has the result: a new one, or the one before if nothing changed. `None` if a node or a test
    /// failed: nothing was published.
    pub release: Option<u64>,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeStatus {
    /// It was built.
    Built,
    /// What is published was built by the same query from the same versions of the same inputs.
    Reused,
    /// Something that it reads failed.
    Skipped,
    /// It failed.
    Failed,
}

impl NodeStatus {
    /// As `ops.runs` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Reused => "reused",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// What happened to a node.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// The node's name.
    pub name: String,
    /// The relation that it makes.
    pub table: TableName,
    /// How its rows are kept.
    pub materialization: Materialization,
    /// How it ended.
    pub status: NodeStatus,
    /// The rows that were written; `None` for a view and for what was not run.
    pub rows: Option<u64>,
    /// The table's version; `None` for a view and for what was not committed because something failed.
    pub version: Option<u64>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed or was skipped; of a segment how it was evaluated, and what changed.
    pub message: Option<String>,
}

impl NodeReport {
    pub(super) fn new(node: &CompiledNode, status: NodeStatus, started_at: DateTime<Utc>) -> Self {
        Self {
            name: node.name.clone(),
            table: node.table.clone(),
            materialization: node.materialization,
            status,
            rows: None,
            version: None,
            started_at,
            seconds: 0.0,
            message: None,
        }
    }

    /// Of a node that was not built because the node `because` failed.
    pub(super) fn skipped(node: &CompiledNode, because: &str) -> Self {
        Self {
            message: Some(format!("{because} failed")),
            ..Self::new(node, NodeStatus::Skipped, Utc::now())
        }
    }
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestStatus {
    /// It found nothing, or less than its thresholds.
    Passed,
    /// It found something, and that is to be reported.
    Warned,
    /// It found something, and nothing is published.
    Failed,
    /// Its query failed, and nothing is published.
    Errored,
}

impl TestStatus {
    /// As `ops.test_results` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Errored => "errored",
        }
    }
}

/// What happened to a test.
#[derive(Debug, Clone)]
pub struct TestReport {
    /// The test's name.
    pub name: String,
    /// The node that it is about, if it is about one.
    pub node: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// How it ended.
    pub status: TestStatus,
    /// How many rows should not be.
    pub failures: u64,
    /// The query that counts them.
    pub sql: String,
    /// Why its query failed.
    pub message: Option<String>,
}

impl BuildReport {
    /// Whether nothing stands against publishing.
    pub fn succeeded(&self) -> bool {
        let node_is_good = |node: &NodeReport| matches!(node.status, NodeStatus::Built | NodeStatus::Reused);
        let test_is_good = |test: &TestReport| matches!(test.status, TestStatus::Passed | TestStatus::Warned);
        self.nodes.iter().all(node_is_good) && self.tests.iter().all(test_is_good)
    }

    /// Notes the versions of tables, as `release` has them.
    pub(super) fn note_versions(&mut self, release: &Release) {
        for node in &mut self.nodes {
            node.version = match release.relation(&node.table).map(|relation| &relation.kind) {
                Some(RelationKind::Table { version, .. }) => Some(*version),
                _ => None,
            };
        }
    }
}
