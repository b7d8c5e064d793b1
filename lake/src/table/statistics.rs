//! What the log says of a file's rows, kept small: a table may have tens of thousands of files, of hundreds of columns.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue};
use serde::Deserialize;
use serde_json::Value;

use crate::table::data_file::EXACT_DIGITS;

/// The bounds of a file's columns, in the order of a schema.
#[derive(Debug)]
pub(crate) struct FileStatistics {
    columns: Box<[Column]>,
}

#[derive(Debug)]
struct Column {
    data_type: DataType,
    nulls: Option<u64>,
    min: Bound,
    max: Bound,
}

/// A minimum or maximum, whose meaning is that of its column's type.
#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Absent,
    /// Of an integer, a decimal (unscaled), a date (days), a time (microseconds).
    Integer(i64),
    Float(f64),
    Text(Box<str>),
}

impl FileStatistics {
    /// Those of the log's JSON for the columns of `schema` (Delta protocol, "Per-file Statistics"); what it does not
    /// say, or says in another way, is absent.
    pub(crate) fn parse(json: Option<&str>, schema: &Schema) -> Self {
        let json: Value = json
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let columns = schema.fields().iter().map(|field| Column {
            data_type: field.data_type().clone(),
            nulls: json["nullCount"][field.name()].as_u64(),
            min: Bound::parse(&json["minValues"][field.name()], field.data_type()),
            max: Bound::parse(&json["maxValues"][field.name()], field.data_type()),
        });
        Self {
            columns: columns.collect(),
        }
    }

    /// What is known of the column of that number.
    pub(crate) fn column(&self, column: usize) -> Option<ColumnStatistics> {
        let known = self.columns.get(column)?;
        Some(ColumnStatistics {
            null_count: known
                .nulls
                .map_or(Precision::Absent, |nulls| Precision::Exact(nulls as usize)),
            min_value: known.min.precision(&known.data_type),
            max_value: known.max.precision(&known.data_type),
            ..ColumnStatistics::new_unknown()
        })
    }

    /// What is known of all columns.
    pub(crate) fn columns(&self) -> Vec<ColumnStatistics> {
        (0..self.columns.len())
            .filter_map(|column| self.column(column))
            .collect()
    }
}

/// The number of rows in the log's JSON, which is read no further.
pub(crate) fn rows(json: &str) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rows {
        num_records: Option<u64>,
    }
    serde_json::from_str::<Rows>(json).ok()?.num_records
}

impl Bound {
    fn parse(value: &Value, data_type: &DataType) -> Self {
        let integer = |value: Option<i64>| value.map_or(Self::Absent, Self::Integer);
        match (data_type, value) {
            (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64, value) => integer(value.as_i64()),
            (DataType::Float32 | DataType::Float64, value) => value.as_f64().map_or(Self::Absent, Self::Float),
            (DataType::Decimal128(_, scale), value) => integer(unscaled(value, *scale)),
            (DataType::Utf8, Value::String(text)) => Self::Text(text.as_str().into()),
            (DataType::Date32, Value::String(text)) => {
                match ScalarValue::Utf8(Some(text.clone())).cast_to(&DataType::Date32) {
                    Ok(ScalarValue::Date32(days)) => integer(days.map(i64::from)),
                    _ => Self::Absent,
                }
            }
            (DataType::Timestamp(TimeUnit::Microsecond, _), Value::String(text)) => {
                let parsed = chrono::DateTime::parse_from_rfc3339(text).ok();
                integer(parsed.map(|time| time.timestamp_micros()))
            }
            _ => Self::Absent,
        }
    }

