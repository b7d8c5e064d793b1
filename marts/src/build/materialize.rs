//! Building one node: its query's rows, streamed into its table.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::progress::Task;
use cordada_core::{Context, Error, Result};
use cordada_lake::estimator::{Estimators, Rows};
use cordada_lake::query::sql;
use cordada_lake::release::DocsRef;
use cordada_lake::{Base, Lake, Mode, Relation, Release, Write};
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use super::fingerprint;
use crate::compiled::CompiledNode;
use crate::config::{Materialization, OnSchemaChange, Strategy};
use crate::node::Node;

/// A node that was built or found built.
pub(super) struct Done {
    pub(super) relation: Relation,
    pub(super) rows: Option<u64>,
    pub(super) reused: bool,
}

/// One node to be built.
pub(super) struct Materialize<'a> {
    pub(super) lake: &'a Lake,
    pub(super) estimators: &'a Estimators,
    pub(super) node: &'a CompiledNode,
    /// The node as it was loaded.
    pub(super) source: &'a Node,
    /// What the release will say about it.
    pub(super) docs: DocsRef,
    /// The release that the build began with.
    pub(super) base: &'a Release,
    /// The base with what this build made so far.
    pub(super) release: Arc<Release>,
    /// Whether to build from scratch.
    pub(super) full_refresh: bool,
    pub(super) task: Arc<dyn Task>,
}

impl Materialize<'_> {
    /// Builds the node, or finds that what is published is the same.
    pub(super) async fn run(self) -> Result<Done> {
        match self.node.materialization {
            Materialization::View | Materialization::Ephemeral => Ok(Done {
                relation: Relation {
                    docs: self.docs,
                    ..Relation::view(&self.node.work.full)
                },
                rows: None,
                reused: false,
            }),
            Materialization::Seed => self.seed().await,
            Materialization::Table | Materialization::Incremental | Materialization::Model => self.query().await,
        }
    }

    async fn seed(self) -> Result<Done> {
        let Some(seed) = self.node.work.seed.clone() else {
            return Err(Error::failed(self.doing(), "it has no rows"));
        };
        let fingerprint = Some(fingerprint::of_seed(self.node, self.source));
        if let Some(done) = self.reuse(fingerprint.as_deref()) {
            return Ok(done);
        }
        let rows = futures::stream::iter([Ok(seed.rows.clone())]);
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(seed.schema.clone(), rows));
        let write = Write {
            base: Base::Nothing,
            ..Write::new(Mode::Overwrite, self.node.work.schema.clone())
        };
        self.write(write, vec![rows], fingerprint).await
    }

    async fn query(self) -> Result<Done> {
        let session = self.lake.session(&self.release);
        let work = &self.node.work;
        let adds_to = work.published.filter(|_| !self.full_refresh);
        let text = match (&work.incremental, adds_to) {
            (Some(incremental), Some(_)) => incremental,
            _ => &work.full,
        };
        let plan = sql::plan(self.lake, &session, text).await?;
        let fingerprint =
            fingerprint::of_query(self.node, &self.source.config, &plan, &self.release).doing(|| self.doing())?;
        if let Some(done) = self.reuse(fingerprint.as_deref()) {
            return Ok(done);
        }
        if let Some((name, parameters)) = &self.source.config.estimator {
            let rows = Arc::new(QueryRows::new(session, plan));
            let scores = self.estimators.get(name)?.run(rows, parameters).await?;
            let write = Write {
                base: Base::Nothing,
                ..Write::new(Mode::Overwrite, work.schema.clone())
            };
            return self.write(write, vec![scores], fingerprint).await;
        }
        let mut frame = DataFrame::new(session.state(), plan);
        let mut write = Write {
            base: Base::Nothing,
            ..Write::new(Mode::Overwrite, work.schema.clone())
        };
        if let Some(version) = adds_to {
            write.base = Base::Version(version);
            write.mode = match self.source.config.strategy {
                Strategy::Append => Mode::Append,
                Strategy::Merge => Mode::Upsert {
                    key: self.source.config.unique_key.clone(),
                    deleted: None,
                },
            };
            if let (OnSchemaChange::Ignore, Some(existing)) = (self.source.config.on_schema_change, &work.existing) {
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
        self.write(write, partitions, fingerprint).await
    }

    /// What is published, if it has this fingerprint.
    fn reuse(&self, fingerprint: Option<&str>) -> Option<Done> {
        if self.full_refresh {
            return None;
        }
        let relation = fingerprint::reusable(self.base, self.node, fingerprint)?;
        Some(Done {
            relation: Relation {
                docs: self.docs.clone(),
                ..relation.clone()
            },
            rows: None,
            reused: true,
        })
    }

    async fn write(
        self,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
        fingerprint: Option<String>,
    ) -> Result<Done> {
        let partitions = partitions
            .into_iter()
            .map(|rows| counted(rows, self.task.clone()))
            .collect();
        let written = self.lake.write(&self.node.table, write, partitions).await?;
        let relation = Relation::table(self.lake.path_of(&self.node.table), written.version);
        Ok(Done {
            relation: Relation {
                docs: self.docs,
                fingerprint,
                ..relation
            },
            rows: Some(written.rows_added),
            reused: false,
        })
    }

    fn doing(&self) -> String {
        format!("building {}", self.node.table)
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

/// The rows of a query, which is run anew for each pass.
struct QueryRows {
    session: SessionContext,
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl QueryRows {
    fn new(session: SessionContext, plan: LogicalPlan) -> Self {
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Self { session, plan, schema }
    }
}

#[async_trait]
impl Rows for QueryRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    async fn read(&self) -> Result<SendableRecordBatchStream> {
        let frame = DataFrame::new(self.session.state(), self.plan.clone());
        frame
            .execute_stream()
            .await
            .doing(|| "reading the rows for an estimator")
    }
}
