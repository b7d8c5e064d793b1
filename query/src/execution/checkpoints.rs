//! Places in a plan where a statement can be ended: between any two batches of any operator, and wherever a join looks at
//! pairs of rows, of which it may have billions between two batches.
//!
//! The engine yields where it reads and where it hands batches from task to task. A join whose rows are all in memory,
//! and what counts them, never gets there.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use cordada_core::units::Size;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err, resources_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::{Stream, StreamExt};

use super::interrupt::Interrupt;

/// What must be left of the stack for one operator and its expressions.
const STACK_NEEDED: usize = 4 << 20;
/// What is added to the stack where less is left: a plan may be as deep as its statement.
const STACK_ADDED: usize = 16 << 20;

/// The plan with a checkpoint after each operator and in the filter of each join. What is computed for one batch may not
/// take more bytes than `memory`.
///
/// # Errors
/// Those of the engine.
pub(crate) fn place(
    plan: Arc<dyn ExecutionPlan>,
    interrupt: &Interrupt,
    memory: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let placed = plan.transform_up(|operator| {
        let properties = operator.properties().clone();
        let largest = operator.is::<ProjectionExec>().then_some(memory);
        let input = counted(checked(operator, interrupt)?)?;
        Ok(Transformed::yes(Arc::new(Checkpoint {
            input,
            // Those of the operator as it was, so that the operators above keep what they know about it.
            properties,
            interrupt: interrupt.clone(),
            largest,
            hoarded: false,
        }) as Arc<dyn ExecutionPlan>))
    });
    placed.map(|plan| plan.data)
}

/// The operator, with a checkpoint in the filter if it is a join.
fn checked(operator: Arc<dyn ExecutionPlan>, interrupt: &Interrupt) -> Result<Arc<dyn ExecutionPlan>> {
    let checked = |filter: &JoinFilter| {
        let expression = CheckedExpr {
            inner: filter.expression().clone(),
            interrupt: interrupt.clone(),
        };
        let columns = filter.column_indices().to_vec();
        Some(JoinFilter::new(Arc::new(expression), columns, filter.schema().clone()))
    };
    if let Some(join) = operator.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(checked(filter));
        return Ok(Arc::new(join.build()?));
    }
    if let Some(join) = operator.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        return join.builder().with_filter(checked(filter)).build_exec();
    }
    if let Some(join) = operator.downcast_ref::<SortMergeJoinExec>()
        && let Some(filter) = join.filter()
    {
        return Ok(Arc::new(SortMergeJoinExec::try_new(
            join.left().clone(),
            join.right().clone(),
            join.on().to_vec(),
            checked(filter),
            join.join_type(),
            join.sort_options().to_vec(),
            join.null_equality(),
        )?));
    }
    Ok(operator)
}

/// The operator; one that keeps all its input without counting it has it counted as the statement's memory.
fn counted(operator: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if !operator.is::<WindowAggExec>() {
        return Ok(operator);
    }
    let hoarded = |input: &Arc<dyn ExecutionPlan>| match input.downcast_ref::<Checkpoint>() {
        Some(checkpoint) => Arc::new(Checkpoint {
            hoarded: true,
            ..checkpoint.clone()
        }),
        None => input.clone(),
    };
    let inputs = operator.children().into_iter().map(hoarded).collect();
    datafusion::physical_plan::replace_children_if_necessary(operator, inputs)
}

/// Passes batches on, unless its statement has been ended.
#[derive(Debug, Clone)]
struct Checkpoint {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    interrupt: Interrupt,
    /// Bytes that a batch may take, where it has been computed and not read.
    largest: Option<usize>,
    /// Whoever takes the batches keeps them.
    hoarded: bool,
}

impl DisplayAs for Checkpoint {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checkpoint")
    }
}

impl ExecutionPlan for Checkpoint {
    fn name(&self) -> &str {
        "Checkpoint"
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
                ..Self::clone(&*self)
            })),
            _ => internal_err!("a checkpoint has one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let kept = self
            .hoarded
            .then(|| MemoryConsumer::new("a window function").register(context.memory_pool()));
        let rows = context.session_config().batch_size();
        Ok(Box::pin(Checked {
            input: self.input.execute(partition, context)?,
            interrupt: self.interrupt.clone(),
            largest: self.largest,
            rows,
            rest: None,
            kept,
            is_over: false,
        }))
    }
}

/// The batches of a checkpoint: none has more rows than the engine's batches should have.
struct Checked {
    input: SendableRecordBatchStream,
    interrupt: Interrupt,
    largest: Option<usize>,
    rows: usize,
    rest: Option<RecordBatch>,
    kept: Option<MemoryReservation>,
    is_over: bool,
}

