//! Columns of any Arrow type as the lake holds them, value by value and without loss: what a type cannot hold is said
//! instead of being rounded, cut or left out. Casts of Arrow's own round decimals, cut fractions and take numbers for
//! times; they are used where a value that comes back as it was has lost nothing.

mod numbers;
mod times;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use cordada_core::spelling::{self, Spelling};
use cordada_core::types::storable_type;
use cordada_core::{Context, Error, Result};

use self::numbers::{decimals_of_floats, doubles_of_decimals, there_and_back, without_zeros};
use self::times::{dates, timestamps};
use super::build::{self, Notation, Values, is_readable};
use super::evidence::timestamp;
use super::parse;
use super::zones::Zone;

/// How a column is converted.
#[derive(Debug, Clone, Copy)]
pub struct Conversion<'z> {
    /// The zone of times that carry none.
    pub zone: Zone<'z>,
    /// Whether nanoseconds may be cut to the microseconds of the lake, which is said then; else such a value does not
    /// fit.
    pub cuts: bool,
}

/// A column that has been converted.
#[derive(Debug)]
pub struct Converted {
    /// The values; null where one does not fit.
    pub array: ArrayRef,
    /// The rows with a value that does not fit, in order.
    pub misfits: Vec<usize>,
    /// Whether a value had nanoseconds, which were cut.
    pub cut: bool,
}

/// What is said of a row whose value in `column` does not fit `data_type`.
pub fn reason(column: &str, data_type: &DataType) -> String {
    format!("{column}: a value does not fit the type {}", name_of(data_type))
}

/// The type as `type:` says it.
pub fn name_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "text".to_owned(),
        DataType::Int64 => "integer".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other if *other == timestamp() => "timestamp".to_owned(),
        other => other.to_string(),
    }
}

/// The values of `array` as `target`, each exactly or not at all.
///
/// # Errors
/// None that a value could cause, except more than 2 GiB of text or items in one batch.
pub fn convert(array: &ArrayRef, target: &DataType, conversion: Conversion<'_>) -> Result<Converted> {
    if array.data_type() == target {
        return Ok(whole(array.clone()));
    }
    let array = &plain(array)?;
    match (array.data_type(), target) {
        (own, target) if own == target => Ok(whole(array.clone())),
        (DataType::Null, target) => Ok(whole(new_null_array(target, array.len()))),
        (DataType::Struct(_), DataType::Struct(_)) => record_of(array.as_struct(), target, conversion),
        (DataType::List(_), DataType::List(_)) => list_of(array.as_list(), target, conversion),
        (DataType::Map(..), DataType::Map(..)) => map_of(array.as_map(), target, conversion),
        (DataType::Binary, DataType::Utf8) => Ok(text_of_bytes(array)),
        // What is declared to be text is written in full, `2.50`.
        (own, DataType::Utf8) if own.is_nested() || (conversion.cuts && !is_text(own)) => text(array, conversion),
        (DataType::Utf8, DataType::Binary) => exact_cast(array, target),
        (DataType::Utf8, target) if !target.is_nested() => {
            let notation = Notation {
                point: b'.',
                zone: conversion.zone.tz,
            };
            read(array.as_string(), target, notation, |text| fits(text, target, notation))
        }
        (own, DataType::Utf8) if own.is_primitive() || *own == DataType::Boolean => exact_cast(array, target),
        (DataType::Float32 | DataType::Float64, DataType::Decimal128(precision, scale)) => {
            decimals_of_floats(array, *precision, *scale)
        }
        (own, DataType::Float64) if is_decimal(own) => doubles_of_decimals(array),
        (own, target) if is_number(own) && is_number(target) => there_and_back(array, target),
        (DataType::Timestamp(..) | DataType::Date32 | DataType::Date64, DataType::Date32) => dates(array),
        (DataType::Timestamp(..) | DataType::Date32 | DataType::Date64, target) if *target == timestamp() => {
            timestamps(array, conversion)
        }
        _ => Ok(none_fits(array, target)),
    }
}

fn whole(array: ArrayRef) -> Converted {
    Converted {
        array,
        misfits: Vec::new(),
        cut: false,
    }
}

