//! Decimals as 128-bit numbers.

use arrow::datatypes::{Decimal128Type, DecimalType};
use cordada_ingest_formats::values::parse::{self, Number};

use crate::value_error::ValueError;

/// The value, if it has no more digits than `precision`.
#[inline]
pub(crate) fn within(value: i128, precision: u8) -> Result<i128, ValueError> {
    match Decimal128Type::is_valid_decimal_precision(value, precision) {
        true => Ok(value),
        false => Err(ValueError::TooManyDigits),
    }
}

/// The value of a text such as `-12.50`, × 10^scale.
///
/// # Errors
/// NaN and infinity; more digits than `precision`, or than `scale` behind the point.
pub(crate) fn of_text(text: &[u8], precision: u8, scale: i8) -> Result<i128, ValueError> {
    parse::decimal(text, b'.', precision, scale).ok_or_else(|| match text {
        b"NaN" | b"Infinity" | b"-Infinity" => ValueError::NotANumber,
        _ if Number::scan(text, b'.').is_some() => ValueError::TooManyDigits,
        _ => ValueError::Malformed,
    })
}