impl Checked {
    /// Refuses a batch that is too large, or that there is no memory to keep.
    fn admit(&self, batch: &RecordBatch) -> Result<()> {
        if let Some(kept) = &self.kept {
            kept.try_grow(batch.get_array_memory_size())?;
        }
        let Some(largest) = self.largest else {
            return Ok(());
        };
        // One step makes at most a few times of what it is given; without this, many steps would make any number.
        let bytes: usize = batch.columns().iter().map(bytes).sum();
        match bytes <= largest {
            true => Ok(()),
            false => resources_err!(
                "a batch of {} rows takes {}, and a statement may take {}, `memory` in `server: {{limits: …}}`",
                batch.num_rows(),
                Size(bytes as u64),
                Size(largest as u64)
            ),
        }
    }

    /// The first rows of a batch; the others are kept for later.
    fn first_of(&mut self, batch: RecordBatch) -> RecordBatch {
        if batch.num_rows() <= self.rows {
            return batch;
        }
        self.rest = Some(batch.slice(self.rows, batch.num_rows() - self.rows));
        batch.slice(0, self.rows)
    }
}

impl Stream for Checked {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Err(ended) = this.interrupt.check() {
            // Once: whoever reads on after an error would do so for ever.
            this.is_over = true;
            return Poll::Ready(Some(Err(ended)));
        }
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let batch = match this.rest.take() {
            Some(rest) => Some(Ok(rest)),
            None => {
                let input = &mut this.input;
                let next = ready!(stacker::maybe_grow(STACK_NEEDED, STACK_ADDED, || {
                    input.poll_next_unpin(cx)
                }));
                if let Some(Ok(batch)) = &next {
                    this.admit(batch)?;
                }
                next
            }
        };
        coop.made_progress();
        Poll::Ready(batch.map(|batch| batch.map(|batch| this.first_of(batch))))
    }
}

/// Bytes of the values of a column, whatever buffers they share with others.
fn bytes(column: &ArrayRef) -> usize {
    fn between<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> Range<usize> {
        let at = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
        at(offsets.first())..at(offsets.last())
    }
    fn of_items(items: &ArrayRef, range: Range<usize>) -> usize {
        bytes(&items.slice(range.start, range.len()))
    }
    match column.data_type() {
        DataType::Utf8 => between(column.as_string::<i32>().offsets()).len(),
        DataType::LargeUtf8 => between(column.as_string::<i64>().offsets()).len(),
        DataType::Binary => between(column.as_binary::<i32>().offsets()).len(),
        DataType::LargeBinary => between(column.as_binary::<i64>().offsets()).len(),
        DataType::Utf8View => column.as_string_view().lengths().map(|length| length as usize).sum(),
        DataType::BinaryView => column.as_binary_view().lengths().map(|length| length as usize).sum(),
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            of_items(lists.values(), between(lists.offsets()))
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            of_items(lists.values(), between(lists.offsets()))
        }
        data_type => column.len() * data_type.primitive_width().unwrap_or(1),
    }
}

impl RecordBatchStream for Checked {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// The filter of a join that fails once its statement has been ended.
#[derive(Debug)]
struct CheckedExpr {
    inner: Arc<dyn PhysicalExpr>,
    interrupt: Interrupt,
}

impl PartialEq for CheckedExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for CheckedExpr {}

impl Hash for CheckedExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for CheckedExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for CheckedExpr {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.inner.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.inner.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.interrupt.check()?;
        self.inner.evaluate(batch)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(inner) if children.is_empty() => Ok(Arc::new(Self {
                inner,
                interrupt: self.interrupt.clone(),
            })),
            _ => internal_err!("a checked expression has one part"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::physical_plan::{collect, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::super::interrupt::Why;
    use super::*;

    const MEMORY: usize = 1 << 30;

    async fn plan(session: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
        session.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
    }

    fn session() -> SessionContext {
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2))
    }

