//! Batches with the columns that a table has now: what landed when it had others, or comes with others, is arranged
//! anew, however deep. A field that is not there is null, what has become text is written as text, and no value is
//! altered: one that the column cannot hold is an error.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, MapArray, StringArray,
    StringBuilder, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use chrono_tz::Tz;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::names::snake_case;
use crate::spelling::{self, Former, Key, Spelling};
use crate::types::{counterparts, storable_type};
use crate::{Context, Error, Result};

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// The batch with the columns of `schema`, in its order, and null where the batch has none; `former` is what is known
/// of its values besides.
///
/// # Errors
/// A value that does not fit its column's type; the value itself is not in the message.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef, former: &Former) -> Result<RecordBatch> {
    let there = counterparts(schema.fields(), batch.schema_ref().fields());
    let columns = schema.fields().iter().zip(there).map(|(field, column)| match column {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some(column) => {
            let column = batch.column(column);
            let spelling = former.get(field.name()).unwrap_or(&Spelling::Canonical);
            Of { spelling }.convert(column, field.data_type()).map_err(|error| {
                Error::failed(format!("writing column {}", field.name()), error)
                    .with("from", column.data_type())
                    .with("to", field.data_type())
            })
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).doing(|| "arranging the columns of a batch")
}

/// What is known of the values of one column, or within one.
#[derive(Clone, Copy)]
struct Of<'a> {
    spelling: &'a Spelling,
}

/// Why a column cannot be converted; without any value.
type Converted = Result<ArrayRef, String>;

