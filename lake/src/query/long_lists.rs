//! Long lists are unnested a part at a time: one list may have millions of items, and all other columns of its row are
//! repeated for each.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, replace_children_if_necessary,
};
use futures::{Stream, StreamExt};

use crate::query::session::ResultLimit;

/// Puts the operator that takes long lists apart below each one that unnests.
#[derive(Debug)]
pub(super) struct LongLists;

impl PhysicalOptimizerRule for LongLists {
    fn name(&self) -> &str {
        "LongLists"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let bytes = ResultLimit::of(config);
        let apart = plan.transform_up(|operator| {
            let Some(unnest) = operator.downcast_ref::<UnnestExec>() else {
                return Ok(Transformed::no(operator));
            };
            let input = unnest.input().clone();
            if input.is::<ApartExec>() {
                return Ok(Transformed::no(operator));
            }
            let lists = unnest.list_column_indices().iter();
            let apart = ApartExec {
                lists: lists.map(|list| list.index_in_input_schema).collect(),
                input,
                bytes,
            };
            replace_children_if_necessary(operator, vec![Arc::new(apart)]).map(Transformed::yes)
        });
        apart.map(|plan| plan.data)
    }
}

/// Gives a row with long lists as several, each with a part of them.
#[derive(Debug, Clone)]
struct ApartExec {
    input: Arc<dyn ExecutionPlan>,
    /// The columns that will be unnested.
    lists: Vec<usize>,
    /// Bytes that the rows of a part may take once it is unnested.
    bytes: usize,
}

impl DisplayAs for ApartExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApartExec")
    }
}

impl ExecutionPlan for ApartExec {
    fn name(&self) -> &str {
        "ApartExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
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
            _ => internal_err!("taking lists apart has one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = context.session_config().batch_size();
        Ok(Box::pin(Apart {
            input: self.input.execute(partition, context)?,
            lists: self.lists.clone(),
            rows,
            bytes: self.bytes,
            batch: None,
        }))
    }
}

/// The parts of the batches.
struct Apart {
    input: SendableRecordBatchStream,
    lists: Vec<usize>,
    /// Items of each list that a part has at most.
    rows: usize,
    bytes: usize,
    /// The batch that is being taken apart.
    batch: Option<Rest>,
}

/// What is left of a batch.
struct Rest {
    batch: RecordBatch,
    /// Items of each row that a part may have.
    items: usize,
    row: usize,
    /// How many items of that row have been given.
    given: usize,
}

impl Apart {
    /// What of the batch comes next.
    fn part_of(&self, rest: &mut Rest) -> Result<RecordBatch> {
        let longest = |row: usize| self.lists.iter().map(|&list| items(rest.batch.column(list), row)).max();
        let is_long = |row: usize| longest(row).is_some_and(|items| items > rest.items);
        if !is_long(rest.row) {
            let rows = rest.batch.num_rows();
            let end = (rest.row..rows).find(|&row| is_long(row)).unwrap_or(rows);
            let part = rest.batch.slice(rest.row, end - rest.row);
            rest.row = end;
            return Ok(part);
        }
        let columns = rest.batch.columns().iter().enumerate();
        let columns = columns.map(|(place, column)| match self.lists.contains(&place) {
            true => window(column, rest.row, rest.given, rest.items),
            false => Ok(column.slice(rest.row, 1)),
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let part = RecordBatch::try_new(rest.batch.schema(), columns)?;
        let all = longest(rest.row).unwrap_or_default();
        rest.given += rest.items;
        if rest.given >= all {
            rest.row += 1;
            rest.given = 0;
        }
        Ok(part)
    }

    /// How many items a part may have: with each of them the other columns of the row are repeated.
    fn items(&self, batch: &RecordBatch) -> usize {
        let others = batch.columns().iter().enumerate();
        let others = others.filter(|(place, _)| !self.lists.contains(place));
        let widest: usize = others.map(|(_, column)| widest(column)).sum();
        (self.bytes / widest.max(1)).clamp(1, self.rows)
    }

    fn can_be_taken_apart(&self, batch: &RecordBatch) -> bool {
        let is_list = |&list: &usize| {
            matches!(
                batch.column(list).data_type(),
                DataType::List(_) | DataType::LargeList(_)
            )
        };
        !self.lists.is_empty() && self.lists.iter().all(is_list)
    }
}

impl Stream for Apart {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(mut rest) = this.batch.take() {
                let part = this.part_of(&mut rest)?;
                if rest.row < rest.batch.num_rows() {
                    this.batch = Some(rest);
                }
                return Poll::Ready(Some(Ok(part)));
            }
            match ready!(this.input.poll_next_unpin(context)).transpose()? {
                None => return Poll::Ready(None),
                Some(batch) if batch.num_rows() > 0 && this.can_be_taken_apart(&batch) => {
                    this.batch = Some(Rest {
                        items: this.items(&batch),
                        batch,
                        row: 0,
                        given: 0,
                    });
                }
                Some(batch) => return Poll::Ready(Some(Ok(batch))),
            }
        }
    }
}

impl RecordBatchStream for Apart {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// How many items the list in the row has.
fn items(lists: &ArrayRef, row: usize) -> usize {
    match lists.data_type() {
        _ if lists.is_null(row) => 0,
        DataType::List(_) => lists.as_list::<i32>().value_length(row) as usize,
        DataType::LargeList(_) => lists.as_list::<i64>().value_length(row) as usize,
        _ => 0,
    }
}

/// The list in the row with its items from `start` on, `items` at most. A list that has no more is empty: beside longer
/// ones it gives nulls, as it does where all are unnested at once.
fn window(lists: &ArrayRef, row: usize, start: usize, items: usize) -> Result<ArrayRef> {
    fn of<O: OffsetSizeTrait>(lists: &GenericListArray<O>, row: usize, start: usize, items: usize) -> Result<ArrayRef> {
        if lists.is_null(row) {
            return Ok(Arc::new(lists.slice(row, 1)));
        }
        let all = lists.value(row);
        let start = start.min(all.len());
        let part = all.slice(start, items.min(all.len() - start));
        let (DataType::List(field) | DataType::LargeList(field)) = lists.data_type() else {
            return internal_err!("a list has the type {}", lists.data_type());
        };
        let offsets = OffsetBuffer::from_lengths([part.len()]);
        Ok(Arc::new(GenericListArray::<O>::try_new(
            field.clone(),
            offsets,
            part,
            None,
        )?))
    }
    match lists.data_type() {
        DataType::LargeList(_) => of(lists.as_list::<i64>(), row, start, items),
        _ => of(lists.as_list::<i32>(), row, start, items),
    }
}

/// Bytes of the widest value of a column, about.
fn widest(column: &ArrayRef) -> usize {
    const FIXED: usize = 16;
    let rows = 0..column.len();
    let bytes = match column.data_type() {
        DataType::Utf8 => rows
            .map(|row| column.as_string::<i32>().value_length(row) as usize)
            .max(),
        DataType::LargeUtf8 => rows
            .map(|row| column.as_string::<i64>().value_length(row) as usize)
            .max(),
        DataType::Binary => rows
            .map(|row| column.as_binary::<i32>().value_length(row) as usize)
            .max(),
        DataType::LargeBinary => rows
            .map(|row| column.as_binary::<i64>().value_length(row) as usize)
            .max(),
        // Views are repeated, and not what they show.
        data_type if data_type.is_nested() => Some(column.to_data().get_slice_memory_size().unwrap_or(FIXED)),
        _ => Some(FIXED),
    };
    bytes.unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::physical_plan::collect;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    async fn rows(sql: &str, apart: bool) -> (String, usize) {
        let config = SessionConfig::new().with_batch_size(4).with_target_partitions(1);
        let session = SessionContext::new_with_config(config);
        let mut plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        if apart {
            plan = LongLists.optimize(plan, session.state().config_options()).unwrap();
            // Twice is as good as once.
            plan = LongLists.optimize(plan, session.state().config_options()).unwrap();
            let shown = datafusion::physical_plan::displayable(&*plan).indent(false).to_string();
            assert_eq!(
                shown.matches("ApartExec").count(),
                shown.matches("UnnestExec").count(),
                "{shown}"
            );
        }
        let batches = collect(plan, session.task_ctx()).await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&batches)
            .unwrap()
            .to_string();
        (
            shown,
            batches.iter().map(RecordBatch::num_rows).max().unwrap_or_default(),
        )
    }

