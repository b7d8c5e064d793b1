//! A statement over several rows of values: it runs for each of them, one after another.
//!
//! Each row is planned when its turn comes, so that thousands of them take the memory of one, and so that its literals
//! are known to the optimizer: files are passed over by them.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use cordada_lake::query::sql;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};

/// A plan with parameters, and the rows of values that it runs for.
pub(crate) struct SeveralRows {
    /// The plan, in which the parameters stand.
    pub(crate) plan: LogicalPlan,
    /// A column for each parameter.
    pub(crate) values: RecordBatch,
}

/// One row of values.
///
/// # Errors
/// A type that is none of a value.
pub(crate) fn row(values: &RecordBatch, row: usize) -> Result<Vec<ScalarValue>> {
    let columns = values.columns().iter();
    columns.map(|column| ScalarValue::try_from_array(column, row)).collect()
}

impl SeveralRows {
    /// Runs for one row after another, each within so many bytes of memory. Their results have the columns of `schema`,
    /// but may say less or more of nulls.
    pub(crate) fn physical(
        &self,
        session: &SessionContext,
        state: &SessionState,
        memory: usize,
        schema: &Schema,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let turns = Turns {
            plan: self.plan.clone(),
            values: self.values.clone(),
            session: session.clone(),
            state: state.clone(),
            memory,
        };
        let schema = Arc::new(schema.clone());
        let partition = Partition {
            turns: Arc::new(turns),
            schema: schema.clone(),
        };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(partition)];
        let exec = StreamingTableExec::try_new(schema, partitions, None, [], false, None)?;
        Ok(Arc::new(exec))
    }
}

/// All that a turn needs.
struct Turns {
    plan: LogicalPlan,
    values: RecordBatch,
    session: SessionContext,
    state: SessionState,
    memory: usize,
}

impl Turns {
    async fn run(&self, turn: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let bound = sql::with_values(&self.session, self.plan.clone(), row(&self.values, turn)?).await?;
        let mut state = self.state.clone();
        execute_stream(sql::physical_plan(&mut state, &bound, self.memory).await?, context)
    }
}

/// The one partition of them all.
struct Partition {
    turns: Arc<Turns>,
    schema: SchemaRef,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of values", self.turns.values.num_rows())
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let turns = self.turns.clone();
        let results = stream::iter(0..turns.values.num_rows()).then(move |turn| {
            let (turns, context) = (turns.clone(), context.clone());
            async move { turns.run(turn, context).await }
        });
        Box::pin(RecordBatchStreamAdapter::new(
            self.schema.clone(),
            results.try_flatten().boxed(),
        ))
    }
}
