//! `lag` and `lead`. The engine takes a constant offset and a constant default, makes 0 of an offset of null, and cuts the
//! default to the type of the values. Here both are of the current row, as in PostgreSQL; what the engine does well it does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, new_null_array};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err, plan_err};
use datafusion::functions_window::lead_lag::{lag_udwf, lead_udwf};
use datafusion::logical_expr::function::{ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    DocSection, Documentation, LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, Volatility, WindowUDF,
    WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

/// The functions.
pub(super) fn all() -> Vec<Arc<WindowUDF>> {
    [Direction::Back, Direction::Ahead].map(Shift::function).to_vec()
}

/// Where the other row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Back,
    Ahead,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shift {
    direction: Direction,
    engine: Arc<WindowUDF>,
    signature: Signature,
    documentation: Documentation,
}

impl Shift {
    fn function(direction: Direction) -> Arc<WindowUDF> {
        let (engine, name, place) = match direction {
            Direction::Back => (lag_udwf(), "lag", "before"),
            Direction::Ahead => (lead_udwf(), "lead", "behind"),
        };
        let section = DocSection {
            include: true,
            label: "Analytical Functions",
            description: None,
        };
        let about = format!(
            "The value of the row that is so many rows {place} the current one, 1 by default; where there is no such row \
             the default, or null."
        );
        let documentation = Documentation::builder(section, about, format!("{name}(x[, offset[, default]])"))
            .with_sql_example(format!(
                "select {name}(x, 1, 0) over (order by x) from (values (1), (2)) t(x)"
            ))
            .build();
        Arc::new(WindowUDF::from(Shift {
            direction,
            engine,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation,
        }))
    }

    /// The offset and the default, if both are constants and the offset is there.
    fn constants(args: &[Arc<dyn PhysicalExpr>]) -> Option<(i64, ScalarValue)> {
        let constant = |place: usize| match args.get(place) {
            Some(arg) => arg
                .downcast_ref::<Literal>()
                .map(|literal| Some(literal.value().clone())),
            None => Some(None),
        };
        let offset = match constant(1)? {
            None => 1,
            Some(ScalarValue::Int64(Some(offset))) => offset,
            Some(_) => return None,
        };
        Some((offset, constant(2)?.unwrap_or(ScalarValue::Null)))
    }
}

impl WindowUDFImpl for Shift {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (value, offset, default) = match given {
            [value] => return Ok(vec![value.clone()]),
            [value, offset] => (value, offset, None),
            [value, offset, default] => (value, offset, Some(default)),
            _ => return plan_err!("{0} is written {0}(x[, offset[, default]])", self.name()),
        };
        if !offset.is_integer() && !offset.is_null() {
            return plan_err!("the offset of {} is an integer, not {offset}", self.name());
        }
        let Some(default) = default else {
            return Ok(vec![value.clone(), DataType::Int64]);
        };
        match common(value, default) {
            Some(common) => Ok(vec![common.clone(), DataType::Int64, common]),
            None => plan_err!(
                "{} has a default of type {default} for values of type {value}",
                self.name()
            ),
        }
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        match Self::constants(args.input_exprs()) {
            Some(_) => self.engine.expressions(args),
            None => args.input_exprs().to_vec(),
        }
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let constants = Self::constants(args.input_exprs());
        if constants.is_some() && !args.ignore_nulls() {
            return self.engine.partition_evaluator_factory(args);
        }
        // In a reversed order what was before is behind.
        let is_ahead = (self.direction == Direction::Ahead) != args.is_reversed();
        Ok(Box::new(EachRow {
            is_ahead,
            ignores_nulls: args.ignore_nulls(),
            constants,
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.engine.field(args)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        ReversedUDWF::Reversed(Self::function(self.direction))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        match Self::constants(args) {
            Some((0.., _)) => self.engine.inner().limit_effect(args),
            _ => LimitEffect::Unknown,
        }
    }
}

/// The type of the result: that of the values, unless the default needs another one.
fn common(value: &DataType, default: &DataType) -> Option<DataType> {
    use DataType as T;
    let is_text = |data_type: &T| matches!(data_type, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    match (value, default) {
        (value, default) if value == default => Some(value.clone()),
        (T::Null, default) => Some(default.clone()),
        (value, T::Null) => Some(value.clone()),
        // A text beside another type is a literal of that type.
        (value, default) if is_text(value) || is_text(default) => Some(value.clone()),
        (value, default) if value.is_integer() && default.is_integer() => Some(value.clone()),
        (value, default) if value.is_floating() && default.is_numeric() => Some(value.clone()),
        (value, default) if value.is_numeric() && default.is_floating() => Some(T::Float64),
        (T::Decimal128(..), default) if default.is_integer() => Some(value.clone()),
        (T::Decimal128(_, scale), T::Decimal128(_, of_default)) if of_default <= scale => Some(value.clone()),
        (value, default) => comparison_coercion(value, default),
    }
}

/// The values of other rows, each found for its row.
#[derive(Debug)]
struct EachRow {
    is_ahead: bool,
    ignores_nulls: bool,
    /// The offset and the default, where they are not of the row.
    constants: Option<(i64, ScalarValue)>,
}

impl PartitionEvaluator for EachRow {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let Some(value) = values.first() else {
            return internal_err!("a window function without an argument");
        };
        let (offsets, defaults): (Int64Array, Option<ArrayRef>) = match &self.constants {
            Some((offset, default)) => {
                let default = match default.is_null() {
                    true => None,
                    false => Some(cast(&default.to_array_of_size(rows)?, value.data_type())?),
                };
                (Int64Array::from(vec![*offset; rows]), default)
            }
            None => {
                let Some(offsets) = values.get(1) else {
                    return internal_err!("an offset is missing");
                };
                let offsets = cast(offsets, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
                (offsets, values.get(2).cloned())
            }
        };
        let null = new_null_array(value.data_type(), 1);
        let mut all: Vec<&dyn Array> = vec![value.as_ref(), null.as_ref()];
        all.extend(defaults.as_deref());
        let places = self.places(value);
        let of_row = |row: usize| {
            if offsets.is_null(row) {
                return (1, 0);
            }
            match places.beside(row, offsets.value(row), self.is_ahead) {
                Some(place) => (0, place),
                None if defaults.is_some() => (2, row),
                None => (1, 0),
            }
        };
        let chosen: Vec<_> = (0..rows).map(of_row).collect();
        interleave(&all, &chosen).map_err(|error| exec_datafusion_err!("{error}"))
    }
}

impl EachRow {
    fn places(&self, value: &ArrayRef) -> Places {
        match value.logical_nulls().filter(|_| self.ignores_nulls) {
            Some(nulls) => Places::Valid(nulls.valid_indices().collect()),
            None => Places::All(value.len()),
        }
    }
}

/// The rows that count.
enum Places {
    All(usize),
    /// Those with a value.
    Valid(Vec<usize>),
}

impl Places {
    /// The row that is so many of those that count away.
    fn beside(&self, row: usize, offset: i64, is_ahead: bool) -> Option<usize> {
        let ahead = if is_ahead { Some(offset) } else { offset.checked_neg() }?;
        let from = |start: usize, steps: i64| start.checked_add_signed(isize::try_from(steps).ok()?);
        match self {
            Self::All(rows) => from(row, ahead).filter(|place| place < rows),
            Self::Valid(_) if ahead == 0 => Some(row),
            Self::Valid(places) => {
                // The first that is behind the row, and the first that is not before it.
                let place = match ahead > 0 {
                    true => from(places.partition_point(|place| *place <= row), ahead - 1),
                    false => from(places.partition_point(|place| *place < row), ahead),
                };
                places.get(place?).copied()
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(
        constants: Option<(i64, ScalarValue)>,
        is_ahead: bool,
        ignores_nulls: bool,
        values: &[ArrayRef],
    ) -> Vec<Option<i64>> {
        let rows = values[0].len();
        let mut each = EachRow {
            is_ahead,
            ignores_nulls,
            constants,
        };
        let result = each.evaluate_all(values, rows).unwrap();
        result.as_primitive::<Int64Type>().iter().collect()
    }

    fn ints(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(values.iter().copied().collect::<Int64Array>())
    }

    #[test]
    fn offsets_and_defaults_are_those_of_the_row() {
        let values = ints(&[Some(1), Some(2), None, Some(4)]);
        let offsets = ints(&[Some(1), None, Some(-1), Some(i64::MIN)]);
        let defaults = ints(&[Some(10), Some(20), Some(30), None]);
        let given = [values, offsets, defaults];
        assert_eq!(of(None, false, false, &given), [Some(10), None, Some(4), None]);
        assert_eq!(of(None, true, false, &given), [Some(2), None, Some(2), None]);
    }

    #[test]
    fn nulls_that_are_ignored_are_passed_over() {
        let values = [ints(&[Some(1), None, None, Some(4), Some(5)])];
        let zero = || ScalarValue::Int64(Some(0));
        assert_eq!(
            of(Some((1, zero())), true, true, &values),
            [Some(4), Some(4), Some(4), Some(5), Some(0)]
        );
        assert_eq!(
            of(Some((2, zero())), false, true, &values),
            [Some(0), Some(0), Some(0), Some(0), Some(1)]
        );
        assert_eq!(
            of(Some((0, zero())), false, true, &values),
            [Some(1), None, None, Some(4), Some(5)]
        );
    }
}
