//! The first rows of a filter: they go out as soon as there are any.
//!
//! The engine's filter collects rows until it has a whole batch, which saves whoever computes with them. A filter that keeps
//! one row of thousands reads millions until then, and whoever asked waits for them. Where nothing but the client comes
//! after it, the first rows are given as they come, a few more after them, and whole batches from then on.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, replace_children_if_necessary,
};
use futures::{Stream, StreamExt};

/// Rows that the first batches of a partition have at least, one after the other; those after them are whole.
const FIRST: [usize; 3] = [1, 256, 2048];

/// The plan, whose filter gives its first rows at once if only such operators come after it as do the same.
///
/// # Errors
/// Those of the engine.
pub(super) fn place(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        // Batches of one row at least: as they come.
        let input = Arc::new(filter.with_batch_size(1)?);
        let properties = plan.properties().clone();
        return Ok(Arc::new(FirstRows { input, properties }));
    }
    let passes_on = plan.is::<ProjectionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<LocalLimitExec>();
    match plan.children().as_slice() {
        [input] if passes_on => {
            let input = place(Arc::clone(input))?;
            replace_children_if_necessary(plan, vec![input])
        }
        _ => Ok(plan),
    }
}

/// Collects the batches of a filter, the first ones to few rows.
#[derive(Debug)]
struct FirstRows {
    input: Arc<dyn ExecutionPlan>,
    /// Those of the filter.
    properties: Arc<PlanProperties>,
}

impl DisplayAs for FirstRows {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FirstRows")
    }
}

impl ExecutionPlan for FirstRows {
    fn name(&self) -> &str {
        "FirstRows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self {
                input,
                properties: self.properties.clone(),
            })),
            _ => internal_err!("a filter's rows have one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = context.session_config().batch_size();
        let whole = BatchCoalescer::new(self.schema(), rows);
        Ok(Box::pin(Collected {
            input: self.input.execute(partition, context)?,
            // One that is half as large is as good as a whole one, and need not be copied.
            batches: whole.with_biggest_coalesce_batch_size(Some(rows / 2)),
            given: 0,
            is_over: false,
        }))
    }
}

struct Collected {
    input: SendableRecordBatchStream,
    batches: BatchCoalescer,
    /// How many batches have been given.
    given: usize,
    is_over: bool,
}

impl Collected {
    /// The next batch, if its rows are there.
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let least = FIRST.get(self.given).copied().unwrap_or(usize::MAX);
        if self.is_over || self.batches.get_buffered_rows() >= least {
            self.batches.finish_buffered_batch()?;
        }
        let next = self.batches.next_completed_batch();
        self.given += usize::from(next.is_some());
        Ok(next)
    }
}

impl Stream for Collected {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(batch) = this.next()? {
                return Poll::Ready(Some(Ok(batch)));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
            match ready!(this.input.poll_next_unpin(context)) {
                Some(batch) => this.batches.push_batch(batch?)?,
                None => this.is_over = true,
            }
        }
    }
}

impl RecordBatchStream for Collected {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::execute_stream;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use futures::TryStreamExt;

    use super::*;

    /// The rows of the batches that a query gives over 1,000 batches of 100 numbers each.
    async fn batches(sql: &str) -> Vec<Vec<i64>> {
        let batch = |number: i64| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(number * 100..(number + 1) * 100));
            RecordBatch::try_from_iter([("n", numbers)]).unwrap()
        };
        let rows: Vec<_> = (0..1000).map(batch).collect();
        let table = MemTable::try_new(rows[0].schema(), vec![rows]).unwrap();
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        session.register_table("t", Arc::new(table)).unwrap();
        let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let given = execute_stream(place(plan).unwrap(), session.task_ctx()).unwrap();
        let given: Vec<RecordBatch> = given.try_collect().await.unwrap();
        let numbers = given
            .iter()
            .map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
        numbers.map(|numbers| numbers.to_vec()).collect()
    }

    #[tokio::test]
    async fn the_first_rows_come_at_once_and_whole_batches_in_the_end() {
        for sql in ["select n from t where n % 2 = 1", "select n + 0 from t where n % 2 = 1"] {
            let given = batches(sql).await;
            let sizes: Vec<_> = given.iter().map(Vec::len).collect();
            assert_eq!(sizes, [50, 300, 2050, 8192, 8192, 8192, 8192, 8192, 6640]);
            assert_eq!(given.concat(), (0..50_000).map(|n| 2 * n + 1).collect::<Vec<_>>());
        }
        assert_eq!(
            batches("select n from t where n % 10000 = 7 limit 3").await.concat(),
            [7, 10_007, 20_007]
        );
        assert_eq!(batches("select n from t where n < 0").await, Vec::<Vec<i64>>::new());
    }

    #[tokio::test]
    async fn what_others_compute_with_is_collected_as_ever() {
        assert_eq!(batches("select count(*) from t where n % 2 = 1").await, [[50_000]]);
        let sizes: Vec<_> = batches("select n from t").await.iter().map(Vec::len).collect();
        assert_eq!(sizes, vec![100; 1000]);
    }
}
