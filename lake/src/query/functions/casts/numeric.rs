//! A cast to `numeric` without digits. PostgreSQL keeps those of each value; a column here has one number of digits after its
//! point, which is chosen by what is cast: a decimal keeps its own, an integer has none. Of doubles and texts nobody knows
//! before they are read, so that they have [`UNKNOWN`], which is all that the fifteen digits of a double need from 0.1 on,
//! and leaves 22 before the point.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::{OnFailure, cast_array, type_name};
use crate::query::arithmetic::{DIGITS, decimal};

/// The type of what may have any digits.
pub(in crate::query) const UNKNOWN: DataType = DataType::Decimal128(DIGITS, 16);

/// What rewrites make of the cast.
pub(in crate::query) fn name(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Error => "_numeric",
        OnFailure::Null => "_try_numeric",
    }
}

/// The function.
pub(super) fn function(on_failure: OnFailure) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Numeric {
        on_failure,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

/// Precision and scale of the number that a text says: those of the digits that are written.
pub(in crate::query) fn digits(text: &str) -> Option<(u8, i8)> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if before.is_empty() && after.is_empty() || !is_digits(before) || !is_digits(after) {
        return None;
    }
    let exponent = i64::from(exponent.parse::<i16>().ok()?);
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let before = before.trim_start_matches('0');
    // Of `0.05e1` the first digit is one behind the point.
    let whole = match before.is_empty() {
        true => length(after.trim_start_matches('0')) - length(after),
        false => length(before),
    };
    let whole = (whole + exponent).max(0);
    let most = i64::from(DIGITS);
    if whole > most {
        return None;
    }
    let scale = (length(after) - exponent).clamp(0, most - whole);
    let precision = u8::try_from((whole + scale).max(1)).ok()?;
    Some((precision, i8::try_from(scale).ok()?))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Numeric {
    on_failure: OnFailure,
    signature: Signature,
}

/// The decimal that values of a type are cast to.
fn of(value: &DataType) -> Result<DataType> {
    use DataType as T;
    Ok(match value {
        T::Dictionary(_, values) => return of(values),
        T::Decimal256(..) => value.clone(),
        T::Boolean => T::Decimal128(1, 0),
        T::Null | T::Utf8 | T::LargeUtf8 | T::Utf8View => UNKNOWN,
        float if float.is_floating() => UNKNOWN,
        // Of `1e40` there are more zeros than digits.
        T::Decimal128(_, ..0) => decimal(value).map_or(T::Decimal128(DIGITS, 0), |(precision, scale)| {
            T::Decimal128(precision, scale)
        }),
        other => match decimal(other) {
            Some((precision, scale)) => T::Decimal128(precision, scale),
            None => return plan_err!("cannot cast type {} to numeric", type_name(other)),
        },
    })
}

impl ScalarUDFImpl for Numeric {
    fn name(&self) -> &str {
        name(self.on_failure)
    }

    /// A column that is cast keeps its name.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value] = take_function_args(self.name(), args)?;
        Ok(value.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its argument", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value] = take_function_args(self.name(), args.arg_fields)?;
        let nullable = value.is_nullable() || self.on_failure == OnFailure::Null;
        Ok(Arc::new(Field::new(self.name(), of(value.data_type())?, nullable)))
    }

    /// A decimal stays what it is.
    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [value] = take_function_args(self.name(), args)?;
        let own = value.get_type(context.schema().as_ref())?;
        Ok(match of(&own)? == own {
            true => ExprSimplifyResult::Simplified(value),
            false => ExprSimplifyResult::Original(vec![value]),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type().clone();
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(match value {
            ColumnarValue::Array(values) => ColumnarValue::Array(cast_array(&values, &to, self.on_failure)?),
            ColumnarValue::Scalar(value) => {
                let values = cast_array(&value.to_array()?, &to, self.on_failure)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn a_text_has_the_digits_that_are_written() {
        for (text, said) in [
            ("1.50", Some((3, 2))),
            ("-0.05", Some((2, 2))),
            ("1000", Some((4, 0))),
            ("1e3", Some((4, 0))),
            ("1.5e1", Some((2, 0))),
            ("0.05e1", Some((1, 1))),
            ("1e-12", Some((12, 12))),
            (".5", Some((1, 1))),
            ("0", Some((1, 0))),
            ("12345678901234567890.12345678901234567890", Some((38, 18))),
            ("1e40", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(digits(text), said, "{text}");
        }
    }
}
