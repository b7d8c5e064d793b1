//! Building one node: its query's rows, streamed into its table.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use cordada_core::progress::Task;
use cordada_core::threads::locked;
use cordada_core::{Context, Error, Result, TableName};
use cordada_lake::estimator::{Estimators, Relations};
use cordada_lake::query::sql;
use cordada_lake::release::DocsRef;
use cordada_lake::{Base, Lake, Mode, Relation, Release, Write};
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use super::fingerprint;
use crate::compile::scanned;
use crate::compiled::CompiledNode;
use crate::config::{Materialization, OnSchemaChange, Strategy};
use crate::node::{Node, NodeId};

/// A node that was built or found built.
pub(super) struct BuiltNode {
    /// Its relation first, then those of its further outputs.
    pub(super) relations: Vec<BuiltRelation>,
    pub(super) reused: bool,
    /// What it was made of.
    pub(super) reads: BTreeSet<TableName>,
}

/// A relation of the release to be.
pub(super) struct BuiltRelation {
    pub(super) node: NodeId,
    pub(super) relation: Relation,
    pub(super) rows: Option<u64>,
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
}

impl Materialize<'_> {
    /// Builds the node, or finds that what is published is the same.
    pub(super) async fn run(&self) -> Result<BuiltNode> {
        let mut built = match (self.node().materialization, &self.source.config.model) {
            (Materialization::Model, Some(model)) => self.model(model).await,
            (Materialization::Seed, _) => self.seed().await,
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
        let plan = sql::plan(self.lake, &self.lake.session(&self.release), sql).await?;
        self.note_reads([&plan])?;
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

    async fn query(&self) -> Result<BuiltNode> {
        let session = self.lake.session(&self.release);
        let (work, config) = (&self.node().work, &self.source.config);
        let adds_to = work.published.filter(|_| !self.full_refresh);
        let text = match (&work.incremental, adds_to) {
            (Some(incremental), Some(_)) => incremental,
            _ => &work.full,
        };
        let plan = sql::plan(self.lake, &session, text).await?;
        let inputs = self.inputs([&plan])?;
        let fingerprint = inputs.map(|inputs| fingerprint::of_nodes([self.node()], config, "", &inputs));
        if let Some(built) = self.reuse(fingerprint.as_deref()) {
            return Ok(built);
        }
        let mut frame = DataFrame::new(session.state(), plan);
        let mut write = anew(self.node());
        if let Some(version) = adds_to {
            write.base = Base::Version(version);
            write.mode = match config.strategy {
                Strategy::Append => Mode::Append,
                Strategy::Merge => Mode::Upsert {
                    key: config.unique_key.clone(),
                    deleted: None,
                },
            };
            if let (OnSchemaChange::Ignore, Some(existing)) = (config.on_schema_change, &work.existing) {
                write.schema = only(&work.schema, existing);
                let columns = write
                    .schema
                    .fields()
                    .iter()
                    .map(|field| Expr::Column(Column::from_name(field.name())));
                frame = frame.select(columns.collect::<Vec<_>>()).doing(|| self.doing())?;
            }
        }
        let context = Arc::new(frame.task_ctx());
        let physical = frame.create_physical_plan().await.doing(|| self.doing())?;
        let partitions = execute_stream_partitioned(physical, context).doing(|| self.doing())?;
        let written = self.write(&self.goals.main, write, partitions, fingerprint);
        written.await.map(BuiltNode::one)
    }

    /// The fingerprint of the rows that the queries read.
    pub(super) fn inputs<'a>(&self, plans: impl IntoIterator<Item = &'a LogicalPlan>) -> Result<Option<String>> {
        let plans: Vec<&LogicalPlan> = plans.into_iter().collect();
        self.note_reads(plans.iter().copied())?;
        fingerprint::of_inputs(plans, &self.node().table, &self.release).doing(|| self.doing())
    }

    /// Notes what the plans read.
    fn note_reads<'a>(&self, plans: impl IntoIterator<Item = &'a LogicalPlan>) -> Result<()> {
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
        let published = |goal: &Goal<'_>| {
            let relation = fingerprint::reusable(self.base, goal.node, fingerprint)?;
            let relation = Relation {
                docs: goal.docs.clone(),
                ..relation.clone()
            };
            Some(BuiltRelation {
                node: goal.node.id,
                relation,
                rows: None,
            })
        };
        Some(BuiltNode {
            relations: self.goals.iter().map(published).collect::<Option<_>>()?,
            reused: true,
            reads: BTreeSet::new(),
        })
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
    fn one(relation: BuiltRelation) -> Self {
        Self {
            relations: vec![relation],
            reused: false,
            reads: BTreeSet::new(),
        }
    }
}

/// A write that replaces all rows of the node's table.
pub(super) fn anew(node: &CompiledNode) -> Write {
    Write {
        base: Base::Nothing,
        ..Write::new(Mode::Overwrite, node.work.schema.clone())
    }
}

/// The columns of `rows` that `existing` has.
fn only(rows: &SchemaRef, existing: &SchemaRef) -> SchemaRef {
    let fields = rows
        .fields()
        .iter()
        .filter(|field| existing.field_with_name(field.name()).is_ok());
    Arc::new(arrow::datatypes::Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// The stream, telling `task` how many rows went by.
fn counted(rows: SendableRecordBatchStream, task: Arc<dyn Task>) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = rows.inspect_ok(move |batch| task.advance(batch.num_rows() as u64));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
