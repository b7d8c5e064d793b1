//! Casts of columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, IntervalUnit, TimeUnit};
use datafusion::common::{Result, exec_datafusion_err, exec_err, internal_err};

use super::from_text::of_text;
use super::{
    OnFailure, differs, is_bytes, is_decimal, is_list, is_text, item, lists, numbers, records, text, type_name,
};
use crate::query::functions::dates::values::{Moments, Span, Spans, collect, collect_spans};

/// The array in the type.
///
/// # Errors
/// Execution: a value has no equal there, unless that is to give null.
pub(in crate::query) fn cast_array(array: &ArrayRef, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef> {
    use DataType as T;
    let from = array.data_type();
    if !differs(from, to) {
        return by_engine(array, to, on_failure);
    }
    let made: ArrayRef = if is_text(to) {
        to_text(array)?
    } else if is_text(from) {
        let texts = cast(array, &T::Utf8)?;
        of_text(texts.as_string(), to, on_failure)?
    } else if let Some(item) = item(to) {
        lists::of_items(array, item, on_failure)?
    } else if let (T::Float64, T::Float32) = (from, to) {
        narrow(array, on_failure)?
    } else if from.is_floating() && is_decimal(to) {
        let rows: Box<dyn Iterator<Item = Option<String>>> = match from {
            T::Float32 => {
                let array = array.as_primitive::<Float32Type>();
                Box::new(array.iter().map(|value| value.map(|value| format!("{value:.5e}"))))
            }
            _ => {
                let array = cast(array, &T::Float64)?;
                let values: Vec<_> = array.as_primitive::<Float64Type>().iter().collect();
                Box::new(
                    values
                        .into_iter()
                        .map(|value| value.map(|value| format!("{value:.14e}"))),
                )
            }
        };
        decimals(rows, to, on_failure)?
    } else if from.is_floating() {
        let array = cast(array, &T::Float64)?;
        let values = array.as_primitive::<Float64Type>().iter();
        integers(values.map(|value| value.map(numbers::of_float)), to, on_failure)?
    } else if let (T::Decimal128(_, scale), true) = (from, to.is_floating()) {
        let values = array.as_primitive::<Decimal128Type>();
        let doubles: Float64Array = values.unary(|value| numbers::double(value, *scale));
        match to {
            T::Float32 => narrow(&(Arc::new(doubles) as ArrayRef), on_failure)?,
            _ => Arc::new(doubles),
        }
    } else if is_decimal(from) {
        let scale = match from {
            T::Decimal32(_, scale) | T::Decimal64(_, scale) | T::Decimal128(_, scale) | T::Decimal256(_, scale) => {
                *scale
            }
            _ => 0,
        };
        let array = cast(array, &T::Decimal128(38, scale))?;
        let values = array.as_primitive::<Decimal128Type>().iter();
        integers(
            values.map(|value| value.map(|value| numbers::of_decimal(value, scale))),
            to,
            on_failure,
        )?
    } else {
        intervals_and_durations(array, to)?
    };
    by_engine(&made, to, on_failure)
}

/// The engine's own cast, into the other representations of what was made here.
fn by_engine(array: &ArrayRef, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let options = CastOptions {
        safe: on_failure == OnFailure::Null,
        ..CastOptions::default()
    };
    Ok(cast_with_options(array, to, &options)?)
}

/// Doubles as floats of 32 bits, if they are in their range.
fn narrow(array: &ArrayRef, on_failure: OnFailure) -> Result<ArrayRef> {
    let rows = array
        .as_primitive::<Float64Type>()
        .iter()
        .map(|value| match value.map(|value| (value, value as f32)) {
            Some((value, narrow)) if narrow.is_infinite() && value.is_finite() || narrow == 0.0 && value != 0.0 => {
                misfit(
                    on_failure,
                    &DataType::Float32,
                    "the number is out of range for type real",
                )
            }
            other => Ok(other.map(|(_, narrow)| narrow)),
        });
    Ok(Arc::new(rows.collect::<Result<Float32Array>>()?))
}

fn intervals_and_durations(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match to {
        DataType::Interval(_) => {
            let array = cast(array, &DataType::Duration(TimeUnit::Microsecond))?;
            let spans = Spans::of(&array)?;
            collect_spans((0..array.len()).map(|row| Ok(spans.get(row))))
        }
        _ => {
            let array = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let spans = Spans::of(&array)?;
            let micros =
                |span: Span| i64::try_from(span.total()).map_err(|_| exec_datafusion_err!("interval out of range"));
            let rows = (0..array.len()).map(|row| spans.get(row).map(micros).transpose());
            collect(&DataType::Duration(TimeUnit::Microsecond), rows)
        }
    }
}

fn to_text(array: &ArrayRef) -> Result<ArrayRef> {
    use DataType as T;
    let texts: StringArray = match array.data_type() {
        T::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .map(|value| value.map(text::float32))
            .collect(),
        T::Float16 | T::Float64 => {
            let array = cast(array, &T::Float64)?;
            array
                .as_primitive::<Float64Type>()
                .iter()
                .map(|value| value.map(text::float64))
                .collect()
        }
        T::Date32 => array
            .as_primitive::<Date32Type>()
            .iter()
            .map(|days| days.map(|days| text::date(days.into())))
            .collect(),
        T::Date64 => return to_text(&cast(array, &T::Date32)?),
        T::Time32(_) | T::Time64(_) => {
            let array = cast(array, &T::Time64(TimeUnit::Nanosecond))?;
            let moments = Moments::of(&array)?;
            let rows = moments.locals().map(|local| Ok(local?.map(text::time)));
            rows.collect::<Result<_>>()?
        }
        T::Timestamp(_, zone) => {
            let array = cast(array, &T::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let moments = Moments::of(&array)?;
            let zone = zone.as_ref().map(|_| moments.zone());
            let rows = moments
                .locals()
                .map(|local| local?.map(|local| text::moment(local, zone)).transpose());
            rows.collect::<Result<_>>()?
        }
        T::Interval(_) | T::Duration(_) => {
            let own = match array.data_type() {
                T::Interval(_) => T::Interval(IntervalUnit::MonthDayNano),
                _ => T::Duration(TimeUnit::Microsecond),
            };
            let array = cast(array, &own)?;
            let spans = Spans::of(&array)?;
            (0..array.len()).map(|row| spans.get(row).map(text::interval)).collect()
        }
        bytes if is_bytes(bytes) => {
            let array = cast(array, &T::Binary)?;
            let rows = array.as_binary::<i32>().iter();
            rows.map(|bytes| bytes.map(text::bytes)).collect()
        }
        list if is_list(list) => lists::to_text(array)?,
        T::Struct(_) => records::to_text(array)?,
        other => return internal_err!("{other} has its text from the engine"),
    };
    Ok(Arc::new(texts))
}

/// A row that has no equal in the type.
pub(super) fn misfit<T>(on_failure: OnFailure, to: &DataType, why: &str) -> Result<Option<T>> {
    match on_failure {
        OnFailure::Null => Ok(None),
        // The text itself may be personal.
        OnFailure::Error => exec_err!("cannot cast to {}: {why}", type_name(to)),
    }
}

/// Decimals of texts, in the scale of the type.
pub(super) fn decimals(
    texts: impl Iterator<Item = Option<String>>,
    to: &DataType,
    on_failure: OnFailure,
) -> Result<ArrayRef> {
    use DataType as T;
    let (precision, scale) = match to {
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => (*precision, *scale),
        other => return internal_err!("{other} is not a decimal"),
    };
    if precision > 38 {
        let texts: StringArray = texts.collect();
        let texts: ArrayRef = Arc::new(texts);
        return by_engine(&texts, to, on_failure);
    }
    let limit = 10_i128.pow(precision.into());
    let rows = texts.map(|text| match text.as_deref().map(|text| numbers::decimal(text, scale)) {
        None => Ok(None),
        Some(numbers::Decimal::Is(value)) if value.abs() < limit => Ok(Some(value)),
        Some(numbers::Decimal::Is(_) | numbers::Decimal::TooLarge) => {
            misfit(on_failure, to, "numeric field overflow: the number is out of range")
        }
        Some(numbers::Decimal::IsNone) => misfit(on_failure, to, "invalid input syntax for type numeric"),
    });
    let array = rows.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(array.with_precision_and_scale(precision, scale)?))
}

/// Whole numbers, if they are in the range of the type.
pub(super) fn integers(
    rows: impl Iterator<Item = Option<numbers::Integer>>,
    to: &DataType,
    on_failure: OnFailure,
) -> Result<ArrayRef> {
    use DataType as T;
    let (least, greatest): (i128, i128) = match to {
        T::Int8 => (i8::MIN.into(), i8::MAX.into()),
        T::Int16 => (i16::MIN.into(), i16::MAX.into()),
        T::Int32 => (i32::MIN.into(), i32::MAX.into()),
        T::UInt8 => (0, u8::MAX.into()),
        T::UInt16 => (0, u16::MAX.into()),
        T::UInt32 => (0, u32::MAX.into()),
        T::UInt64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    let rows = rows.map(|row| match row {
        None => Ok(None),
        Some(numbers::Integer::Is(value)) if (least..=greatest).contains(&value) => Ok(Some(value)),
        Some(numbers::Integer::Is(_) | numbers::Integer::TooLarge) => misfit(
            on_failure,
            to,
            &format!("the number is out of range for type {}", type_name(to)),
        ),
        Some(numbers::Integer::IsNone) => misfit(
            on_failure,
            to,
            &format!("invalid input syntax for type {}", type_name(to)),
        ),
    });
    if *to == T::UInt64 {
        let unsigned = rows.map(|row| Ok(row?.and_then(|value| u64::try_from(value).ok())));
        return Ok(Arc::new(unsigned.collect::<Result<UInt64Array>>()?));
    }
    let signed = rows.map(|row| Ok(row?.and_then(|value| i64::try_from(value).ok())));
    Ok(Arc::new(signed.collect::<Result<Int64Array>>()?))
}
