//! `generate_series` and `range` of times in FROM: the engine's are in nanoseconds.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use super::values::{Moments, Span, Spans, add, collect, timestamp};
use crate::query::functions::casts::{OnFailure, cast_array};

/// Rows of a batch.
const ROWS: usize = 8192;

/// Puts series of times before the engine's functions of these names, which make those of numbers.
pub(in crate::query) fn add_to(functions: &mut HashMap<String, Arc<TableFunction>>) {
    for (name, with_end) in [("generate_series", true), ("range", false)] {
        if let Some(of_numbers) = functions.remove(name) {
            let series = Series { of_numbers, with_end };
            let function = TableFunction::new(name.to_owned(), Arc::new(series));
            functions.insert(name.to_owned(), Arc::new(function));
        }
    }
}

#[derive(Debug)]
struct Series {
    of_numbers: Arc<TableFunction>,
    with_end: bool,
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let constants: Option<Vec<&ScalarValue>> = args.exprs().iter().map(Expr::as_literal).collect();
        let is_time = |value: &&ScalarValue| matches!(value.data_type(), DataType::Timestamp(..) | DataType::Date32);
        match constants.as_deref() {
            Some([start, end, step]) if [start, end].into_iter().any(is_time) => self.of_times(start, end, step),
            Some([start, end]) if [start, end].into_iter().any(is_time) => {
                let day = ScalarValue::new_interval_mdn(0, 1, 0);
                self.of_times(start, end, &day)
            }
            _ => self.of_numbers.create_table_provider_with_args(args),
        }
    }
}

impl Series {
    fn of_times(&self, start: &ScalarValue, end: &ScalarValue, step: &ScalarValue) -> Result<Arc<dyn TableProvider>> {
        // As in PostgreSQL, where a series of dates is of instants.
        let naive = |value: &ScalarValue| matches!(value.data_type(), DataType::Timestamp(_, None));
        let data_type = timestamp(!naive(start) && !naive(end));
        let time = |value: &ScalarValue| {
            let array = cast_array(&value.to_array()?, &data_type, OnFailure::Error)?;
            Moments::of(&array)?.local(0)
        };
        let step = cast_array(
            &step.to_array()?,
            &DataType::Interval(IntervalUnit::MonthDayNano),
            OnFailure::Error,
        )?;
        let step = Spans::of(&step)?.get(0);
        let steps = match (time(start)?, time(end)?, step) {
            (Some(_), Some(_), Some(step)) if step.total() == 0 => return plan_err!("step size cannot equal zero"),
            (Some(start), Some(end), Some(step)) => Some(Steps {
                start,
                end,
                step,
                with_end: self.with_end,
            }),
            // Of a null there is no series.
            _ => None,
        };
        let schema = Arc::new(Schema::new(vec![Field::new("value", data_type, false)]));
        let partition = Times {
            schema: schema.clone(),
            steps,
        };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(partition)])?))
    }
}

/// The times from one to another.
#[derive(Debug, Clone, Copy)]
struct Steps {
    start: i64,
    end: i64,
    step: Span,
    with_end: bool,
}

impl Steps {
    /// Each is a step after the one before, so that months stay short after a short one, as in PostgreSQL.
    fn times(self) -> impl Iterator<Item = Result<i64>> {
        let forward = self.step.total() > 0;
        let is_within = move |time: i64| match (forward, self.with_end) {
            (true, true) => time <= self.end,
            (true, false) => time < self.end,
            (false, true) => time >= self.end,
            (false, false) => time > self.end,
        };
        let first = is_within(self.start).then_some(Ok(self.start));
        std::iter::successors(first, move |before| match before {
            Ok(before) => match add(*before, self.step) {
                Ok(time) if time == *before => Some(exec_err!("the step leads nowhere")),
                Ok(time) => is_within(time).then_some(Ok(time)),
                Err(error) => Some(Err(error)),
            },
            Err(_) => None,
        })
    }
}

#[derive(Debug)]
struct Times {
    schema: SchemaRef,
    steps: Option<Steps>,
}

impl PartitionStream for Times {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = self.schema.clone();
        let mut times = self.steps.into_iter().flat_map(Steps::times);
        let batches = std::iter::from_fn(move || {
            let rows: Vec<Result<Option<i64>>> = times.by_ref().take(ROWS).map(|time| time.map(Some)).collect();
            (!rows.is_empty()).then(|| batch(&schema, rows))
        });
        Box::pin(RecordBatchStreamAdapter::new(
            self.schema.clone(),
            futures::stream::iter(batches),
        ))
    }
}

fn batch(schema: &SchemaRef, rows: Vec<Result<Option<i64>>>) -> Result<RecordBatch> {
    let naive = collect(&DataType::Timestamp(TimeUnit::Microsecond, None), rows.into_iter())?;
    let data_type = schema.field(0).data_type();
    let column: ArrayRef = cast(&naive, data_type)?;
    Ok(RecordBatch::try_new(schema.clone(), vec![column])?)
}