impl Of<'_> {
    fn convert(self, array: &ArrayRef, to: &DataType) -> Converted {
        use DataType as T;
        match (array.data_type(), to) {
            (from, to) if from == to => Ok(array.clone()),
            (T::Null, to) => Ok(new_null_array(to, array.len())),
            (_, T::Null) if array.logical_null_count() == array.len() => Ok(new_null_array(to, array.len())),
            (T::Struct(_), T::Struct(fields)) => self.structs(array.as_struct(), fields),
            (T::List(_), T::List(item)) => self.lists(array.as_list(), item),
            (T::LargeList(_) | T::ListView(_) | T::LargeListView(_) | T::FixedSizeList(..), _) => {
                // Another layout of the same.
                let item = storable_type(array.data_type());
                let list = match &item {
                    T::List(field) => {
                        let own = inner(array.data_type()).ok_or("a list of nothing")?;
                        T::List(Arc::new(field.as_ref().clone().with_data_type(own)))
                    }
                    _ => return Err(misfit()),
                };
                self.convert(&cast(array, &list)?, to)
            }
            (T::Map(..), T::Map(entries, sorted)) => self.maps(array.as_map(), entries, *sorted),
            (T::Utf8, to) if to.is_nested() => self.of_json(array.as_string(), to),
            (T::Struct(_) | T::Map(..) | T::List(_), T::Utf8) => {
                let storable = storable_type(array.data_type());
                let array = self.convert(array, &storable)?;
                self.text(&array)
            }
            (from, to) if from.is_nested() || to.is_nested() => Err(misfit()),
            (from, T::Utf8) if is_plain(from) => self.text(array),
            (T::Utf8, to) if array.null_count() == array.len() => Ok(new_null_array(to, array.len())),
            (T::Date32, T::Timestamp(..)) => {
                let zone = match self.spelling {
                    Spelling::Date(zone) => *zone,
                    _ => Tz::UTC,
                };
                let mut clock = Clock::new(zone);
                let days = array.as_any().downcast_ref::<Date32Array>().ok_or_else(misfit)?;
                let midnights = days.iter().map(|day| match day {
                    None => Ok(None),
                    Some(day) => {
                        let local = i64::from(day).checked_mul(DAY).ok_or_else(misfit)?;
                        Ok(Some(clock.utc_of_local(local)))
                    }
                });
                let midnights = midnights.collect::<Result<TimestampMicrosecondArray, String>>()?;
                cast(&(Arc::new(midnights.with_timezone("UTC")) as ArrayRef), to)
            }
            (T::Int64, T::Float64) => {
                let values = array.as_any().downcast_ref::<Int64Array>().ok_or_else(misfit)?;
                let exact = |value: i64| is_written(i128::from(value), value as f64);
                match values.iter().flatten().all(exact) {
                    true => cast(array, to),
                    false => Err(misfit()),
                }
            }
            (T::Decimal128(..), T::Float64) => decimals_as_doubles(array),
            (from, to) if storable_type(from) != *from && storable_type(from) != *to => {
                self.convert(&cast(array, &storable_type(from))?, to)
            }
            _ => cast(array, to),
        }
    }

    fn structs(self, record: &StructArray, fields: &arrow::datatypes::Fields) -> Converted {
        let columns = fields
            .iter()
            .zip(counterparts(fields, record.fields()))
            .map(|(field, column)| match column {
                None => Ok(new_null_array(field.data_type(), record.len())),
                Some(column) => self
                    .field(field.name())
                    .convert(record.column(column), field.data_type()),
            });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let record = StructArray::try_new_with_length(fields.clone(), columns, record.nulls().cloned(), record.len());
        record.map(|record| Arc::new(record) as ArrayRef).map_err(described)
    }

    fn lists(self, list: &ListArray, item: &FieldRef) -> Converted {
        let values = self.items().convert(list.values(), item.data_type())?;
        let list = ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned());
        list.map(|list| Arc::new(list) as ArrayRef).map_err(described)
    }

    fn maps(self, map: &MapArray, entries: &FieldRef, sorted: bool) -> Converted {
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(misfit());
        };
        let [key, value] = fields.as_ref() else {
            return Err(misfit());
        };
        let plain = Of {
            spelling: &Spelling::Canonical,
        };
        let columns = vec![
            plain.convert(map.keys(), key.data_type())?,
            plain.convert(map.values(), value.data_type())?,
        ];
        let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(described)?;
        let map = MapArray::try_new(
            entries.clone(),
            map.offsets().clone(),
            pairs,
            map.nulls().cloned(),
            sorted,
        );
        map.map(|map| Arc::new(map) as ArrayRef).map_err(described)
    }

    fn text(self, array: &ArrayRef) -> Converted {
        let text = spelling::text(array.as_ref(), self.spelling);
        text.map(|text| Arc::new(text) as ArrayRef)
            .map_err(|error| error.to_string())
    }

    /// JSON text that stands for objects and lists in which nothing had a value yet.
    fn of_json(self, texts: &StringArray, to: &DataType) -> Converted {
        let parsed = |row: usize| texts.is_valid(row).then(|| texts.value(row));
        let rows = 0..texts.len();
        match to {
            DataType::Struct(fields) => {
                let mut columns: Vec<_> = fields.iter().map(|_| StringBuilder::new()).collect();
                let mut validity = Vec::with_capacity(texts.len());
                for row in rows {
                    let object: Option<Pairs<'_>> = match parsed(row) {
                        Some(text) => Some(serde_json::from_str(text).map_err(|_| misfit())?),
                        None => None,
                    };
                    validity.push(object.is_some());
                    let mut by_name: HashMap<String, &RawValue> = HashMap::new();
                    for (key, value) in object.into_iter().flat_map(|pairs| pairs.0) {
                        match by_name.entry(self.name_of(&key)) {
                            Entry::Vacant(entry) => {
                                entry.insert(value);
                            }
                            // A key that is there twice, or two that are called the same here: one value has its place.
                            Entry::Occupied(_) if !has_value(value) => {}
                            Entry::Occupied(entry) if has_value(entry.get()) => return Err(misfit()),
                            Entry::Occupied(mut entry) => {
                                entry.insert(value);
                            }
                        }
                    }
                    for (field, column) in fields.iter().zip(&mut columns) {
                        append_json(column, by_name.remove(field.name()))?;
                    }
                    // What has no field has no value.
                    if by_name.into_values().any(has_value) {
                        return Err(misfit());
                    }
                }
                let columns = fields.iter().zip(&mut columns).map(|(field, column)| {
                    let texts: ArrayRef = Arc::new(column.finish());
                    self.field(field.name()).convert(&texts, field.data_type())
                });
                let columns = columns.collect::<Result<Vec<_>, _>>()?;
                let nulls = Some(NullBuffer::from(validity));
                let record = StructArray::try_new_with_length(fields.clone(), columns, nulls, texts.len());
                record.map(|record| Arc::new(record) as ArrayRef).map_err(described)
            }
            DataType::List(item) => {
                let mut items = StringBuilder::new();
                let (mut lengths, mut validity) = (Vec::new(), Vec::new());
                for row in rows {
                    let list: Option<Vec<&RawValue>> = match parsed(row) {
                        Some(text) => Some(serde_json::from_str(text).map_err(|_| misfit())?),
                        None => None,
                    };
                    validity.push(list.is_some());
                    lengths.push(list.as_ref().map_or(0, Vec::len));
                    for value in list.into_iter().flatten() {
                        append_json(&mut items, Some(value))?;
                    }
                }
                let items: ArrayRef = Arc::new(items.finish());
                let items = self.items().convert(&items, item.data_type())?;
                let offsets = OffsetBuffer::from_lengths(lengths);
                let list = ListArray::try_new(item.clone(), offsets, items, Some(NullBuffer::from(validity)));
                list.map(|list| Arc::new(list) as ArrayRef).map_err(described)
            }
            _ => Err(misfit()),
        }
    }

    /// What is known of the field of that name.
    fn field(self, name: &str) -> Self {
        let spelling = match self.spelling {
            Spelling::Object(keys) => keys.iter().find(|key| key.name == name).map(|key| &key.values),
            _ => None,
        };
        Self {
            spelling: spelling.unwrap_or(&Spelling::Canonical),
        }
    }

    fn items(self) -> Self {
        let spelling = match self.spelling {
            Spelling::List(items) => items,
            _ => &Spelling::Canonical,
        };
        Self { spelling }
    }

    /// What the lake calls the key.
    fn name_of(self, key: &str) -> String {
        let keys: &[Key] = match self.spelling {
            Spelling::Object(keys) => keys,
            _ => &[],
        };
        let known = keys.iter().find(|known| known.own == key);
        known.map_or_else(|| snake_case(key), |known| known.name.clone())
    }
}

