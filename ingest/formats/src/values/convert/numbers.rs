//! Numbers as other numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, PrimitiveArray, StringArray};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use cordada_core::{Context, Result};

use super::super::parse;
use super::{Converted, cast, each, none_fits};

/// Numbers whose cast gives back what they were when it is undone.
pub(super) fn there_and_back(array: &ArrayRef, target: &DataType) -> Result<Converted> {
    let Ok(there) = cast(array, target, true) else {
        return Ok(none_fits(array, target));
    };
    let back = cast(&there, array.data_type(), true)?;
    let same = not_distinct(&back, array).doing(|| "comparing what was converted")?;
    let misfits: Vec<_> = (0..array.len()).filter(|row| !same.value(*row)).collect();
    let array = match misfits.is_empty() {
        true => there,
        false => without(&there, &misfits)?,
    };
    Ok(Converted {
        array,
        misfits,
        cut: false,
    })
}

/// The array with nulls in those rows.
fn without(array: &ArrayRef, rows: &[usize]) -> Result<ArrayRef> {
    let mut gone = vec![false; array.len()];
    rows.iter().for_each(|row| gone[*row] = true);
    arrow::compute::nullif(array, &BooleanArray::from(gone)).doing(|| "leaving out what does not fit")
}

/// The decimal that a double is written as, with as few digits as tell it from others.
pub(super) fn decimals_of_floats(array: &ArrayRef, precision: u8, scale: i8) -> Result<Converted> {
    let text: Box<dyn Fn(usize) -> String> = match array.data_type() {
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().clone();
            Box::new(move |row| values.value(row).to_string())
        }
        _ => {
            let values = array.as_primitive::<Float64Type>().clone();
            Box::new(move |row| values.value(row).to_string())
        }
    };
    let (values, misfits) = each(array, |row| {
        parse::decimal(text(row).as_bytes(), b'.', precision, scale)
    });
    let decimals = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
    let array: ArrayRef = Arc::new(decimals.doing(|| "converting to a decimal")?);
    Ok(Converted {
        array,
        misfits,
        cut: false,
    })
}

/// Doubles that, written with as many digits as the decimals have, are those again.
pub(super) fn doubles_of_decimals(array: &ArrayRef) -> Result<Converted> {
    let texts = cast(array, &DataType::Utf8, false)?;
    let texts: &StringArray = texts.as_string();
    let (values, misfits) = each(array, |row| {
        let text = texts.value(row).as_bytes();
        parse::double(text, b'.').filter(|_| parse::is_exact_double(without_zeros(text), b'.'))
    });
    let array: ArrayRef = Arc::new(PrimitiveArray::<Float64Type>::from(values));
    Ok(Converted {
        array,
        misfits,
        cut: false,
    })
}

/// Without the zeros at the end of a fraction, which say nothing.
pub(super) fn without_zeros(text: &[u8]) -> &[u8] {
    if !text.contains(&b'.') || text.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return text;
    }
    let zeros = text.iter().rev().take_while(|byte| **byte == b'0').count();
    let text = &text[..text.len() - zeros];
    text.strip_suffix(b".").unwrap_or(text)
}
