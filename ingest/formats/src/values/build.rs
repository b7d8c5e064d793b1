//! Columns from text values.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, NullBufferBuilder, PrimitiveArray, StringArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use chrono_tz::Tz;
use cordada_core::{Context, Error, Result};

use super::evidence::timestamp;
use super::parse;
use super::time::{self, Clock, Time};

/// The values of one column, as text.
pub trait Values {
    /// How many there are.
    fn rows(&self) -> usize;

    /// The value of a row, `None` if it is null; `scratch` holds it if it had to be unescaped.
    fn get<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]>;
}

/// How a source writes its values.
#[derive(Debug, Clone, Copy)]
pub struct Notation {
    /// The decimal point.
    pub point: u8,
    /// The zone of times that carry none.
    pub zone: Tz,
}

/// Whether `value` can be read as `data_type`.
pub fn is_readable(value: &[u8], data_type: &DataType, notation: Notation) -> bool {
    match data_type {
        DataType::Utf8 => true,
        DataType::Boolean => truth(value).is_some(),
        DataType::Int64 => parse::integer(value).is_some(),
        DataType::Float64 => parse::double(value, notation.point).is_some(),
        DataType::Decimal128(precision, scale) => parse::decimal(value, notation.point, *precision, *scale).is_some(),
        DataType::Date32 => matches!(time::parse(value), Some(Time::Date(_))),
        other => *other == timestamp() && time::parse(value).is_some(),
    }
}

/// The column of `data_type`: the types of [`super::evidence`], and the narrower numbers that a table may have.
///
/// # Errors
/// A value that is not of the type; which one stays out of the message.
pub fn column(values: &impl Values, data_type: &DataType, notation: Notation) -> Result<ArrayRef> {
    let point = notation.point;
    match data_type {
        DataType::Utf8 => text(values),
        DataType::Boolean => booleans(values),
        DataType::Int8 => primitive::<Int8Type>(values, data_type, |v| parse::integer(v)?.try_into().ok()),
        DataType::Int16 => primitive::<Int16Type>(values, data_type, |v| parse::integer(v)?.try_into().ok()),
        DataType::Int32 => primitive::<Int32Type>(values, data_type, |v| parse::integer(v)?.try_into().ok()),
        DataType::Int64 => primitive::<Int64Type>(values, data_type, parse::integer),
        DataType::Float32 => primitive::<Float32Type>(values, data_type, |v| Some(parse::double(v, point)? as f32)),
        DataType::Float64 => primitive::<Float64Type>(values, data_type, |v| parse::double(v, point)),
        DataType::Decimal128(precision, scale) => {
            primitive::<Decimal128Type>(values, data_type, |v| parse::decimal(v, point, *precision, *scale))
        }
        DataType::Date32 => primitive::<Date32Type>(values, data_type, |v| match time::parse(v)? {
            Time::Date(days) => Some(days),
            _ => None,
        }),
        other if *other == timestamp() => {
            let mut clock = Clock::new(notation.zone);
            primitive::<TimestampMicrosecondType>(values, data_type, |v| Some(time::parse(v)?.utc(&mut clock)))
        }
        other => {
            let mut scratch = Vec::new();
            match (0..values.rows()).any(|row| values.get(row, &mut scratch).is_some()) {
                false => Ok(new_null_array(other, values.rows())),
                true => Err(misfit(other)),
            }
        }
    }
}

fn truth(value: &[u8]) -> Option<bool> {
    match value {
        b"1" => Some(true),
        b"0" => Some(false),
        word => parse::boolean(word),
    }
}

fn misfit(data_type: &DataType) -> Error {
    Error::failed("reading a column", "a value is not of the column's type").with("type", data_type)
}

fn primitive<T: ArrowPrimitiveType>(
    values: &impl Values,
    data_type: &DataType,
    mut read: impl FnMut(&[u8]) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let mut natives = Vec::with_capacity(values.rows());
    let mut validity = NullBufferBuilder::new(values.rows());
    let mut scratch = Vec::new();
    for row in 0..values.rows() {
        match values.get(row, &mut scratch) {
            Some(value) => {
                natives.push(read(value).ok_or_else(|| misfit(data_type))?);
                validity.append_non_null();
            }
            None => {
                natives.push(T::Native::default());
                validity.append_null();
            }
        }
    }
    let array = PrimitiveArray::<T>::new(ScalarBuffer::from(natives), validity.finish());
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

fn booleans(values: &impl Values) -> Result<ArrayRef> {
    let mut bits = Vec::with_capacity(values.rows());
    let mut validity = NullBufferBuilder::new(values.rows());
    let mut scratch = Vec::new();
    for row in 0..values.rows() {
        let value = values.get(row, &mut scratch);
        validity.append(value.is_some());
        bits.push(match value {
            Some(value) => truth(value).ok_or_else(|| misfit(&DataType::Boolean))?,
            None => false,
        });
    }
    Ok(Arc::new(BooleanArray::new(
        BooleanBuffer::from(bits),
        validity.finish(),
    )))
}

fn text(values: &impl Values) -> Result<ArrayRef> {
    let mut bytes = Vec::with_capacity(values.rows() * 8);
    let mut offsets = Vec::with_capacity(values.rows() + 1);
    let mut validity = NullBufferBuilder::new(values.rows());
    let mut scratch = Vec::new();
    offsets.push(0i32);
    for row in 0..values.rows() {
        let value = values.get(row, &mut scratch);
        validity.append(value.is_some());
        bytes.extend_from_slice(value.unwrap_or_default());
        offsets.push(i32::try_from(bytes.len()).map_err(|_| too_long())?);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let array = StringArray::try_new(offsets, Buffer::from_vec(bytes), validity.finish());
    Ok(Arc::new(array.doing(|| "reading a column of text")?))
}

fn too_long() -> Error {
    Error::failed("reading a column of text", "one batch holds more than 2 GiB of it")
}
