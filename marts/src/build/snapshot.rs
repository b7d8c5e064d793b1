//! Building a snapshot: rows that are no more what they were end, and what they are now begins.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use cordada_core::{Context, Error, Result};
use cordada_lake::Write;
use cordada_lake::query::sql;
use datafusion::dataframe::DataFrame;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::prelude::SessionContext;

use super::fingerprint::{self, Made};
use super::materialize::{BuiltNode, Materialize, anew};
use crate::compiled::SnapshotWork;

impl Materialize<'_> {
    /// Builds a snapshot. It is never built from scratch: what it knows of the past is nowhere else.
    pub(super) async fn snapshot(&self, snapshot: &SnapshotWork) -> Result<BuiltNode> {
        let session = self.lake.session(&self.release);
        let work = &self.node().work;
        let of = sql::plan(self.lake, &session, &snapshot.query).await?;
        self.note_reads([&of])?;
        // The rows that it is made of decide whether there is anything to do, not the time.
        let made = self.made_of([&of], &session).await?;
        let config = format!("{:?}", self.source.config.snapshot);
        let inputs = made.inputs.map(|inputs| fingerprint::hash([&*inputs, &*config]));
        let definition = made.definition;
        let fingerprint =
            inputs.map(|inputs| fingerprint::of_nodes([self.node()], &self.source.config, &definition, &inputs));
        if let Some(relation) = fingerprint::reusable(self.base, self.node(), fingerprint.as_deref()) {
            return Ok(self.reused(relation));
        }
        self.check_keys(&session, snapshot).await?;
        let text = snapshot.later.as_ref().unwrap_or(&work.full);
        let plan = sql::plan(self.lake, &session, text).await?;
        self.note_reads([&plan])?;
        let frame = DataFrame::new(session.state(), plan);
        let context = std::sync::Arc::new(frame.task_ctx());
        let physical = frame.create_physical_plan().await.doing(|| self.doing())?;
        let rows = execute_stream_partitioned(physical, context).doing(|| self.doing())?;
        let write = Write {
            state: Some(serde_json::to_string(&Made { definition }).doing(|| self.doing())?),
            ..anew(self.node())
        };
        self.write(&self.goals.main, write, rows, fingerprint)
            .await
            .map(BuiltNode::one)
    }

    /// A key that several rows have would end and begin rows that are the same.
    async fn check_keys(&self, session: &SessionContext, snapshot: &SnapshotWork) -> Result<()> {
        let plan = sql::plan(self.lake, session, &snapshot.repeated_keys).await?;
        let counted = DataFrame::new(session.state(), plan)
            .collect()
            .await
            .doing(|| self.doing())?;
        let counts = counted
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
        match counts.sum::<i64>() {
            0 => Ok(()),
            repeated => Err(
                Error::failed(self.doing(), "several rows of its query have the same `unique_key`")
                    .hint("select one row a key, or name more columns in `unique_key`")
                    .with("keys", repeated),
            ),
        }
    }
}
