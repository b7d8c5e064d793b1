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

use crate::execution::{Interrupt, checkpoints};

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
    /// Runs for one row after another until it is interrupted, each within so many bytes of memory. Their results have the
    /// columns of `schema`, but may say less or more of nulls.
    pub(crate) fn physical(
        &self,
        session: &SessionContext,
        state: &SessionState,
        interrupt: &Interrupt,
        memory: usize,
        schema: &Schema,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let turns = Turns {
            plan: self.plan.clone(),
            values: self.values.clone(),
            session: session.clone(),
            state: state.clone(),
            interrupt: interrupt.clone(),
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
    interrupt: Interrupt,
    memory: usize,
}

impl Turns {
    async fn run(&self, turn: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let bound = sql::with_values(&self.session, self.plan.clone(), row(&self.values, turn)?).await?;
        let mut state = self.state.clone();
        let plan = sql::physical_plan(&mut state, &bound, self.memory).await?;
        let plan = checkpoints::place(plan, &self.interrupt, self.memory)?;
        // The memory and the disk of the statement, and batches that fit the values of this turn.
        let context = TaskContext::from(&state).with_runtime(context.runtime_env());
        execute_stream(plan, Arc::new(context))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::physical_plan::collect;

    use super::*;
    use crate::execution::Why;

    /// The plan of 40 rows beside a value, over two rows of this value, and where it runs.
    async fn twice(value: &str, interrupt: &Interrupt) -> (Arc<dyn ExecutionPlan>, Arc<TaskContext>) {
        let session = SessionContext::new();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..40));
        let numbers = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        session.register_batch("numbers", numbers).unwrap();
        let sql = "select n, $1::text as v from numbers";
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        let schema = plan.schema().as_arrow().clone();
        let values: ArrayRef = Arc::new(StringArray::from(vec![value; 2]));
        let several = SeveralRows {
            plan,
            values: RecordBatch::try_from_iter([("$1", values)]).unwrap(),
        };
        let physical = several.physical(&session, &session.state(), interrupt, 256 << 20, &schema);
        (physical.unwrap(), session.task_ctx())
    }

    fn rows(batches: &[RecordBatch]) -> usize {
        batches.iter().map(RecordBatch::num_rows).sum()
    }

    #[tokio::test]
    async fn a_turn_ends_when_its_statement_is_ended() {
        let interrupt = Interrupt::default();
        let (plan, context) = twice("a", &interrupt).await;
        let batches = collect(plan.clone(), context.clone()).await.unwrap();
        assert_eq!(rows(&batches), 80);
        interrupt.interrupt(Why::Cancelled);
        let error = collect(plan, context).await.unwrap_err().to_string();
        assert!(error.contains("cancelled"), "{error}");
    }

    #[tokio::test]
    async fn batches_beside_a_large_value_are_short() {
        let (plan, context) = twice(&"x".repeat(1 << 20), &Interrupt::default()).await;
        let batches = collect(plan, context).await.unwrap();
        assert_eq!(rows(&batches), 80);
        // No batch has more than a sixteenth of the memory.
        assert!(batches.iter().all(|batch| batch.num_rows() <= 16));
    }
}
