//! Floats: a finite calculation that has no finite result is an error, and so is a division by zero. (PostgreSQL 15,
//! chapter 8.1.3.) NaN and zero have one form each, so that they are one in a sort and a group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Datum, PrimitiveArray};
use arrow::compute::kernels::numeric;
use arrow::error::ArrowError;

use super::Operation;

/// What is asked of a float.
pub(super) trait Float: Copy {
    /// NaN and zero in the one form that they have here.
    fn plain(self) -> Self;
    fn is_without_end(self) -> bool;
    /// Whether something can be divided by it.
    fn divides(self) -> bool;
    /// Without its fraction.
    fn whole(self) -> Self;
}

macro_rules! float {
    ($float:ident) => {
        impl Float for $float {
            fn plain(self) -> Self {
                if self.is_nan() { $float::NAN } else { self + 0.0 }
            }

            fn is_without_end(self) -> bool {
                self.is_infinite()
            }

            fn divides(self) -> bool {
                self != 0.0
            }

            fn whole(self) -> Self {
                self.trunc()
            }
        }
    };
}

float!(f32);
float!(f64);

/// The results.
///
/// # Errors
/// One is not finite, of two values that are; or a division is by zero.
pub(super) fn calculate<T>(operation: Operation, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError>
where
    T: ArrowPrimitiveType<Native: Float>,
{
    if matches!(
        operation,
        Operation::Divide | Operation::Modulo | Operation::DivideWhole
    ) {
        let (divisors, _) = right.get();
        let divisors = divisors.as_primitive::<T>();
        // A null keeps whatever value: only those that are there count.
        if divisors.values().iter().any(|value| !value.divides()) {
            let (dividends, one) = left.get();
            let dividend = |row: usize| if one || dividends.len() == 1 { 0 } else { row };
            let by_zero = |(row, value): (usize, Option<T::Native>)| {
                value.is_some_and(|value| !value.divides()) && dividends.is_valid(dividend(row))
            };
            if !dividends.is_empty() && divisors.iter().enumerate().any(by_zero) {
                return Err(ArrowError::DivideByZero);
            }
        }
    }
    let result = match operation {
        Operation::Add => numeric::add(left, right)?,
        Operation::Subtract => numeric::sub(left, right)?,
        Operation::Multiply => numeric::mul(left, right)?,
        Operation::Divide | Operation::DivideWhole => numeric::div(left, right)?,
        Operation::Modulo => numeric::rem(left, right)?,
    };
    let result = result.as_primitive::<T>();
    let plain: PrimitiveArray<T> = match operation {
        Operation::DivideWhole => result.unary(|value| value.whole().plain()),
        _ => result.unary(Float::plain),
    };
    if plain.values().iter().any(|value| value.is_without_end()) && plain.iter().flatten().any(Float::is_without_end) {
        finite_of_infinite::<T>(&plain, left, right)?;
    }
    Ok(Arc::new(plain))
}

/// An infinite result is right where an operand was infinite.
fn finite_of_infinite<T>(result: &PrimitiveArray<T>, left: &dyn Datum, right: &dyn Datum) -> Result<(), ArrowError>
where
    T: ArrowPrimitiveType<Native: Float>,
{
    let infinite = |side: &dyn Datum, row: usize| {
        let (values, one) = side.get();
        let values = values.as_primitive::<T>();
        let row = if one || values.len() == 1 { 0 } else { row };
        values.is_valid(row) && values.value(row).is_without_end()
    };
    let overflows = |(row, value): (usize, Option<T::Native>)| {
        value.is_some_and(Float::is_without_end) && !infinite(left, row) && !infinite(right, row)
    };
    match result.iter().enumerate().any(overflows) {
        true => Err(ArrowError::ArithmeticOverflow(String::new())),
        false => Ok(()),
    }
}
