//! Which Arrow types a Delta table holds, and how the others are converted.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::{Context, Error, Result};

/// The field metadata that a table keeps: text for people, and the kind of personal data.
pub const COMMENT: &str = "comment";
/// See [`COMMENT`]; a column with it gets no statistics, because minimum and maximum are values.
pub const PII: &str = "pii";

/// The schema as a Delta table holds it: UInt64 → Decimal(20,0), other unsigned → the next wider signed,
/// timestamps → microseconds UTC, Date64 → Date32, Decimal256 → Decimal128(38, s), Utf8View, LargeUtf8, Null, times,
/// durations and intervals → Utf8, dictionaries → their values; every column nullable; of the field metadata only
/// `comment` and `pii` stay (anything else makes some foreign readers misread).
pub fn storable(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(storable_field).collect::<Vec<_>>())
}

fn storable_field(field: &FieldRef) -> Field {
    let kept: HashMap<_, _> = field
        .metadata()
        .iter()
        .filter(|(key, _)| [COMMENT, PII].contains(&key.as_str()))
        .collect();
    let kept = kept
        .into_iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Field::new(field.name(), storable_type(field.data_type()), true).with_metadata(kept)
}

/// One type as a Delta table holds it; see [`storable`].
pub fn storable_type(data_type: &DataType) -> DataType {
    use DataType as T;
    let nested = |field: &FieldRef| Arc::new(storable_field(field));
    match data_type {
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Float16 => T::Float32,
        T::Timestamp(_, _) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Date64 => T::Date32,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) if *s >= 0 => T::Decimal128(*p, *s),
        T::Decimal256(_, s) if *s >= 0 => T::Decimal128(38, *s),
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s) => {
            T::Decimal128(p.saturating_add(s.unsigned_abs()).min(38), 0)
        }
        T::Utf8View | T::LargeUtf8 | T::Null | T::Time32(_) | T::Time64(_) | T::Duration(_) | T::Interval(_) => T::Utf8,
        T::BinaryView | T::LargeBinary | T::FixedSizeBinary(_) => T::Binary,
        T::Dictionary(_, values) => storable_type(values),
        T::RunEndEncoded(_, values) => storable_type(values.data_type()),
        T::List(item) | T::LargeList(item) | T::ListView(item) | T::LargeListView(item) | T::FixedSizeList(item, _) => {
            T::List(Arc::new(storable_field(item).with_name("element")))
        }
        T::Struct(fields) => T::Struct(fields.iter().map(nested).collect()),
        T::Map(entries, _) => T::Map(map_entries(entries), false),
        other => other.clone(),
    }
}

/// Map entries as Delta names them; a map's key is never null.
fn map_entries(entries: &FieldRef) -> FieldRef {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => {
            let key = storable_field(&fields[0]).with_name("key").with_nullable(false);
            let value = storable_field(&fields[1]).with_name("value");
            Arc::new(Field::new(
                "key_value",
                DataType::Struct(vec![key, value].into()),
                false,
            ))
        }
        _ => entries.clone(),
    }
}

/// The schema as sessions read it from a table that was written with `schema`: [`storable`] with Utf8View/BinaryView.
pub fn readable(schema: &Schema) -> SchemaRef {
    let fields = storable(schema)
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
            DataType::Binary => field.as_ref().clone().with_data_type(DataType::BinaryView),
            _ => field.as_ref().clone(),
        })
        .collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

/// The batch with the columns of `schema`, in its order: cast, and null where the batch has none.
///
/// # Errors
/// A value that does not fit its column's type; the value itself is not in the message.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) => conform_column(column, field),
        });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).doing(|| "arranging the columns of a batch")
}

fn conform_column(column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(column.clone());
    }
    let strict = CastOptions {
        safe: false,
        ..Default::default()
    };
    cast_with_options(column, field.data_type(), &strict).map_err(|_| {
        Error::failed(
            format!("writing column {}", field.name()),
            "a value does not fit the column's type",
        )
        .with("from", column.data_type())
        .with("to", field.data_type())
    })
}

/// The narrowest type that holds every value of both without loss; text holds everything.
pub fn widest(a: &DataType, b: &DataType) -> DataType {
    use DataType as T;
    let digits = |t: &DataType| match t {
        T::Int8 => Some((3, 0)),
        T::Int16 => Some((5, 0)),
        T::Int32 => Some((10, 0)),
        T::Int64 => Some((19, 0)),
        T::Decimal128(p, s) => Some((*p, *s)),
        _ => None,
    };
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (T::Int8 | T::Int16 | T::Int32 | T::Int64, T::Int8 | T::Int16 | T::Int32 | T::Int64) => T::Int64,
        (T::Float32 | T::Float64, T::Float32 | T::Float64) => T::Float64,
        (T::Int8 | T::Int16 | T::Int32, T::Float32 | T::Float64)
        | (T::Float32 | T::Float64, T::Int8 | T::Int16 | T::Int32) => T::Float64,
        (T::Struct(ours), T::Struct(theirs)) => T::Struct(merge_fields(ours, theirs).into()),
        (T::List(ours), T::List(theirs)) => {
            let item = widest(ours.data_type(), theirs.data_type());
            T::List(Arc::new(ours.as_ref().clone().with_data_type(item)))
        }
        (a, b) => match (digits(a), digits(b)) {
            (Some((p1, s1)), Some((p2, s2))) => {
                let scale = s1.max(s2);
                let whole = (i16::from(p1) - i16::from(s1)).max(i16::from(p2) - i16::from(s2));
                match u8::try_from(whole + i16::from(scale)) {
                    Ok(precision) if precision <= 38 => T::Decimal128(precision, scale),
                    _ => T::Utf8,
                }
            }
            _ => T::Utf8,
        },
    }
}

/// The columns of both: ours in our order, widened to hold theirs, then those that only they have. A column is personal
/// if either says so.
pub fn merge_fields(ours: &arrow::datatypes::Fields, theirs: &arrow::datatypes::Fields) -> Vec<FieldRef> {
    let mut merged: Vec<FieldRef> = ours
        .iter()
        .map(|field| match theirs.find(field.name()) {
            Some((_, other)) => {
                let mut metadata = field.metadata().clone();
                // What is known to be personal by now is so in the rows that are there, too.
                metadata.extend(other.metadata().get(PII).map(|pii| (PII.to_owned(), pii.clone())));
                let data_type = widest(field.data_type(), other.data_type());
                Arc::new(field.as_ref().clone().with_data_type(data_type).with_metadata(metadata))
            }
            None => field.clone(),
        })
        .collect();
    merged.extend(theirs.iter().filter(|field| ours.find(field.name()).is_none()).cloned());
    merged
}