/// The keys of a JSON object and their values, as often as they are there.
struct Pairs<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject;
        impl<'de> Visitor<'de> for OfObject {
            type Value = Pairs<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = object.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(OfObject)
    }
}

/// The value's JSON; the text itself of a string, and nothing for null.
fn append_json(column: &mut StringBuilder, value: Option<&RawValue>) -> Result<(), String> {
    match value.map(RawValue::get) {
        None | Some("null") => column.append_null(),
        Some(text) if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(|_| misfit())?;
            column.append_value(text);
        }
        Some(text) => column.append_value(text),
    }
    Ok(())
}

/// Whether there is a value anywhere within.
fn has_value(json: &RawValue) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Array(items) => items.iter().any(within),
            Value::Object(entries) => entries.values().any(within),
            _ => true,
        }
    }
    serde_json::from_str(json.get()).map_or(true, |value| within(&value))
}

fn decimals_as_doubles(array: &ArrayRef) -> Converted {
    let values = array.as_any().downcast_ref::<Decimal128Array>().ok_or_else(misfit)?;
    let write = spelling::canonical(values).map_err(|error| error.to_string())?;
    let mut digits = Vec::new();
    let doubles = (0..values.len()).map(|row| {
        if values.is_null(row) {
            return Ok(None);
        }
        digits.clear();
        write(row, &mut digits);
        let text = std::str::from_utf8(&digits).map_err(|_| misfit())?;
        let double: f64 = text.parse().map_err(|_| misfit())?;
        match is_written(values.value(row), double) {
            true => Ok(Some(double)),
            false => Err(misfit()),
        }
    });
    let doubles: Float64Array = doubles.collect::<Result<_, String>>()?;
    Ok(Arc::new(doubles))
}

/// Whether the double is written with all digits of the number, whatever its scale, that it was read from.
fn is_written(unscaled: i128, double: f64) -> bool {
    let mut unscaled = unscaled.unsigned_abs();
    // A double has any fifteen digits.
    if unscaled < 10_u128.pow(f64::DIGITS) {
        return true;
    }
    while unscaled.is_multiple_of(10) {
        unscaled /= 10;
    }
    let text = format!("{double:e}");
    let written = text.split('e').next().unwrap_or_default();
    let written = written.bytes().filter(u8::is_ascii_digit);
    written.eq(unscaled.to_string().bytes())
}

/// The types whose values [`spelling::text`] writes.
fn is_plain(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Date32 | T::Binary => true,
        T::Decimal128(_, scale) => *scale >= 0,
        other => *other == storable_type(other) && matches!(other, T::Timestamp(..)),
    }
}

/// The type of a list's items.
fn inner(list: &DataType) -> Option<DataType> {
    use DataType as T;
    match list {
        T::List(item) | T::LargeList(item) | T::ListView(item) | T::LargeListView(item) | T::FixedSizeList(item, _) => {
            Some(item.data_type().clone())
        }
        _ => None,
    }
}

/// Numbers that become wider, and what is the same in another layout.
fn cast(array: &ArrayRef, to: &DataType) -> Converted {
    let strict = CastOptions {
        safe: false,
        ..Default::default()
    };
    cast_with_options(array, to, &strict).map_err(|_| misfit())
}

fn misfit() -> String {
    "a value does not fit the column's type".to_owned()
}

fn described(error: arrow::error::ArrowError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