    /// Plans that would take longer than anybody has, each with the operator that does not yield.
    const ENDLESS: [(&str, &str); 6] = [
        (
            "NestedLoopJoinExec",
            "select count(*) from generate_series(1, 1000000) a(x) join generate_series(1, 1000000) b(y) on x * y = -1",
        ),
        (
            "NestedLoopJoinExec",
            "select count(*) from generate_series(1, 1000000) a(x) join generate_series(1, 1000000) b(y) on x < y",
        ),
        (
            "NestedLoopJoinExec",
            "select count(*) from generate_series(1, 1000000) a(x) \
             where not exists (select 1 from generate_series(1, 1000000) b(y) where x * y < 0)",
        ),
        (
            "CrossJoinExec",
            "select max(x % 7 + y % 3) from generate_series(1, 1000000) a(x) cross join generate_series(1, 1000000) b(y)",
        ),
        (
            "HashJoinExec",
            "select count(*) from (select x / 2000000 as k, x from generate_series(1, 1000000) a(x)) \
             join (select y / 2000000 as l, y from generate_series(1, 1000000) b(y)) on k = l and x + y < 0",
        ),
        (
            "RecursiveQueryExec",
            "with recursive r(n) as (select 1 union all select 1 - n from r) select max(n) from r",
        ),
    ];

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whatever_computes_ends_when_its_statement_is_ended() {
        for (operator, sql) in ENDLESS {
            let session = session();
            let interrupt = Interrupt::default();
            let plan = plan(&session, sql).await;
            assert!(
                displayable(&*plan).indent(false).to_string().contains(operator),
                "{sql}"
            );
            let plan = place(plan, &interrupt, MEMORY).unwrap();
            let running = tokio::spawn(collect(plan, session.task_ctx()));
            // Until it computes.
            while interrupt.signs() < 1000 {
                tokio::task::yield_now().await;
            }
            interrupt.interrupt(Why::Cancelled);
            let error = running.await.unwrap().unwrap_err();
            assert!(error.to_string().contains("cancelled"), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn a_plan_with_checkpoints_gives_the_same_rows() {
        for sql in [
            "select x, y from generate_series(1, 30) a(x) join generate_series(1, 30) b(y) on x < y order by x desc, y limit 9",
            "select x % 3 as k, count(*), sum(x) from generate_series(1, 10000) a(x) group by k order by k",
            "select x, sum(x) over (order by x rows between 1 preceding and 1 following), max(x) over () \
             from generate_series(1, 100) a(x) order by x",
            "with recursive r(n) as (select 1 union all select n + 1 from r where n < 50) select sum(n), count(*) from r",
            "select a.x, b.x from generate_series(1, 9) a(x) left join generate_series(5, 20) b(x) on a.x = b.x and a.x < 8 \
             order by 1, 2",
            "select (select max(x) from generate_series(1, 5) t(x)) + y from generate_series(1, 3) b(y) order by 1",
            "select unnest([1, 2, 3]) union all select 7 order by 1",
        ] {
            let session = session();
            let expected = collect(plan(&session, sql).await, session.task_ctx()).await.unwrap();
            let checked = place(plan(&session, sql).await, &Interrupt::default(), MEMORY).unwrap();
            let found = collect(checked, session.task_ctx()).await.unwrap();
            let lines =
                |batches: &[RecordBatch]| arrow::util::pretty::pretty_format_batches(batches).unwrap().to_string();
            assert_eq!(lines(&found), lines(&expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn what_a_window_function_keeps_counts_as_memory() {
        use datafusion::execution::memory_pool::GreedyMemoryPool;
        use datafusion::execution::runtime_env::RuntimeEnvBuilder;

        let pool = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(1 << 20)));
        let session = SessionContext::new_with_config_rt(SessionConfig::new(), pool.build_arc().unwrap());
        let sql = "select max(x) over () from generate_series(1, 1000000) a(x)";
        let plan = place(plan(&session, sql).await, &Interrupt::default(), MEMORY).unwrap();
        let error = collect(plan, session.task_ctx()).await.unwrap_err().to_string();
        assert!(error.contains("a window function"), "{error}");
    }

    #[tokio::test]
    async fn what_doubles_at_each_step_is_refused_before_it_is_large() {
        let few = "select 'x' || n as s from generate_series(1, 10) t(n)".to_owned();
        let sql = (0..18).fold(few, |inner, _| format!("select t.s || t.s as s from ({inner}) t"));
        let session = session();
        let plan = place(plan(&session, &sql).await, &Interrupt::default(), 1 << 20).unwrap();
        let error = collect(plan, session.task_ctx()).await.unwrap_err().to_string();
        assert!(error.contains("a statement may take 1 MB"), "{error}");
    }

    #[tokio::test]
    async fn large_batches_are_passed_on_in_parts() {
        use datafusion::physical_plan::ExecutionPlanProperties;

        let session = SessionContext::new_with_config(SessionConfig::new().with_batch_size(100));
        let numbers = arrow::array::Int64Array::from_iter_values(0..1050);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap();
        session.register_batch("numbers", batch.clone()).unwrap();
        let plan = place(
            plan(&session, "select n from numbers").await,
            &Interrupt::default(),
            MEMORY,
        )
        .unwrap();
        assert_eq!(plan.output_partitioning().partition_count(), 1);
        let parts = collect(plan, session.task_ctx()).await.unwrap();
        assert!(parts.len() == 11 && parts.iter().all(|part| part.num_rows() <= 100));
        assert_eq!(arrow::compute::concat_batches(&batch.schema(), &parts).unwrap(), batch);
    }
}
