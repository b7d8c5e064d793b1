//! The average of intervals: their sum, divided as intervals are. The engine has none.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::utils::format_state_name;

use crate::query::functions::dates::intervals::part_of;
use crate::query::functions::dates::values::{Span, Spans};

/// What an accumulator hands on: the sums, and of how many.
pub(super) fn state_fields(name: &str) -> Vec<FieldRef> {
    ["months", "days", "micros", "count"]
        .map(|part| Field::new(format_state_name(name, part), DataType::Int64, false).into())
        .to_vec()
}

/// The sum of the intervals so far, and how many they are.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    sum: Span,
    count: i64,
}

impl Intervals {
    /// Adds a sum of so many.
    fn add(&mut self, span: Span, count: i64) -> Result<()> {
        let sum = || {
            Some(Span {
                months: self.sum.months.checked_add(span.months)?,
                days: self.sum.days.checked_add(span.days)?,
                micros: self.sum.micros.checked_add(span.micros)?,
            })
        };
        self.sum = sum().ok_or_else(|| exec_datafusion_err!("the interval is out of range"))?;
        self.count += count;
        Ok(())
    }

    fn each(&mut self, columns: &[ArrayRef], change: fn(Span) -> Span, count: i64) -> Result<()> {
        let Some(column) = columns.first() else {
            return internal_err!("avg has an argument");
        };
        let spans = Spans::of(column)?;
        (0..column.len())
            .filter_map(|row| spans.get(row))
            .try_for_each(|span| self.add(change(span), count))
    }
}

impl Accumulator for Intervals {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.each(columns, |span| span, 1)
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.each(columns, Span::negated, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let parts: Option<Vec<_>> = states.iter().map(|part| part.as_primitive_opt::<Int64Type>()).collect();
        let Some([months, days, micros, counts]) = parts.as_deref() else {
            return internal_err!("a sum of intervals has three parts and a count");
        };
        (0..counts.len()).try_for_each(|row| {
            let span = Span {
                months: months.value(row),
                days: days.value(row),
                micros: micros.value(row),
            };
            self.add(span, counts.value(row))
        })
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let parts = [self.sum.months, self.sum.days, self.sum.micros, self.count];
        Ok(parts.map(ScalarValue::from).to_vec())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let average = (self.count > 0).then(|| part_of(self.sum, self.count));
        let average = average.transpose()?.map(Span::to_engine).transpose()?;
        Ok(ScalarValue::IntervalMonthDayNano(average))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
