//! Functions whose result may be any number of times as large as what they are given: how large it becomes is looked at
//! before any of it is made.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue, resources_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

use super::define::text_of;
use crate::query::session::ResultLimit;

/// Bytes that a function makes of its arguments, at most.
type Size = fn(&Arguments<'_>) -> Result<usize>;

/// Puts the functions that have no bound within one.
pub(in crate::query) fn bound(functions: &mut [Arc<ScalarUDF>]) {
    for function in functions {
        if let Some(size) = size_of(function.name()) {
            let bounded = Bounded {
                function: function.clone(),
                size,
            };
            *function = Arc::new(ScalarUDF::new_from_impl(bounded));
        }
    }
}

/// What is known of a function of that name.
fn size_of(name: &str) -> Option<Size> {
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

/// A replacement that is short.
const SHORT: usize = 64;
/// What a piece of a text costs beside its bytes while it is cut.
const PIECE: usize = 32;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What a function is given.
struct Arguments<'a> {
    args: &'a [ColumnarValue],
    /// Those as columns: one value for all rows, or one each.
    columns: Vec<ArrayRef>,
    /// As integers, where they can be.
    integers: Vec<Option<ArrayRef>>,
    rows: usize,
    limit: usize,
}

impl<'a> Arguments<'a> {
    fn new(given: &'a ScalarFunctionArgs, limit: usize) -> Result<Self> {
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

/// A function that refuses what would become too large.
struct Bounded {
    function: Arc<ScalarUDF>,
    size: Size,
}

impl Bounded {
    fn inner(&self) -> &dyn ScalarUDFImpl {
        &**self.function.inner()
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let limit = ResultLimit::of(&args.config_options);
        let size = (self.size)(&Arguments::new(args, limit)?)?;
        let columns = args.args.iter().filter_map(|arg| match arg {
            ColumnarValue::Array(values) => Some(values.get_array_memory_size()),
            ColumnarValue::Scalar(_) => None,
        });
        // Of much, much may be made.
        let given: usize = columns.sum();
        match size <= limit.max(2 * given) {
            true => Ok(()),
            false => resources_err!(
                "`{}` would make {} MB of one batch of rows and may make {} MB, a sixteenth of what a statement may hold",
                self.function.name(),
                size / 1_000_000,
                limit / 1_000_000
            ),
        }
    }

    /// The call, with the function within its bound again if it is still the one that is called.
    fn again(&self, simplified: ExprSimplifyResult) -> ExprSimplifyResult {
        match simplified {
            ExprSimplifyResult::Simplified(Expr::ScalarFunction(mut call)) if call.func.name() == self.name() => {
                call.func = Arc::new(ScalarUDF::new_from_impl(Self {
                    function: call.func.clone(),
                    size: self.size,
                }));
                ExprSimplifyResult::Simplified(Expr::ScalarFunction(call))
            }
            other => other,
        }
    }
}

impl std::fmt::Debug for Bounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.function.fmt(f)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn aliases(&self) -> &[String] {
        self.inner().aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner().signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner().return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = Arc::new(self.inner().with_updated_config(config)?);
        Some(ScalarUDF::new_from_impl(Self {
            function,
            size: self.size,
        }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner().return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner().is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner().invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner()
            .simplify(args, info)
            .map(|simplified| self.again(simplified))
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner().preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner().short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner().conditional_arguments(args)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner().evaluate_bounds(inputs)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.inner().propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner().preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().coerce_types(types)
    }

    fn struct_field_mapping(
        &self,
        literals: &[Option<ScalarValue>],
    ) -> Option<datafusion::logical_expr::StructFieldMapping> {
        self.inner().struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner().documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner().placement(args)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::query::session::limit_results;

    /// A session whose functions may make 16 MiB of a batch.
    fn session() -> SessionContext {
        let mut state = SessionContext::new().state();
        let functions = state.scalar_functions().values().cloned();
        let mut functions: Vec<_> = functions.chain(crate::query::functions::all().scalar).collect();
        bound(&mut functions);
        limit_results(&mut state, 0);
        let session = SessionContext::new_with_state(state);
        for function in functions {
            session.register_udf(Arc::unwrap_or_clone(function));
        }
        session
    }

    async fn run(sql: &str) -> Result<usize> {
        let batches = session().sql(sql).await?.collect().await?;
        Ok(batches.iter().map(|batch| batch.num_rows()).sum())
    }

    #[tokio::test]
    async fn what_would_be_too_large_is_refused_before_it_is_made() {
        for sql in [
            "select length(repeat('x', 2000000000))",
            "select length(repeat(x::text, 100000)) from generate_series(1, 8000) t(x)",
            "select length(repeat(x::text, x * 1000)) from generate_series(1, 8000) t(x)",
            "select length(lpad('x', 2000000000, 'y'))",
            "select length(rpad(x::text, 10000)) from generate_series(1, 8000) t(x)",
            "select length(lpad(x::text, 1000, 'é')) from generate_series(1, 8000) t(x)",
            "select length(replace(repeat('a', 100000), 'a', repeat('b', 1000)))",
            "select length(regexp_replace(repeat('a', 100000), 'a', repeat('b', 1000), 'g'))",
            "select length(concat(x::text, repeat('b', 100000))) from generate_series(1, 8000) t(x)",
            "select length(concat_ws(repeat('b', 100000), x::text, x::text)) from generate_series(1, 8000) t(x)",
            "select length(space(2000000000))",
            "select length(replicate('ab', 1000000000))",
            "select array_length(array_repeat('abc', 1000000000))",
            "select array_length(array_repeat(array_repeat(1, 1000), 100000))",
            "select array_length(array_resize([1], 1000000000, 0))",
            "select array_length(range(0, 100000000))",
            "select array_length(range(100000000, 0, -1))",
            "select array_length(range(x * 1000)) from generate_series(1, 8000) t(x)",
            "select array_length(generate_series(date '1000-01-01', date '3000-01-01', interval '1 second'))",
            "select array_length(string_to_array(repeat(',', 10000000), ','))",
            "select length(array_to_string(range(0, 100000), repeat('-', 1000)))",
        ] {
            let error = run(sql).await.unwrap_err();
            assert!(error.to_string().contains("a sixteenth of"), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn what_fits_is_made() {
        for sql in [
            "select length(repeat('x', 1000000))",
            "select repeat(x::text, 100) from generate_series(1, 8000) t(x)",
            "select repeat(null, 10), repeat('x', null), repeat('x', -5), lpad('x', -1), lpad('xyz', 5, 'é')",
            "select replace(repeat('a', 1000000), 'b', repeat('c', 1000))",
            "select replace('', '', 'x'), replace('abc', '', 'x')",
            "select regexp_replace(repeat('a', 1000000), 'a', 'b', 'g')",
            "select concat(x::text, 'a', null), concat_ws('-', x::text, 'a') from generate_series(1, 8000) t(x)",
            "select range(10), range(1, 5), range(5, 1, -2), generate_series(date '2024-01-01', date '2024-03-01', \
             interval '1 month')",
            "select array_repeat('a', 3), array_resize([1, 2], 5, 0), array_append([1], 2), string_to_array('a,b', ',')",
            "select array_to_string([1, 2, 3], ', '), make_array(1, 2), array_concat([1], [2])",
        ] {
            run(sql).await.unwrap();
        }
    }

    #[tokio::test]
    async fn of_much_much_may_be_made() {
        let wide = "(select repeat('a', 2000000) || x::text as a from generate_series(1, 20) t(x))";
        run(&format!(
            "select length(replace(a, 'a', 'b')), length(concat(a, '!')) from {wide}"
        ))
        .await
        .unwrap();
    }
}
