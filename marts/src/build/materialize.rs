//! Building one node: its query's rows, streamed into its table.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use cordada_core::progress::Task;
use cordada_core::threads::locked;
use cordada_core::{Context, Error, Result, TableName};
use cordada_lake::estimator::{Estimators, Relations};
use cordada_lake::query::sql;
use cordada_lake::release::DocsRef;
use cordada_lake::{Base, Lake, Mode, Relation, Release, Write};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use super::arrivals::Arrivals;
use super::canonical::Canonical;
use super::fingerprint;
use crate::compile::scanned;
use crate::compiled::CompiledNode;
use crate::config::Materialization;
use crate::node::{Node, NodeId};

/// A node that was built or found built.
pub(super) struct BuiltNode {
    /// Its relation first, then those of its further outputs.
    pub(super) relations: Vec<BuiltRelation>,
    pub(super) reused: bool,
    /// What it was made of.
    pub(super) reads: BTreeSet<TableName>,
    /// What there is to say about how it was built.
    pub(super) note: Option<String>,
}

/// A relation of the release to be.
pub(super) struct BuiltRelation {
    pub(super) node: NodeId,
    pub(super) relation: Relation,
    pub(super) rows: Option<u64>,
}

/// What a node's rows are made by and of.
pub(super) struct MadeOf {
    /// Says how they are made, whatever rows they are made of.
    pub(super) definition: String,
    /// Says what they are made of; `None` if that is not only tables.
    pub(super) inputs: Option<String>,
}

/// A relation to be made.
pub(super) struct Goal<'a> {
    pub(super) node: &'a CompiledNode,
    /// What the release will say about it.
    pub(super) docs: DocsRef,
}

/// One node to be built.
pub(super) struct Materialize<'a> {
    pub(super) lake: &'a Lake,
    pub(super) estimators: &'a Estimators,
    /// The node, and its further outputs.
    pub(super) goals: Relations<Goal<'a>>,
    /// The node as it was loaded.
    pub(super) source: &'a Node,
    /// The release that the build began with.
    pub(super) base: &'a Arc<Release>,
    /// The base with what this build made so far.
    pub(super) release: Arc<Release>,
    /// Whether to build from scratch.
    pub(super) full_refresh: bool,
    pub(super) task: Arc<dyn Task>,
    /// What the plans so far read.
    pub(super) reads: Mutex<BTreeSet<TableName>>,
    /// The rows that came to tables that segments choose from.
    pub(super) arrivals: &'a Arrivals,
    /// Whether a segment chooses from this node.
    pub(super) is_chosen_from: bool,
}

