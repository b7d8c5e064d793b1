//! `ceil`, `floor`, `round` and `trunc`: decimals and integers exactly, and halves of decimals away from zero.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::define::{documentation, numeric, of_rows};
use crate::query::arithmetic::{DIGITS, decimal, fits, in_words};

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Up,
    Down,
    /// To the nearest, and halves away from zero.
    Nearest,
    ToZero,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounding {
    name: &'static str,
    aliases: Vec<String>,
    direction: Direction,
    signature: Signature,
    documentation: Documentation,
}

pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    use Direction as D;
    [
        ("ceil", "ceiling", D::Up, "The least whole number that is not less; with places, of so many after the point.", "select ceil(1.2), ceil(-1.2) -- 2, -1"),
        ("floor", "", D::Down, "The greatest whole number that is not greater; with places, of so many after the point.", "select floor(1.2), floor(-1.2) -- 1, -2"),
        ("round", "", D::Nearest, "The nearest number of so many places after the point, 0 by default; negative ones are before it. A half is rounded away from zero, and a double's to the even neighbour if no places are given.", "select round(2.5), round(1.005, 2), round(125, -1) -- 3, 1.01, 130"),
        ("trunc", "truncate", D::ToZero, "The number without what is after so many places, 0 by default.", "select trunc(1.999, 2), trunc(-1.9) -- 1.99, -1"),
    ]
    .into_iter()
    .map(|(name, alias, direction, about, example)| {
        Arc::new(ScalarUDF::from(Rounding {
            name,
            aliases: [alias].iter().filter(|alias| !alias.is_empty()).map(|alias| (*alias).to_owned()).collect(),
            direction,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation(about, &format!("{name}(x[, places])"), example),
        }))
    })
}

impl Rounding {
    /// The type of the result; `places` as they are written, where they are.
    fn outcome(&self, data_type: &DataType, places: Option<Option<i64>>) -> DataType {
        match (data_type, places) {
            (DataType::Decimal128(precision, scale), places) => {
                let kept = match places {
                    None => 0,
                    Some(None) => *scale,
                    Some(Some(places)) => i8::try_from(places.clamp(0, i64::from(*scale))).unwrap_or(*scale),
                };
                let precision = precision.saturating_sub(scale.unsigned_abs()) + 1 + kept.unsigned_abs();
                DataType::Decimal128(precision.min(DIGITS), kept)
            }
            (integer, Some(_)) if integer.is_integer() => DataType::Int64,
            (other, _) => other.clone(),
        }
    }
}

