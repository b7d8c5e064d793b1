//! Which types numbers are calculated in, and what comes out.
//!
//! Integers stay integers, of the wider type of the two; an unsigned one counts as a `bigint`, so that a difference may be
//! negative. A float makes it a `double precision`, unless both are `real`. Otherwise a decimal makes it a decimal of at
//! most 38 digits. (PostgreSQL 15, chapters 8.1 and 9.3; its decimals have no such limit.)

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};

use super::Operation;

/// The most digits that a decimal has.
pub(in crate::query) const DIGITS: u8 = 38;

/// The digits after the point that a quotient of decimals has at least, as PostgreSQL shows of `1.0 / 3`.
const QUOTIENT: i8 = 20;

/// Whether values of the type are numbers that are calculated here.
pub(in crate::query) fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating() || decimal(data_type).is_some()
}

/// The types that both sides take; none if this is not arithmetic of numbers.
pub(in crate::query) fn operands(
    operation: Operation,
    left: &DataType,
    right: &DataType,
) -> Option<(DataType, DataType)> {
    use DataType as T;
    let (left, right) = match (plain(left), plain(right)) {
        (T::Null, T::Null) => return Some((T::Int64, T::Int64)),
        (T::Null, other) | (other, T::Null) => (other, other),
        both => both,
    };
    if !is_number(left) || !is_number(right) {
        return None;
    }
    let both = |data_type: DataType| Some((data_type.clone(), data_type));
    match (left, right) {
        (T::Float32, T::Float32) => both(T::Float32),
        (left, right) if left.is_floating() || right.is_floating() => both(T::Float64),
        (left, right) if left.is_integer() && right.is_integer() => both(integer(left, right)),
        (left, right) => {
            let ((p1, s1), (p2, s2)) = (decimal(left)?, decimal(right)?);
            result(operation, (p1, s1), (p2, s2))?;
            Some((T::Decimal128(p1, s1), T::Decimal128(p2, s2)))
        }
    }
}

/// The type of the result, for operands that [`operands`] has made.
///
/// # Errors
/// They are not.
pub(in crate::query) fn outcome(operation: Operation, left: &DataType, right: &DataType) -> Result<DataType> {
    use DataType as T;
    match (left, right) {
        (T::Decimal128(p1, s1), T::Decimal128(p2, s2)) => match result(operation, (*p1, *s1), (*p2, *s2)) {
            Some((precision, scale)) => Ok(T::Decimal128(precision, scale)),
            None => plan_err!("{left} {} {right} has more than {DIGITS} digits", operation.sign()),
        },
        (left, right) if left == right => Ok(left.clone()),
        _ => plan_err!("there is no {left} {} {right}", operation.sign()),
    }
}

/// Precision and scale of a result. None: there is no decimal of so many digits.
fn result(operation: Operation, (p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> Option<(u8, i8)> {
    let (whole1, whole2) = (p1 as i8 - s1, p2 as i8 - s2);
    let (whole, scale) = match operation {
        Operation::Add | Operation::Subtract => (whole1.max(whole2) + 1, s1.max(s2)),
        Operation::Multiply if p1 + p2 <= DIGITS => (whole1 + whole2 + 1, s1 + s2),
        // Digits that a decimal has no room for are rounded away, beyond those of a quotient.
        Operation::Multiply => (whole1.saturating_add(whole2), (s1 + s2).min(QUOTIENT.max(s1).max(s2))),
        Operation::Divide => (whole1.saturating_add(s2), QUOTIENT.max(s1)),
        Operation::Modulo => (whole1.min(whole2), s1.max(s2)),
        Operation::DivideWhole => (whole1.saturating_add(s2).max(1), 0),
    };
    let precision = (i16::from(whole) + i16::from(scale)).clamp(1, i16::from(DIGITS));
    Some((u8::try_from(precision).ok()?.max(scale.unsigned_abs()), scale))
}

/// The values' type, where they are kept in a dictionary.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        other => other,
    }
}

/// The wider of two integers' types.
fn integer(left: &DataType, right: &DataType) -> DataType {
    use DataType as T;
    let width = |data_type: &DataType| match data_type {
        T::Int8 => 0,
        T::Int16 => 1,
        T::Int32 => 2,
        _ => 3,
    };
    [T::Int8, T::Int16, T::Int32, T::Int64]
        .into_iter()
        .nth(width(left).max(width(right)))
        .unwrap_or(T::Int64)
}

/// Precision and scale of the decimal that holds all values of a type. None: there is none of 38 digits, or they are not
/// exact numbers.
pub(in crate::query) fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    use DataType as T;
    match data_type {
        T::Int8 | T::UInt8 => Some((3, 0)),
        T::Int16 | T::UInt16 => Some((5, 0)),
        T::Int32 | T::UInt32 => Some((10, 0)),
        T::Int64 => Some((19, 0)),
        T::UInt64 => Some((20, 0)),
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) | T::Decimal128(precision, scale) => {
            match *scale {
                // `1e10` is one digit before ten zeros.
                negative if negative < 0 => {
                    let precision = precision.checked_add(negative.unsigned_abs())?;
                    (precision <= DIGITS).then_some((precision, 0))
                }
                scale => Some((*precision, scale)),
            }
        }
        _ => None,
    }
}