fn none_fits(array: &ArrayRef, target: &DataType) -> Converted {
    Converted {
        array: new_null_array(target, array.len()),
        misfits: (0..array.len()).filter(|row| array.is_valid(*row)).collect(),
        cut: false,
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating() || is_decimal(data_type) || *data_type == DataType::Boolean
}

fn cast(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let options = CastOptions {
        safe,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options).doing(|| format!("converting {} to {to}", array.data_type()))
}

/// A cast that every value survives.
fn exact_cast(array: &ArrayRef, to: &DataType) -> Result<Converted> {
    cast(array, to, false).map(whole)
}

/// The same values without an encoding of their own: no dictionaries, runs, views or long offsets.
fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    use DataType as T;
    let to = match array.data_type() {
        T::Dictionary(_, values) => values.as_ref().clone(),
        T::RunEndEncoded(_, values) => values.data_type().clone(),
        T::Utf8View | T::LargeUtf8 => T::Utf8,
        T::BinaryView | T::LargeBinary | T::FixedSizeBinary(_) => T::Binary,
        T::Float16 => T::Float32,
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => T::Decimal128(*precision, *scale),
        T::LargeList(item) | T::ListView(item) | T::LargeListView(item) | T::FixedSizeList(item, _) => {
            T::List(item.clone())
        }
        _ => return Ok(array.clone()),
    };
    plain(&cast(array, &to, false)?)
}

/// What `value` makes of each row that is not null, and the rows of which it makes nothing.
fn each<T>(array: &ArrayRef, mut value: impl FnMut(usize) -> Option<T>) -> (Vec<Option<T>>, Vec<usize>) {
    let mut misfits = Vec::new();
    let values = (0..array.len()).map(|row| {
        let value = array.is_valid(row).then(|| value(row))?;
        if value.is_none() {
            misfits.push(row);
        }
        value
    });
    (values.collect(), misfits)
}

fn text_of_bytes(array: &ArrayRef) -> Converted {
    let bytes = array.as_binary::<i32>();
    let (texts, misfits) = each(array, |row| std::str::from_utf8(bytes.value(row)).ok());
    Converted {
        array: Arc::new(StringArray::from(texts)),
        misfits,
        cut: false,
    }
}

/// Whether the lake holds the type as text.
fn is_text(data_type: &DataType) -> bool {
    storable_type(data_type) == DataType::Utf8
}

/// As what landed before becomes text.
fn text(array: &ArrayRef, conversion: Conversion<'_>) -> Result<Converted> {
    let stored = convert(array, &storable_type(array.data_type()), conversion)?;
    let texts = spelling::text(&stored.array, &Spelling::Canonical)?;
    Ok(Converted {
        array: Arc::new(texts),
        ..stored
    })
}

/// Whether a text is a value of that type, as in a file; a double has to have all of its digits.
fn fits(text: &[u8], target: &DataType, notation: Notation) -> bool {
    let is_exact = || match parse::double(text, notation.point) {
        Some(value) if value.is_finite() => parse::is_exact_double(without_zeros(text), notation.point),
        // `1e400` is not infinity.
        _ => !text.iter().any(u8::is_ascii_digit),
    };
    is_readable(text, target, notation) && (*target != DataType::Float64 || is_exact())
}

/// Texts that are read where they fit.
///
/// # Errors
/// As [`convert`]; a text that fits and cannot be read.
pub fn read(
    texts: &StringArray,
    target: &DataType,
    notation: Notation,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<Converted> {
    let fits = BooleanBuffer::from_iter(texts.iter().map(|text| text.is_none_or(|text| fits(text.as_bytes()))));
    let misfits = (0..texts.len()).filter(|row| !fits.value(*row)).collect();
    let array = build::column(&Texts { texts, fits }, target, notation)?;
    Ok(Converted {
        array,
        misfits,
        cut: false,
    })
}

/// Texts, null where they do not fit.
struct Texts<'a> {
    texts: &'a StringArray,
    fits: BooleanBuffer,
}

impl Values for Texts<'_> {
    fn rows(&self) -> usize {
        self.texts.len()
    }

    fn get<'a>(&'a self, row: usize, _scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        (self.texts.is_valid(row) && self.fits.value(row)).then(|| self.texts.value(row).as_bytes())
    }
}