impl Materialize<'_> {
    /// Builds the node, or finds that what is published is the same.
    pub(super) async fn run(&self) -> Result<BuiltNode> {
        let mut built = match (self.node().materialization, &self.source.config.model) {
            (Materialization::Model, Some(model)) => self.model(model).await,
            (Materialization::Seed, _) => self.seed().await,
            (Materialization::Snapshot, _) => match &self.node().work.snapshot {
                Some(snapshot) => self.snapshot(snapshot).await,
                None => Err(Error::failed(self.doing(), "it has no query")),
            },
            (Materialization::Segment, _) => match &self.node().work.segment {
                Some(segment) => self.segment(segment).await,
                None => Err(Error::failed(self.doing(), "it has no query")),
            },
            (Materialization::Table | Materialization::Incremental, _) => self.query().await,
            _ => self.view().await,
        }?;
        built.reads = std::mem::take(&mut *locked(&self.reads));
        Ok(built)
    }

    pub(super) fn node(&self) -> &CompiledNode {
        self.goals.main.node
    }

    async fn view(&self) -> Result<BuiltNode> {
        let sql = &self.node().work.full;
        let session = self.lake.session(&self.release);
        let plan = sql::plan(self.lake, &session, sql).await?;
        self.note_reads([&plan])?;
        // What is compiled is the query over the views that it reads; what is run has them within.
        let plan = session.state().create_physical_plan(&plan).await;
        plan.doing(|| self.doing())?;
        let relation = Relation {
            docs: self.goals.main.docs.clone(),
            ..self.lake.pinned_view(sql, &self.release)?
        };
        Ok(BuiltNode {
            relations: vec![BuiltRelation {
                node: self.node().id,
                relation,
                rows: None,
            }],
            reused: false,
            reads: BTreeSet::new(),
            note: None,
        })
    }

    async fn seed(&self) -> Result<BuiltNode> {
        let Some(seed) = self.node().work.seed.clone() else {
            return Err(Error::failed(self.doing(), "it has no rows"));
        };
        let fingerprint = Some(fingerprint::of_seed(self.node(), self.source));
        if let Some(built) = self.reuse(fingerprint.as_deref()) {
            return Ok(built);
        }
        let rows = futures::stream::iter([Ok(seed.rows.clone())]);
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(seed.schema.clone(), rows));
        let written = self.write(&self.goals.main, anew(self.node()), vec![rows], fingerprint);
        written.await.map(BuiltNode::one)
    }

    /// How the plans make rows, and of what.
    pub(super) async fn made_of<'p>(
        &self,
        plans: impl IntoIterator<Item = &'p LogicalPlan>,
        session: &SessionContext,
    ) -> Result<MadeOf> {
        let (state, own) = (session.state(), &self.node().table);
        let queries = plans.into_iter().map(|plan| Canonical::of(plan.clone(), &state, own));
        let queries: Vec<_> = queries
            .collect::<datafusion::error::Result<_>>()
            .doing(|| self.doing())?;
        let definition = fingerprint::of_queries(self.lake, &queries, &self.source.config).await?;
        Ok(MadeOf {
            definition,
            inputs: fingerprint::of_inputs(&queries, &self.release),
        })
    }

    /// Notes what the plans read.
    pub(super) fn note_reads<'a>(&self, plans: impl IntoIterator<Item = &'a LogicalPlan>) -> Result<()> {
        for plan in plans {
            let scanned = scanned(plan).doing(|| self.doing())?;
            locked(&self.reads).extend(scanned.into_iter().map(|(table, _)| table));
        }
        Ok(())
    }

    /// What is published, if all of it has this fingerprint.
    pub(super) fn reuse(&self, fingerprint: Option<&str>) -> Option<BuiltNode> {
        if self.full_refresh {
            return None;
        }
        let published = |goal: &Goal<'_>| Some(found(goal, fingerprint::reusable(self.base, goal.node, fingerprint)?));
        Some(BuiltNode {
            relations: self.goals.iter().map(published).collect::<Option<_>>()?,
            reused: true,
            reads: BTreeSet::new(),
            note: None,
        })
    }

    /// The node as it is published.
    pub(super) fn reused(&self, relation: &Relation) -> BuiltNode {
        BuiltNode {
            reused: true,
            ..BuiltNode::one(found(&self.goals.main, relation))
        }
    }

    pub(super) async fn write(
        &self,
        goal: &Goal<'_>,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
        fingerprint: Option<String>,
    ) -> Result<BuiltRelation> {
        let partitions = partitions
            .into_iter()
            .map(|rows| counted(rows, self.task.clone()))
            .collect();
        let table = &goal.node.table;
        let written = self.lake.write(table, write, partitions).await?;
        let relation = Relation {
            docs: goal.docs.clone(),
            fingerprint,
            ..Relation::table(self.lake.path_of(table), written.version)
        };
        Ok(BuiltRelation {
            node: goal.node.id,
            relation,
            rows: Some(written.rows_added),
        })
    }

    pub(super) fn doing(&self) -> String {
        format!("building {}", self.node().table)
    }
}

impl BuiltNode {
    pub(super) fn one(relation: BuiltRelation) -> Self {
        Self {
            relations: vec![relation],
            reused: false,
            reads: BTreeSet::new(),
            note: None,
        }
    }
}

/// A relation that is published, with what there is to say about it now.
pub(super) fn found(goal: &Goal<'_>, relation: &Relation) -> BuiltRelation {
    BuiltRelation {
        node: goal.node.id,
        relation: Relation {
            docs: goal.docs.clone(),
            ..relation.clone()
        },
        rows: None,
    }
}

/// A write that replaces all rows of the node's table.
pub(super) fn anew(node: &CompiledNode) -> Write {
    Write {
        base: Base::Nothing,
        ..Write::new(Mode::Overwrite, node.work.schema.clone())
    }
}

/// The stream, telling `task` how many rows went by.
fn counted(rows: SendableRecordBatchStream, task: Arc<dyn Task>) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = rows.inspect_ok(move |batch| task.advance(batch.num_rows() as u64));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
