#![allow(clippy::unwrap_used)]

use arrow::array::AsArray;
use arrow::datatypes::{Field, Float64Type, Int64Type, Schema, TimeUnit};

use super::*;

fn converted(values: ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let batch = RecordBatch::try_from_iter([("v", values)]).unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new("v", to.clone(), true)]));
    conform(&batch, &schema, &Former::default()).map(|batch| batch.column(0).clone())
}

fn record(names: &[&str]) -> DataType {
    let fields = names.iter().map(|name| Field::new(*name, DataType::Int64, true));
    DataType::Struct(fields.collect())
}

#[test]
fn a_column_or_field_in_other_letters_keeps_its_values() {
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("ID", one.clone()), ("Id", one.clone()), ("x", one)]).unwrap();
    let fields = ["id", "Id", "X"].map(|name| Field::new(name, DataType::Int64, true));
    let rows = conform(&batch, &Arc::new(Schema::new(fields.to_vec())), &Former::default()).unwrap();
    assert!(rows.columns().iter().all(|column| column.null_count() == 0));
}

#[test]
fn a_day_that_is_no_time_is_an_error() {
    let to = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for (day, fits) in [
        (106_751_991, true),
        (106_751_992, false),
        (i32::MAX, false),
        (i32::MIN, false),
    ] {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(day), None]));
        assert_eq!(converted(days, &to).is_ok(), fits, "{day}");
    }
}

#[test]
fn a_decimal_that_a_double_does_not_write_is_an_error() {
    for (unscaled, fits) in [
        (110, true),
        (999_999_999_999_999, true),
        (1_234_567_890_123_456, true),
        (9_007_199_254_740_993, false),
        (-12_345_678_901_234_567_890, false),
        (-1_000_000_000_000_000_000_000, true),
    ] {
        let values = Decimal128Array::from(vec![unscaled])
            .with_precision_and_scale(38, 2)
            .unwrap();
        let doubles = converted(Arc::new(values), &DataType::Float64);
        assert_eq!(doubles.is_ok(), fits, "{unscaled}");
        if let Ok(doubles) = doubles {
            let exact = format!("{}e-2", unscaled).parse::<f64>().unwrap();
            assert_eq!(doubles.as_primitive::<Float64Type>().value(0), exact);
        }
    }
}

#[test]
fn a_whole_number_that_a_double_does_not_write_is_an_error() {
    for (number, fits) in [
        (9_007_199_254_740_992, true),
        (9_007_199_254_740_993, false),
        (123_456_789_012_345_660, true),
        (123_456_789_012_345_670, false),
        (i64::MIN, false),
    ] {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![number]));
        assert_eq!(converted(numbers, &DataType::Float64).is_ok(), fits, "{number}");
    }
}

#[test]
fn a_key_twice_loses_no_value() {
    let of = |text: &str| converted(Arc::new(StringArray::from(vec![text])), &record(&["a_b"]));
    for (text, expected) in [
        (r#"{"a_b":1}"#, Some(1)),
        (r#"{"a_b":1,"A b":null}"#, Some(1)),
        (r#"{"a_b":[],"A b":2}"#, Some(2)),
        (r#"{"a_b":null,"a_b":3}"#, Some(3)),
        (r#"{"a_b":1,"a_b":2}"#, None),
        (r#"{"a_b":1,"A b":2}"#, None),
        (r#"{"other":1}"#, None),
    ] {
        let value = of(text)
            .ok()
            .map(|rows| rows.as_struct().column(0).as_primitive::<Int64Type>().value(0));
        assert_eq!(value, expected, "{text}");
    }
}