    /// Exact where the writers' conventions leave nothing out: text is cut off and timestamps are rounded to
    /// milliseconds by some, so theirs bound the values but need not be among them.
    fn precision(&self, data_type: &DataType) -> Precision<ScalarValue> {
        let scalar = match (self, data_type) {
            (Self::Text(text), _) => return Precision::Inexact(ScalarValue::Utf8View(Some(text.to_string()))),
            (Self::Integer(micros), DataType::Timestamp(..)) => {
                let utc = Some("UTC".into());
                return Precision::Inexact(ScalarValue::TimestampMicrosecond(Some(*micros), utc));
            }
            (Self::Integer(unscaled), DataType::Decimal128(precision, scale)) => {
                Some(ScalarValue::Decimal128(Some(i128::from(*unscaled)), *precision, *scale))
            }
            (Self::Integer(days), DataType::Date32) => {
                i32::try_from(*days).ok().map(|days| ScalarValue::Date32(Some(days)))
            }
            (Self::Integer(value), _) => ScalarValue::Int64(Some(*value)).cast_to(data_type).ok(),
            (Self::Float(value), _) => ScalarValue::Float64(Some(*value)).cast_to(data_type).ok(),
            (Self::Absent, _) => None,
        };
        scalar.map_or(Precision::Absent, Precision::Exact)
    }
}

fn unscaled(value: &Value, scale: i8) -> Option<i64> {
    let number = value.as_f64()?;
    let text = format!("{number:.*}", usize::try_from(scale).ok()?);
    let unscaled: i128 = text.replace('.', "").parse().ok()?;
    let exact = unscaled.unsigned_abs() < 10_u128.pow(EXACT_DIGITS);
    i64::try_from(unscaled).ok().filter(|_| exact)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn bounds_are_of_their_columns_type_and_exact_where_writers_are() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let utc = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        let day = |days| Precision::Exact(ScalarValue::Date32(Some(days)));
        let decimal = |value| Precision::Exact(ScalarValue::Decimal128(Some(value), 10, 2));
        let text = |text: &str| Precision::Inexact(ScalarValue::Utf8View(Some(text.to_owned())));
        let cases = [
            (DataType::Int8, "-3", Precision::Exact(ScalarValue::Int8(Some(-3)))),
            (DataType::Int8, "300", Precision::Absent),
            (
                DataType::Int64,
                "9007199254740993",
                Precision::Exact(ScalarValue::Int64(Some(9_007_199_254_740_993))),
            ),
            (DataType::Int64, "\"1\"", Precision::Absent),
            (
                DataType::Float32,
                "0.5",
                Precision::Exact(ScalarValue::Float32(Some(0.5))),
            ),
            (
                DataType::Float64,
                "2",
                Precision::Exact(ScalarValue::Float64(Some(2.0))),
            ),
            (DataType::Decimal128(10, 2), "-12.5", decimal(-1250)),
            (DataType::Decimal128(38, 2), "1e30", Precision::Absent),
            (DataType::Date32, "\"1970-01-02\"", day(1)),
            (DataType::Date32, "\"soon\"", Precision::Absent),
            (
                time.clone(),
                "\"1970-01-01T00:00:00.001Z\"",
                Precision::Inexact(utc(1000)),
            ),
            (time, "\"1970-01-01T01:00:00+01:00\"", Precision::Inexact(utc(0))),
            (DataType::Utf8, "\"é\"", text("é")),
            (DataType::Boolean, "true", Precision::Absent),
            (DataType::Int32, "null", Precision::Absent),
        ];
        for (data_type, value, expected) in cases {
            let schema = Schema::new(vec![Field::new("a.b", data_type.clone(), true)]);
            let json = format!(r#"{{"numRecords":2,"minValues":{{"a.b":{value}}},"nullCount":{{"a.b":1}}}}"#);
            let column = FileStatistics::parse(Some(&json), &schema).column(0).unwrap();
            assert_eq!(column.min_value, expected, "{data_type} {value}");
            assert_eq!(
                (column.max_value, column.null_count),
                (Precision::Absent, Precision::Exact(1))
            );
            assert_eq!(rows(&json), Some(2));
        }
        let nothing = FileStatistics::parse(Some("?"), &Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        assert_eq!(nothing.column(0).unwrap(), ColumnStatistics::new_unknown());
        assert_eq!((rows("?"), rows(r#"{"numRecords":null}"#)), (None, None));
    }
}