impl ScalarUDFImpl for Rounding {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let ([data_type] | [data_type, _]) = arg_types else {
            return plan_err!("{} is called as {}", self.name, self.documentation.syntax_example);
        };
        for given in arg_types {
            numeric(given, self.name)?;
        }
        let own = match (data_type, decimal(data_type)) {
            (number, _) if number.is_integer() || matches!(number, DataType::Float32 | DataType::Float64) => {
                number.clone()
            }
            (_, Some((precision, scale))) => DataType::Decimal128(precision, scale),
            _ => DataType::Float64,
        };
        Ok([own, DataType::Int64].into_iter().take(arg_types.len()).collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        plan_err!("the type of {} depends on its arguments", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let written = |literal: &ScalarValue| literal.cast_to(&DataType::Int64).ok();
        let places = args
            .scalar_arguments
            .get(1)
            .map(|places| match places.and_then(written) {
                Some(ScalarValue::Int64(places)) => places,
                _ => None,
            });
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        match args.arg_fields {
            [value] | [value, _] => {
                let data_type = self.outcome(value.data_type(), places);
                Ok(Arc::new(Field::new(self.name, data_type, nullable)))
            }
            _ => plan_err!("{} is called as {}", self.name, self.documentation.syntax_example),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match inputs {
            [value] => value.sort_properties,
            [value, places] if places.sort_properties == SortProperties::Singleton => value.sort_properties,
            _ => SortProperties::Unordered,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let target = args.return_field.data_type();
        of_rows(&args.args, |arrays| {
            let [value, places @ ..] = arrays else {
                return plan_err!("{} is called as {}", self.name, self.documentation.syntax_example);
            };
            let places = places.first().and_then(|places| places.as_primitive_opt::<Int64Type>());
            let rounded = match (value.data_type(), places) {
                (integer, None) if integer.is_integer() => return Ok(value.clone()),
                (DataType::Float32 | DataType::Float64, places) => self.floats(value, places)?,
                (data_type, places) => {
                    let (precision, scale) = decimal(data_type).unwrap_or((DIGITS, 0));
                    let exact = cast(value, &DataType::Decimal128(precision, scale))?;
                    let kept = match target {
                        DataType::Decimal128(_, kept) => *kept,
                        _ => 0,
                    };
                    let rounded = self.decimals(exact.as_primitive(), scale, places, kept);
                    rounded.map_err(|error| in_words(error.into(), self.name, target))?
                }
            };
            if let (DataType::Int64, Some(exact)) = (target, rounded.as_primitive_opt::<Decimal128Type>()) {
                let narrow = exact.try_unary::<_, Int64Type, _>(|value| i64::try_from(value).map_err(drop));
                return match narrow {
                    Ok(whole) => Ok(Arc::new(whole)),
                    Err(()) => exec_err!(
                        "numeric overflow: a result of `{}` is out of the range of Int64",
                        self.name
                    ),
                };
            }
            let strict = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            Ok(cast_with_options(&rounded, target, &strict)?)
        })
    }
}

impl Rounding {
    fn floats(&self, value: &ArrayRef, places: Option<&Int64Array>) -> Result<ArrayRef> {
        let value = cast(value, &DataType::Float64)?;
        let value: &Float64Array = value.as_primitive();
        let to = |x: f64| match self.direction {
            Direction::Up => x.ceil(),
            Direction::Down => x.floor(),
            Direction::Nearest => x.round(),
            Direction::ToZero => x.trunc(),
        };
        let Some(places) = places else {
            return Ok(Arc::new(match self.direction {
                Direction::Nearest => value.unary::<_, Float64Type>(|x| x.round_ties_even() + 0.0),
                _ => value.unary::<_, Float64Type>(|x| to(x) + 0.0),
            }));
        };
        let rows = value.iter().zip(places).map(|row| match row {
            (Some(x), Some(places)) => Some(at_places(x, places, to)),
            _ => None,
        });
        Ok(Arc::new(rows.collect::<Float64Array>()))
    }

    /// Values of a scale, rounded, at the scale `kept`.
    fn decimals(
        &self,
        values: &Decimal128Array,
        scale: i8,
        places: Option<&Int64Array>,
        kept: i8,
    ) -> Result<ArrayRef, ArrowError> {
        let scale = i64::from(scale);
        let one = |value: i128, places: i64| {
            // Of places that are farther away there are no digits.
            let places = places.clamp(-1000, scale);
            let whole = match u32::try_from(scale - places)
                .ok()
                .and_then(|off| 10_i128.checked_pow(off))
            {
                Some(unit) => self.divided(value, unit),
                None => match self.direction {
                    Direction::Up => i128::from(value > 0),
                    Direction::Down => -i128::from(value < 0),
                    Direction::Nearest | Direction::ToZero => 0,
                },
            };
            if whole == 0 {
                return Ok(0);
            }
            let back = u32::try_from(i64::from(kept) - places)
                .ok()
                .and_then(|back| 10_i128.checked_pow(back));
            let value = back.and_then(|back| whole.checked_mul(back));
            value.ok_or_else(|| ArrowError::ArithmeticOverflow(String::new()))
        };
        let rounded: Decimal128Array = match places {
            None => values.try_unary::<_, Decimal128Type, _>(|value| one(value, 0))?,
            Some(places) => {
                let rows = values.iter().zip(places).map(|row| match row {
                    (Some(value), Some(places)) => one(value, places).map(Some),
                    _ => Ok(None),
                });
                rows.collect::<Result<_, ArrowError>>()?
            }
        };
        fits(&rounded)?;
        Ok(Arc::new(rounded.with_precision_and_scale(DIGITS, kept)?))
    }

    /// How many whole units a value has.
    fn divided(&self, value: i128, unit: i128) -> i128 {
        let (whole, rest) = (value / unit, value % unit);
        match self.direction {
            Direction::Up if rest > 0 => whole + 1,
            Direction::Down if rest < 0 => whole - 1,
            Direction::Nearest if rest.unsigned_abs() >= unit.unsigned_abs() - rest.unsigned_abs() => {
                whole + rest.signum()
            }
            _ => whole,
        }
    }
}

/// A double rounded at a place after the point, or before it.
fn at_places(x: f64, places: i64, to: impl Fn(f64) -> f64) -> f64 {
    let unit = 10_f64.powi(places.unsigned_abs().min(400) as i32);
    let rounded = match places >= 0 {
        true => to(x * unit) / unit,
        false => to(x / unit) * unit,
    };
    // A double beyond its digits is what it is.
    match rounded.is_finite() {
        true => rounded + 0.0,
        false if places >= 0 => x,
        false => 0.0,
    }
}
