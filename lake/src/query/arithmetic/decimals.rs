//! Decimals, whose results have at most 38 digits: one that has more is an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array, PrimitiveArray};
use arrow::compute::kernels::arity::try_binary;
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Decimal128Type, i256};
use arrow::error::ArrowError;

use super::Operation;
use super::types::DIGITS;

/// 10^38, which has one digit too many.
const TOO_MUCH: u128 = 10_u128.pow(38);

/// The results as decimals of that precision and scale.
///
/// # Errors
/// One has more digits, or a division is by zero.
pub(super) fn calculate(
    operation: Operation,
    left: &dyn Datum,
    right: &dyn Datum,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef, ArrowError> {
    let (s1, s2) = (scale_of(left), scale_of(right));
    let exact = match operation {
        Operation::Add => numeric::add(left, right)?,
        Operation::Subtract => numeric::sub(left, right)?,
        Operation::Modulo => numeric::rem(left, right)?,
        Operation::Multiply if s1 + s2 == scale => numeric::mul(left, right)?,
        Operation::Multiply => {
            let off = i256::from_i128(10).wrapping_pow((s1 + s2 - scale).unsigned_abs().into());
            let product = |l: i128, r: i128| match i256::from_i128(l).checked_mul(i256::from_i128(r)) {
                Some(product) => narrow(rounded(product, off)?),
                None => Err(overflow()),
            };
            Arc::new(each(left, right, product)?)
        }
        Operation::Divide => {
            let up = u32::try_from(scale - s1 + s2).unwrap_or_default();
            Arc::new(each(left, right, |l, r| quotient(l, r, up))?)
        }
        Operation::DivideWhole => {
            let l_up = i256::from_i128(10).wrapping_pow((s2 - s1).max(0).unsigned_abs().into());
            let r_up = i256::from_i128(10).wrapping_pow((s1 - s2).max(0).unsigned_abs().into());
            let whole = |l: i128, r: i128| {
                let l = i256::from_i128(l).checked_mul(l_up).ok_or_else(overflow)?;
                let r = i256::from_i128(r).checked_mul(r_up).ok_or_else(overflow)?;
                narrow(l.checked_div(r).ok_or(ArrowError::DivideByZero)?)
            };
            Arc::new(each(left, right, whole)?)
        }
    };
    let exact = exact.as_primitive::<Decimal128Type>();
    if may_exceed(operation, left, right, precision) {
        fits(exact)?;
    }
    Ok(Arc::new(exact.clone().with_precision_and_scale(precision, scale)?))
}

/// Whether a result can have more digits than there are: the kernels see only what 128 bits do not hold.
fn may_exceed(operation: Operation, left: &dyn Datum, right: &dyn Datum, precision: u8) -> bool {
    match (operation, left.get().0.data_type(), right.get().0.data_type()) {
        (Operation::Multiply, DataType::Decimal128(p1, _), DataType::Decimal128(p2, _)) => p1 + p2 > DIGITS,
        (Operation::Modulo, ..) => false,
        _ => precision == DIGITS,
    }
}

fn scale_of(side: &dyn Datum) -> i8 {
    match side.get().0.data_type() {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    }
}

/// What `of` makes of each pair; null where one is.
fn each(
    left: &dyn Datum,
    right: &dyn Datum,
    of: impl Fn(i128, i128) -> Result<i128, ArrowError>,
) -> Result<Decimal128Array, ArrowError> {
    let ((left, one_left), (right, one_right)) = (left.get(), right.get());
    let (left, right) = (
        left.as_primitive::<Decimal128Type>(),
        right.as_primitive::<Decimal128Type>(),
    );
    match (one_left, one_right) {
        (true, false) if left.is_null(0) => Ok(PrimitiveArray::new_null(right.len())),
        (true, false) => {
            let left = left.value(0);
            right.try_unary(|right| of(left, right))
        }
        (false, true) if right.is_null(0) => Ok(PrimitiveArray::new_null(left.len())),
        (false, true) => {
            let right = right.value(0);
            left.try_unary(|left| of(left, right))
        }
        _ => try_binary(left, right, of),
    }
}

/// `left * 10^up / right`, rounded.
fn quotient(left: i128, right: i128, up: u32) -> Result<i128, ArrowError> {
    if right == 0 {
        return Err(ArrowError::DivideByZero);
    }
    if let Some(dividend) = 10_i128.checked_pow(up).and_then(|factor| left.checked_mul(factor))
        && let Some(quotient) = dividend.checked_div(right)
    {
        let rest = dividend - quotient * right;
        let up = rest.unsigned_abs() >= right.unsigned_abs() - rest.unsigned_abs();
        return Ok(match up {
            true if (dividend < 0) == (right < 0) => quotient + 1,
            true => quotient - 1,
            false => quotient,
        });
    }
    let dividend = i256::from_i128(left).checked_mul(i256::from_i128(10).wrapping_pow(up));
    narrow(rounded(dividend.ok_or_else(overflow)?, i256::from_i128(right))?)
}

/// A quotient rounded to the nearest, and halves away from zero.
fn rounded(dividend: i256, divisor: i256) -> Result<i256, ArrowError> {
    let quotient = dividend.checked_div(divisor).ok_or(ArrowError::DivideByZero)?;
    let rest = dividend.wrapping_sub(quotient.wrapping_mul(divisor));
    let (rest, half) = (
        rest.wrapping_abs(),
        divisor.wrapping_abs().wrapping_sub(rest.wrapping_abs()),
    );
    let away = match dividend.is_negative() == divisor.is_negative() {
        true => i256::ONE,
        false => i256::MINUS_ONE,
    };
    Ok(if rest >= half {
        quotient.wrapping_add(away)
    } else {
        quotient
    })
}

fn narrow(value: i256) -> Result<i128, ArrowError> {
    value.to_i128().ok_or_else(overflow)
}

/// All values have 38 digits at most.
///
/// # Errors
/// One has more.
pub(in crate::query) fn fits(values: &Decimal128Array) -> Result<(), ArrowError> {
    let too_much = |value: i128| value.unsigned_abs() >= TOO_MUCH;
    match values.values().iter().any(|value| too_much(*value)) && values.iter().flatten().any(too_much) {
        true => Err(overflow()),
        false => Ok(()),
    }
}

fn overflow() -> ArrowError {
    ArrowError::ArithmeticOverflow(String::new())
}
