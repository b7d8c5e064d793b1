//! What compiling makes of a project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use cordada_core::TableName;
use cordada_lake::Release;
use datafusion::catalog::TableProvider;

use crate::config::Materialization;
use crate::data_test::Settings;
use crate::node::NodeId;
use crate::project::Project;
use crate::seed::Seed;
use crate::segment_sql::SegmentWork;
use crate::severity::Severity;

/// A project whose every query is known to be right against a release.
#[derive(Debug, Clone)]
pub struct CompiledProject {
    pub(crate) project: Project,
    /// The release that it was compiled against.
    pub(crate) base: Arc<Release>,
    /// By [`NodeId`].
    pub(crate) nodes: Vec<CompiledNode>,
    pub(crate) tests: Vec<CompiledTest>,
}

/// A compiled node.
#[derive(Debug, Clone)]
pub struct CompiledNode {
    /// Its number within the project.
    pub id: NodeId,
    /// The name that `ref('…')` uses.
    pub name: String,
    /// The relation that it makes; an ephemeral model makes none.
    pub table: TableName,
    /// How its rows are kept.
    pub materialization: Materialization,
    /// The file that defines it.
    pub file: PathBuf,
    /// The query that the next build runs, with `lake.schema.table` for every ref; empty for a seed
    /// and for a further output.
    pub sql: String,
    /// The columns, in order.
    pub columns: Vec<(String, DataType)>,
    /// The names of the nodes that it reads.
    pub depends_on: Vec<String>,
    /// The names of the tests on it.
    pub tests: Vec<String>,
    pub(crate) work: Work,
}

/// What a build needs to know of a node.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The query of a first run or a full refresh.
    pub(crate) full: String,
    /// The query of an incremental model's later runs.
    pub(crate) incremental: Option<String>,
    /// The version of the node's own table that is published, if there is one.
    pub(crate) published: Option<u64>,
    /// The columns of that version.
    pub(crate) existing: Option<SchemaRef>,
    /// The columns of the node's rows, with comments and tags of personal data.
    pub(crate) schema: SchemaRef,
    pub(crate) seed: Option<Arc<Seed>>,
    pub(crate) snapshot: Option<SnapshotWork>,
    /// What there is to know of a node with an estimator.
    pub(crate) estimated: Option<EstimatorIo>,
    pub(crate) segment: Option<Arc<SegmentWork>>,
}

/// The queries of a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotWork {
    /// What it is a snapshot of.
    pub(crate) query: String,
    /// All of its rows, once it has some.
    pub(crate) later: Option<String>,
    /// How many keys several rows have.
    pub(crate) repeated_keys: String,
}

/// What an estimator reads and makes besides the model's own rows.
#[derive(Debug, Clone)]
pub(crate) struct EstimatorIo {
    /// The queries of the further inputs.
    pub(crate) inputs: BTreeMap<String, String>,
    /// The columns of the further outputs that become relations.
    pub(crate) outputs: BTreeMap<String, SchemaRef>,
}

impl CompiledNode {
    /// Whether it makes no relation.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.materialization == Materialization::Ephemeral
    }
}

impl Work {
    /// The work of a node that is always built from scratch by a query.
    pub(crate) fn new(full: String, schema: SchemaRef) -> Self {
        Self {
            full,
            incremental: None,
            published: None,
            existing: None,
            schema,
            seed: None,
            snapshot: None,
            estimated: None,
            segment: None,
        }
    }
}

/// A compiled test: a query that counts the rows that should not be.
#[derive(Debug, Clone)]
pub struct CompiledTest {
    /// Its name, which no other test has.
    pub name: String,
    /// The node that it is about.
    pub node: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// The query that counts the failures.
    pub sql: String,
    pub(crate) depends_on: Vec<NodeId>,
    pub(crate) settings: Settings,
    /// Relations that are there for it alone: what a unit test gives and expects.
    pub(crate) overlay: BTreeMap<TableName, Arc<dyn TableProvider>>,
}

impl CompiledProject {
    /// The nodes, each after those that it reads.
    pub fn nodes(&self) -> impl Iterator<Item = &CompiledNode> {
        self.project.0.order.iter().map(|id| &self.nodes[id.0])
    }

    /// The tests.
    pub fn tests(&self) -> &[CompiledTest] {
        &self.tests
    }

    /// The project that it is.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The release that it was compiled against.
    pub fn base(&self) -> &Arc<Release> {
        &self.base
    }
}
