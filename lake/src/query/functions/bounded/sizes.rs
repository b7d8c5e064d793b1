//! How many bytes a function makes of what it is given, at most: said before it makes them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use crate::query::functions::define::text_of;

/// A replacement that is short.
const SHORT: usize = 64;
/// What a piece of a text costs beside its bytes while it is cut.
const PIECE: usize = 32;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Bytes that a function makes of its arguments, at most.
pub(super) type Size = fn(&Arguments<'_>) -> Result<usize>;

/// What is known of a function of that name.
pub(super) fn size_of(name: &str) -> Option<Size> {
    Some(match name {
        "repeat" | "replicate" => |given| given.sum(|row| given.bytes(0, row).saturating_mul(given.count(1, row))),
        "space" => |given| given.sum(|row| given.count(0, row)),
        "lpad" | "rpad" => |given| {
            // A character has four bytes at most.
            let is_plain = given.args.len() < 3 || given.is_ascii(2);
            let width = if is_plain { 1 } else { 4 };
            given.sum(|row| {
                given
                    .bytes(0, row)
                    .saturating_add(given.count(1, row).saturating_mul(width))
            })
        },
        "replace" => |given| {
            let most = |row| {
                let (text, from, to) = (given.bytes(0, row), given.bytes(1, row), given.bytes(2, row));
                text.saturating_add((text / from.max(1)).saturating_mul(to.saturating_sub(from)))
            };
            match given.sum(most)? {
                most if most <= given.limit => Ok(most),
                _ => given.sum(|row| given.replaced(row)),
            }
        },
        "regexp_replace" | "regexp_replace_all" => |given| {
            let most = |row: usize| {
                let (text, new) = (given.bytes(0, row), given.bytes(2, row));
                // A short text in place of each character is no more than any function of texts may make of one.
                match new <= SHORT {
                    true => text,
                    false => text.saturating_add(1).saturating_mul(new),
                }
            };
            given.sum(most)
        },
        "concat" | "concat_ws" | "make_array" | "array_append" | "array_prepend" | "array_concat" | "stuff"
        | "overlay" => |given| {
            let all =
                |row| (0..given.args.len()).fold(0_usize, |sum, place| sum.saturating_add(given.bytes(place, row)));
            given.sum(all)
        },
        "string_to_array" | "split" => |given| {
            let pieces = |row| {
                given
                    .pieces(row)
                    .saturating_mul(PIECE)
                    .saturating_add(given.bytes(0, row))
            };
            given.sum(pieces)
        },
        "array_to_string" => |given| {
            let joined = |row| given.items(0, row).saturating_mul(given.bytes(1, row));
            given.sum(|row| joined(row).saturating_add(given.bytes(0, row)))
        },
        "array_repeat" => |given| given.sum(|row| given.bytes(0, row).max(8).saturating_mul(given.count(1, row))),
        "array_resize" => |given| {
            let item = |row| {
                if given.args.len() > 2 {
                    given.bytes(2, row).max(8)
                } else {
                    8
                }
            };
            given.sum(|row| item(row).saturating_mul(given.count(1, row)))
        },
        "range" | "generate_series" => |given| given.sum(|row| given.steps(row).saturating_mul(8)),
        _ => return None,
    })
}

/// What a function is given.
pub(super) struct Arguments<'a> {
    args: &'a [ColumnarValue],
    /// Those as columns: one value for all rows, or one each.
    columns: Vec<ArrayRef>,
    /// As integers, where they can be.
    integers: Vec<Option<ArrayRef>>,
    rows: usize,
    limit: usize,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(given: &'a ScalarFunctionArgs, limit: usize) -> Result<Self> {
        let columns = given.args.iter().map(|value| match value {
            ColumnarValue::Array(values) => Ok(values.clone()),
            ColumnarValue::Scalar(value) => value.to_array(),
        });
        let columns: Vec<_> = columns.collect::<Result<_>>()?;
        Ok(Self {
            args: &given.args,
            integers: columns.iter().map(integers).collect(),
            columns,
            rows: given.number_rows,
            limit,
        })
    }

    /// The sum over the rows, as far as it is of interest.
    fn sum(&self, of: impl Fn(usize) -> usize) -> Result<usize> {
        let constant = self.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { self.rows.min(1) } else { self.rows };
        let mut sum = 0_usize;
        for row in 0..rows {
            sum = sum.saturating_add(of(row));
        }
        Ok(sum)
    }

    /// The row of a column.
    fn at(&self, place: usize, row: usize) -> Option<(&ArrayRef, usize)> {
        let column = self.columns.get(place)?;
        let row = if matches!(self.args[place], ColumnarValue::Scalar(_)) {
            0
        } else {
            row
        };
        (row < column.len() && !column.is_null(row)).then_some((column, row))
    }

    /// Bytes of a value.
    fn bytes(&self, place: usize, row: usize) -> usize {
        let Some((column, row)) = self.at(place, row) else {
            return 0;
        };
        match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value_length(row) as usize,
            DataType::LargeUtf8 => column.as_string::<i64>().value_length(row) as usize,
            DataType::Utf8View => column.as_string_view().value(row).len(),
            DataType::Binary => column.as_binary::<i32>().value_length(row) as usize,
            DataType::LargeBinary => column.as_binary::<i64>().value_length(row) as usize,
            DataType::BinaryView => column.as_binary_view().value(row).len(),
            DataType::List(_) => {
                let lists = column.as_list::<i32>();
                of_items(lists.values(), lists.value_length(row) as usize)
            }
            DataType::LargeList(_) => {
                let lists = column.as_list::<i64>();
                of_items(lists.values(), lists.value_length(row) as usize)
            }
            data_type => data_type.primitive_width().unwrap_or(16),
        }
    }

    /// The items of a list.
    fn items(&self, place: usize, row: usize) -> usize {
        match self.at(place, row) {
            Some((column, row)) if matches!(column.data_type(), DataType::List(_)) => {
                column.as_list::<i32>().value_length(row) as usize
            }
            Some((column, row)) if matches!(column.data_type(), DataType::LargeList(_)) => {
                column.as_list::<i64>().value_length(row) as usize
            }
            _ => 0,
        }
    }

    fn integer(&self, place: usize, row: usize) -> Option<i64> {
        let (_, row) = self.at(place, row)?;
        let integers = self.integers.get(place)?.as_ref()?;
        (!integers.is_null(row)).then(|| integers.as_primitive::<Int64Type>().value(row))
    }

    /// How often something is to be there.
    fn count(&self, place: usize, row: usize) -> usize {
        usize::try_from(self.integer(place, row).unwrap_or_default()).unwrap_or_default()
    }

    fn text(&self, place: usize, row: usize) -> Option<&str> {
        let (column, row) = self.at(place, row)?;
        text_of(column, row)
    }

    fn is_ascii(&self, place: usize) -> bool {
        let column = &self.columns[place];
        (0..column.len()).all(|row| column.is_null(row) || text_of(column, row).is_some_and(str::is_ascii))
    }

    /// Bytes of a text in which each `from` is `to`.
    fn replaced(&self, row: usize) -> usize {
        let (Some(text), Some(from), to) = (self.text(0, row), self.text(1, row), self.bytes(2, row)) else {
            return self.bytes(0, row);
        };
        if from.is_empty() {
            return text.len();
        }
        let found = text.matches(from).count();
        (text.len() - found * from.len()).saturating_add(found.saturating_mul(to))
    }

    /// Into how many pieces a text is cut.
    fn pieces(&self, row: usize) -> usize {
        match (self.text(0, row), self.text(1, row)) {
            (Some(text), Some(cut)) if !cut.is_empty() => text.matches(cut).count() + 1,
            (Some(text), _) => text.len(),
            _ => 0,
        }
    }

    /// How many values a series has.
    fn steps(&self, row: usize) -> usize {
        let integer = |place| self.integer(place, row);
        let (start, end) = match self.args.len() {
            1 => (Some(0), integer(0)),
            _ => (integer(0), integer(1)),
        };
        let step = if self.args.len() > 2 { integer(2) } else { Some(1) };
        match (start, end, step.map(i64::unsigned_abs)) {
            (Some(start), Some(end), Some(step)) => {
                let steps = start.abs_diff(end) / step.max(1);
                usize::try_from(steps).unwrap_or(usize::MAX).saturating_add(1)
            }
            _ => 0,
        }
    }
}

/// Bytes of so many of the items of lists, by their average.
fn of_items(items: &ArrayRef, count: usize) -> usize {
    let each = items.get_buffer_memory_size() / items.len().max(1);
    count.saturating_mul(each.max(1))
}

/// The column as integers. Times and spans are microseconds, so that one divided by the other is a number of steps.
fn integers(column: &ArrayRef) -> Option<ArrayRef> {
    match column.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let times = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
            cast(&times, &DataType::Int64).ok()
        }
        DataType::Interval(_) => {
            let spans = cast(column, &DataType::Interval(IntervalUnit::MonthDayNano)).ok()?;
            let spans: &IntervalMonthDayNanoArray = spans.as_primitive_opt()?;
            let micros = spans.iter().map(|span| {
                let span = span?;
                let days = i64::from(span.months) * 28 + i64::from(span.days);
                Some(days.saturating_mul(DAY).saturating_add(span.nanoseconds / 1000))
            });
            Some(Arc::new(micros.collect::<arrow::array::Int64Array>()))
        }
        data_type if data_type.is_numeric() => cast(column, &DataType::Int64).ok(),
        _ => None,
    }
}
