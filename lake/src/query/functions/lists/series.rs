//! `generate_series` and `range` of decimals, as lists: the engine's are of whole numbers and times.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, resources_err};
use datafusion::functions_nested::range::{gen_series_udf, range_udf};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::arithmetic::DIGITS;
use crate::query::functions::coerced_by;
use crate::query::session::ResultLimit;

/// The functions.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    [(gen_series_udf(), true), (range_udf(), false)]
        .into_iter()
        .map(|(engine, with_end)| {
            Arc::new(ScalarUDF::new_from_impl(Series {
                engine,
                with_end,
                signature: Signature::user_defined(Volatility::Immutable),
            }))
        })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    engine: Arc<ScalarUDF>,
    /// Whether the end is in the series.
    with_end: bool,
    signature: Signature,
}

/// The type in which a series with decimals is counted. None: it has none.
fn decimal(given: &[DataType]) -> Option<DataType> {
    let scale = |own: &DataType| match own {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    };
    let is_number = |own: &DataType| own.is_integer() || own.is_null() || scale(own).is_some();
    let finest = given.iter().filter_map(scale).max()?;
    given
        .iter()
        .all(is_number)
        .then_some(DataType::Decimal128(DIGITS, finest))
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn aliases(&self) -> &[String] {
        self.engine.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match decimal(given) {
            Some(decimal) => Ok(vec![decimal; given.len()]),
            None => coerced_by(self.engine.as_ref(), given),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match decimal(given) {
            Some(decimal) => Ok(DataType::new_list(decimal, true)),
            None => self.engine.return_type(given),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.first().map(ColumnarValue::data_type) {
            Some(DataType::Decimal128(..)) => self.of_decimals(&args),
            _ => self.engine.inner().invoke_with_args(args),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }
}

impl Series {
    fn of_decimals(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let DataType::List(item) = args.return_field.data_type() else {
            return internal_err!("a series is a list");
        };
        let DataType::Decimal128(precision, scale) = item.data_type() else {
            return internal_err!("a series of decimals has decimals");
        };
        let columns: Vec<ArrayRef> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let value = |place: usize, row: usize| {
            let column = columns.get(place)?.as_primitive_opt::<Decimal128Type>()?;
            column.is_valid(row).then(|| column.value(row))
        };
        let one = 10_i128.pow(u32::from(scale.unsigned_abs()));
        let most = ResultLimit::of(&args.config_options) / size_of::<i128>();
        let mut values = Vec::new();
        let mut lengths = Vec::with_capacity(rows);
        let mut is_there = Vec::with_capacity(rows);
        for row in 0..rows {
            let (start, end, step) = match columns.len() {
                1 => (Some(0), value(0, row), Some(one)),
                2 => (value(0, row), value(1, row), Some(one)),
                _ => (value(0, row), value(1, row), value(2, row)),
            };
            let before = values.len();
            is_there.push(start.is_some() && end.is_some() && step.is_some());
            if let (Some(start), Some(end), Some(step)) = (start, end, step) {
                if step == 0 {
                    return exec_err!("step size cannot equal zero");
                }
                let is_within = |value: i128| match (step > 0, self.with_end) {
                    (true, true) => value <= end,
                    (true, false) => value < end,
                    (false, true) => value >= end,
                    (false, false) => value > end,
                };
                let mut next = Some(start).filter(|value| is_within(*value));
                while let Some(value) = next {
                    if values.len() == most {
                        return resources_err!("`{}` would make more than {most} numbers of one batch", self.name());
                    }
                    values.push(value);
                    next = value.checked_add(step).filter(|value| is_within(*value));
                }
            }
            lengths.push(values.len() - before);
        }
        let values = Decimal128Array::from(values).with_precision_and_scale(*precision, *scale)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(item.clone(), offsets, Arc::new(values), Some(is_there.into()))?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::List(Arc::new(lists))),
            false => ColumnarValue::Array(Arc::new(lists)),
        })
    }
}
