//! Values that clients send, in the types that the engine computes with.
//!
//! Drivers have types of their own for the same values: unions of all that a parameter may be, dictionaries, times in
//! milliseconds, texts of 64 bits. A statement must mean the same whichever of them its values come in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UnionArray, new_empty_array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use arrow::error::ArrowError;
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;

/// The batch with columns of the engine's types, all of which may be null.
///
/// # Errors
/// A value that its column's new type does not hold.
pub(crate) fn plain(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let columns = batch
        .columns()
        .iter()
        .map(plain_column)
        .collect::<Result<Vec<_>, _>>()?;
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)
}

fn plain_column(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Union(..) => unwrapped(column.as_union()),
        data_type => match plain_type(data_type) {
            Some(plain) => cast(column, &plain),
            None => Ok(column.clone()),
        },
    }
}

/// The engine's type for the same values, if it is another one.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Dictionary(_, values) => plain_type(values).unwrap_or_else(|| values.as_ref().clone()),
        T::RunEndEncoded(_, values) => {
            let values = values.data_type();
            plain_type(values).unwrap_or_else(|| values.clone())
        }
        T::LargeUtf8 => T::Utf8,
        T::LargeBinary | T::FixedSizeBinary(_) => T::Binary,
        T::Float16 => T::Float32,
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => T::Decimal128(*precision, *scale),
        T::Date64 => T::Date32,
        T::Time32(_) | T::Time64(TimeUnit::Microsecond) => T::Time64(TimeUnit::Nanosecond),
        // What is finer than microseconds stays so: it would be cut.
        T::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            T::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| Arc::from("UTC")))
        }
        T::Timestamp(unit, Some(zone)) if &**zone != "UTC" => T::Timestamp(*unit, Some(Arc::from("UTC"))),
        T::Duration(_) | T::Interval(IntervalUnit::DayTime | IntervalUnit::YearMonth) => {
            T::Interval(IntervalUnit::MonthDayNano)
        }
        _ => return None,
    })
}

/// The values in the union, in the one type that holds all of them: text, if there is no other.
fn unwrapped(union: &UnionArray) -> Result<ArrayRef, ArrowError> {
    let values = (0..union.len()).map(|row| plain_column(&union.value(row)));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    let is_null = |value: &ArrayRef| value.logical_null_count() > 0;
    let mut types: Vec<DataType> = Vec::new();
    for value in values.iter().filter(|value| !is_null(value)) {
        if !types.contains(value.data_type()) {
            types.push(value.data_type().clone());
        }
    }
    let data_type = match types.as_slice() {
        [] => DataType::Null,
        [one] => one.clone(),
        several if several.iter().any(DataType::is_string) => DataType::Utf8,
        several => type_union_resolution(several).unwrap_or(DataType::Utf8),
    };
    let values = values.iter().map(|value| match is_null(value) {
        true => Ok(new_null_array(&data_type, 1)),
        false => cast(value, &data_type),
    });
    let values = values.collect::<Result<Vec<_>, _>>()?;
    let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    match values.is_empty() {
        true => Ok(new_empty_array(&data_type)),
        false => concat(&values),
    }
}

fn cast(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..Default::default()
    };
    cast_with_options(values, to, &options)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{
        DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray, Time32MillisecondArray,
        TimestampMillisecondArray,
    };
    use arrow::buffer::ScalarBuffer;
    use arrow::datatypes::{Int32Type, TimestampMicrosecondType, UnionFields};

    use super::*;

    fn plain_of(column: impl Array + 'static) -> ArrayRef {
        let batch = RecordBatch::try_from_iter([("a", Arc::new(column) as ArrayRef)]).unwrap();
        plain(&batch).unwrap().column(0).clone()
    }

    /// A union of numbers, texts and fractions; each row is of the arm that `arms` says, at that place in it.
    fn union(arms: Vec<(i8, i32)>, dense: bool) -> UnionArray {
        let fields = UnionFields::try_new(
            vec![0, 1, 2],
            vec![
                Field::new("number", DataType::Int64, true),
                Field::new("text", DataType::Utf8, true),
                Field::new("fraction", DataType::Float64, true),
            ],
        );
        let rows = arms.len();
        let children: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from((0..rows as i64).collect::<Vec<_>>())),
            Arc::new(
                (0..rows)
                    .map(|n| (n != 1).then(|| format!("t{n}")))
                    .collect::<StringArray>(),
            ),
            Arc::new(Float64Array::from_iter_values((0..rows).map(|n| n as f64 + 0.5))),
        ];
        let (ids, offsets): (Vec<_>, Vec<_>) = arms.into_iter().unzip();
        let offsets = dense.then(|| ScalarBuffer::from(offsets));
        UnionArray::try_new(fields.unwrap(), ScalarBuffer::from(ids), offsets, children).unwrap()
    }

    #[test]
    fn unions_are_unwrapped_into_the_type_that_their_values_have() {
        let numbers = plain_of(union(vec![(0, 2), (0, 0), (0, 1)], true));
        assert_eq!(&*numbers, &Int64Array::from(vec![2, 0, 1]) as &dyn Array);
        let with_null = plain_of(union(vec![(1, 1), (0, 1)], true));
        assert_eq!(&*with_null, &Int64Array::from(vec![None, Some(1)]) as &dyn Array);
        let fractions = plain_of(union(vec![(0, 1), (2, 0)], true));
        assert_eq!(&*fractions, &Float64Array::from(vec![1.0, 0.5]) as &dyn Array);
        let texts = plain_of(union(vec![(0, 1), (1, 0)], true));
        assert_eq!(&*texts, &StringArray::from(vec!["1", "t0"]) as &dyn Array);
        // In a sparse union every row has its place in each arm.
        let sparse = plain_of(union(vec![(0, 0), (2, 0)], false));
        assert_eq!(&*sparse, &Float64Array::from(vec![0.0, 1.5]) as &dyn Array);
        assert_eq!(plain_of(union(vec![(1, 1), (1, 1)], true)).data_type(), &DataType::Null);
        assert_eq!(plain_of(union(vec![], true)).len(), 0);
    }

    #[test]
    fn the_same_value_is_the_same_in_every_type() {
        let times = TimestampMillisecondArray::from(vec![Some(1_709_200_800_000), None]);
        let plain = plain_of(times.clone().with_timezone("Europe/Madrid"));
        let utc: Arc<str> = Arc::from("UTC");
        assert_eq!(
            plain.data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, Some(utc))
        );
        assert_eq!(
            plain.as_primitive::<TimestampMicrosecondType>().value(0),
            1_709_200_800_000_000
        );
        assert_eq!(
            plain_of(times).data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, None)
        );
        let time = plain_of(Time32MillisecondArray::from(vec![36_000_000]));
        assert_eq!(time.data_type(), &DataType::Time64(TimeUnit::Nanosecond));
        let words = plain_of(["x", "y"].into_iter().collect::<DictionaryArray<Int32Type>>());
        assert_eq!(&*words, &StringArray::from(vec!["x", "y"]) as &dyn Array);
        assert_eq!(plain_of(Int32Array::from(vec![1])).data_type(), &DataType::Int32);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let far = TimestampMillisecondArray::from(vec![i64::MAX]);
        let batch = RecordBatch::try_from_iter([("a", Arc::new(far) as ArrayRef)]).unwrap();
        assert!(super::plain(&batch).is_err());
    }
}