/// Rows of misfits within values that are not there are none.
fn only_valid(rows: &mut Vec<usize>, nulls: Option<&NullBuffer>) {
    if let Some(nulls) = nulls {
        rows.retain(|row| nulls.is_valid(*row));
    }
}

fn record_of(array: &StructArray, target: &DataType, conversion: Conversion<'_>) -> Result<Converted> {
    let DataType::Struct(fields) = target else {
        return Err(Error::failed("converting a record", "the type is not one"));
    };
    let (mut columns, mut misfits, mut cut) = (Vec::with_capacity(fields.len()), Vec::new(), false);
    for field in fields {
        let Some(column) = array.column_by_name(field.name()) else {
            columns.push(new_null_array(field.data_type(), array.len()));
            continue;
        };
        let within = Conversion {
            zone: conversion.zone.field(field.name()),
            ..conversion
        };
        let converted = convert(column, field.data_type(), within)?;
        columns.push(converted.array);
        misfits.extend(converted.misfits);
        cut |= converted.cut;
    }
    only_valid(&mut misfits, array.nulls());
    misfits.sort_unstable();
    misfits.dedup();
    let record = StructArray::try_new_with_length(fields.clone(), columns, array.nulls().cloned(), array.len());
    let array: ArrayRef = Arc::new(record.doing(|| "converting a record")?);
    Ok(Converted { array, misfits, cut })
}

/// Items, of which row `r` has those from `ends[r]` to `ends[r + 1]`.
fn items(values: &ArrayRef, offsets: &OffsetBuffer<i32>) -> (ArrayRef, OffsetBuffer<i32>) {
    let first = offsets.first().copied().unwrap_or_default();
    let last = offsets.last().copied().unwrap_or_default();
    let ends: ScalarBuffer<i32> = offsets.iter().map(|end| end - first).collect();
    let values = values.slice(first as usize, (last - first) as usize);
    (values, OffsetBuffer::new(ends))
}

/// The rows that those items are in.
fn rows_of(items: &[usize], ends: &OffsetBuffer<i32>) -> Vec<usize> {
    let row = |item: &usize| ends.partition_point(|end| *end as usize <= *item).saturating_sub(1);
    let mut rows: Vec<_> = items.iter().map(row).collect();
    rows.dedup();
    rows
}

fn list_of(list: &ListArray, target: &DataType, conversion: Conversion<'_>) -> Result<Converted> {
    let DataType::List(item) = target else {
        return Err(Error::failed("converting a list", "the type is not one"));
    };
    let (values, ends) = items(list.values(), list.offsets());
    let converted = convert(&values, item.data_type(), conversion)?;
    let mut misfits = rows_of(&converted.misfits, &ends);
    only_valid(&mut misfits, list.nulls());
    let list = ListArray::try_new(item.clone(), ends, converted.array, list.nulls().cloned());
    Ok(Converted {
        array: Arc::new(list.doing(|| "converting a list")?),
        misfits,
        cut: converted.cut,
    })
}

/// A key that does not fit is an error: a map cannot be without one.
fn map_of(map: &MapArray, target: &DataType, conversion: Conversion<'_>) -> Result<Converted> {
    let doing = || "converting a map";
    let (DataType::Map(entries, ordered), Some(fields)) = (target, entries_of(target)) else {
        return Err(Error::failed(doing(), "the type is not one"));
    };
    let (keys, ends) = items(map.keys(), map.offsets());
    let (values, _) = items(map.values(), map.offsets());
    let keys = convert(&keys, fields[0].data_type(), conversion)?;
    if !keys.misfits.is_empty() {
        return Err(Error::failed(doing(), reason("a key", fields[0].data_type())));
    }
    let values = convert(&values, fields[1].data_type(), conversion)?;
    let mut misfits = rows_of(&values.misfits, &ends);
    only_valid(&mut misfits, map.nulls());
    let pairs = StructArray::try_new(fields.clone(), vec![keys.array, values.array], None).doing(doing)?;
    let map = MapArray::try_new(entries.clone(), ends, pairs, map.nulls().cloned(), *ordered).doing(doing)?;
    Ok(Converted {
        array: Arc::new(map),
        misfits,
        cut: keys.cut || values.cut,
    })
}

fn entries_of(map: &DataType) -> Option<&arrow::datatypes::Fields> {
    match map {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