    #[tokio::test]
    async fn lists_that_are_taken_apart_give_the_same_rows() {
        for sql in [
            "select unnest(range(0, 10))",
            "select a, unnest(a), unnest(b), c from (values ([1,2,3,4,5,6,7,8,9], ['x'], 'one'), ([1], \
             ['x','y','z','u','v','w'], 'two'), (null, ['x','y','z','u','v'], 'three'), ([], null, 'four'), \
             ([1,2,3], [], null)) t(a, b, c)",
            "select unnest(a) from (values ([1,2,3,4,5,6]), (null), ([])) t(a)",
            "select unnest(unnest(a)) from (values ([[1,2],[3],[],[4,5,6],[7],[8,9,10,11,12]])) t(a)",
            "select unnest(arrow_cast(range(0, 11), 'LargeList(Int64)')), unnest([1, 2])",
        ] {
            let ((apart, most), (whole, _)) = (rows(sql, true).await, rows(sql, false).await);
            assert_eq!(apart, whole, "{sql}");
            assert!(most <= 12, "{sql}");
        }
    }

    #[test]
    fn a_wide_row_is_repeated_a_few_times_at_once() {
        let wide: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["x".repeat(1000)]));
        let list: ArrayRef = Arc::new(arrow::array::ListArray::from_iter_primitive::<
            arrow::datatypes::Int64Type,
            _,
            _,
        >([Some((0..10_000).map(Some))]));
        let batch = RecordBatch::try_from_iter([("wide", wide), ("list", list)]).unwrap();
        let apart = Apart {
            input: Box::pin(datafusion::physical_plan::EmptyRecordBatchStream::new(batch.schema())),
            lists: vec![1],
            rows: 8192,
            bytes: 100_000,
            batch: None,
        };
        assert_eq!(apart.items(&batch), 100);
        let mut rest = Rest {
            items: 100,
            batch,
            row: 0,
            given: 0,
        };
        let mut items = 0;
        while rest.row == 0 {
            let part = apart.part_of(&mut rest).unwrap();
            assert_eq!(part.num_rows(), 1);
            items += part.column(1).as_list::<i32>().value_length(0);
        }
        assert_eq!(items, 10_000);
    }
}
