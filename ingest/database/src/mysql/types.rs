//! MySQL's types: which Arrow type each lands as, and how its values are read.
//! Source: MySQL's manual, "Data Types" and "Column Definition Protocol".

use arrow::datatypes::{DataType, Field};
use chrono::NaiveDate;
use chrono_tz::Tz;
use cordada_ingest_formats::values::evidence::timestamp;
use cordada_ingest_formats::values::time::Clock;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value};

use crate::row_builder::{BadValue, Scalar};
use crate::value_error::{ValueError, shown};

/// The character set that means bytes.
const BINARY: u16 = 63;

/// A column as it is read.
#[derive(Debug, Clone)]
pub(super) struct MysqlColumn {
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) comparison: Comparison,
    conversion: Conversion,
    /// Whether the server is to make text of it.
    cast: bool,
    /// Whether it is [called a truth](MysqlColumn::is_truth) and nothing says whether it is one.
    pub(super) is_undecided: bool,
}

/// How values are compared with a bound that was kept as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// With a number: with a text they would be compared as doubles, which large ones do not fit.
    Number,
    /// With the text.
    Text,
    /// Not exactly, or not as they are ordered.
    None,
}

/// What becomes of a driver's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conversion {
    AsIs,
    Date,
    /// A time on clocks of that zone.
    Time(Tz),
    /// A time of day or a duration.
    Duration,
    Bits,
}

impl MysqlColumn {
    /// Whether it is what `BOOLEAN` is another name of, which may hold other numbers too.
    pub(super) fn is_truth(column: &Column) -> bool {
        column.column_type() == ColumnType::MYSQL_TYPE_TINY && column.column_length() == 1
    }

    /// How a column is read. `declared` is its type in the configuration, or what is known of one that
    /// [may be a truth](Self::is_truth).
    pub(super) fn new(column: &Column, declared: Option<&DataType>, zone: Tz) -> Self {
        let name = column.name_str().into_owned();
        let (data_type, conversion) = of_column(column, declared, zone);
        let comparison = match data_type {
            DataType::Boolean => Comparison::None,
            _ => comparison(column),
        };
        let cast = declared == Some(&DataType::Utf8) && data_type != DataType::Utf8;
        let (data_type, conversion) = match cast {
            true => (DataType::Utf8, Conversion::AsIs),
            false => (data_type, conversion),
        };
        Self {
            name,
            data_type,
            comparison,
            conversion,
            cast,
            is_undecided: declared.is_none() && Self::is_truth(column),
        }
    }

    /// Decides whether it is one of numbers.
    pub(super) fn decide(&mut self, is_number: bool) {
        self.is_undecided = false;
        if is_number {
            self.data_type = DataType::Int16;
        }
    }

    /// As the lake has it.
    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), true)
    }

    /// The column in a query, `name` being its name in SQL.
    pub(super) fn sql(&self, name: &str) -> String {
        match self.cast {
            true => format!("CAST({name} AS CHAR)"),
            false => name.to_owned(),
        }
    }

    /// Whether it is a date or a timestamp.
    pub(super) fn is_time(&self) -> bool {
        matches!(self.conversion, Conversion::Date | Conversion::Time(_))
    }

    /// What converts its values.
    pub(super) fn converter(&self) -> MysqlConverter {
        let clock = match self.conversion {
            Conversion::Time(zone) => zone,
            _ => Tz::UTC,
        };
        MysqlConverter {
            conversion: self.conversion,
            clock: Clock::new(clock),
            text: String::new(),
        }
    }
}

fn of_column(column: &Column, declared: Option<&DataType>, zone: Tz) -> (DataType, Conversion) {
    use ColumnType as C;
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    let length = column.column_length();
    let or_wider = |signed: DataType, wider: DataType| (if unsigned { wider } else { signed }, Conversion::AsIs);
    match column.column_type() {
        C::MYSQL_TYPE_TINY if length == 1 && declared.is_none_or(|declared| *declared == DataType::Boolean) => {
            (DataType::Boolean, Conversion::AsIs)
        }
        C::MYSQL_TYPE_TINY | C::MYSQL_TYPE_YEAR => (DataType::Int16, Conversion::AsIs),
        C::MYSQL_TYPE_SHORT => or_wider(DataType::Int16, DataType::Int32),
        C::MYSQL_TYPE_INT24 => (DataType::Int32, Conversion::AsIs),
        C::MYSQL_TYPE_LONG => or_wider(DataType::Int32, DataType::Int64),
        C::MYSQL_TYPE_LONGLONG => or_wider(DataType::Int64, DataType::Decimal128(20, 0)),
        C::MYSQL_TYPE_FLOAT => (DataType::Float32, Conversion::AsIs),
        C::MYSQL_TYPE_DOUBLE => (DataType::Float64, Conversion::AsIs),
        C::MYSQL_TYPE_DECIMAL | C::MYSQL_TYPE_NEWDECIMAL => {
            // The length counts the point and the sign.
            let scale = column.decimals();
            let signs = u32::from(scale > 0) + u32::from(!unsigned);
            let precision = u8::try_from(length.saturating_sub(signs)).unwrap_or(u8::MAX);
            match i8::try_from(scale) {
                Ok(scale) if (1..=38).contains(&precision) => {
                    (DataType::Decimal128(precision, scale), Conversion::AsIs)
                }
                _ => (DataType::Utf8, Conversion::AsIs),
            }
        }
        C::MYSQL_TYPE_DATE | C::MYSQL_TYPE_NEWDATE => (DataType::Date32, Conversion::Date),
        C::MYSQL_TYPE_DATETIME | C::MYSQL_TYPE_DATETIME2 => (timestamp(), Conversion::Time(zone)),
        // Kept in UTC, and shown in the session's zone: UTC.
        C::MYSQL_TYPE_TIMESTAMP | C::MYSQL_TYPE_TIMESTAMP2 => (timestamp(), Conversion::Time(Tz::UTC)),
        C::MYSQL_TYPE_TIME | C::MYSQL_TYPE_TIME2 => (DataType::Utf8, Conversion::Duration),
        C::MYSQL_TYPE_BIT if length == 1 => (DataType::Boolean, Conversion::Bits),
        C::MYSQL_TYPE_BIT if length < 64 => (DataType::Int64, Conversion::Bits),
        C::MYSQL_TYPE_BIT => (DataType::Decimal128(20, 0), Conversion::Bits),
        // Its character set says bytes, but it is UTF-8.
        C::MYSQL_TYPE_JSON => (DataType::Utf8, Conversion::AsIs),
        C::MYSQL_TYPE_GEOMETRY | C::MYSQL_TYPE_VECTOR => (DataType::Binary, Conversion::AsIs),
        _ if column.character_set() == BINARY && !is_list(column) => (DataType::Binary, Conversion::AsIs),
        _ => (DataType::Utf8, Conversion::AsIs),
    }
}

fn comparison(column: &Column) -> Comparison {
    use ColumnType as C;
    match column.column_type() {
        C::MYSQL_TYPE_TINY
        | C::MYSQL_TYPE_SHORT
        | C::MYSQL_TYPE_INT24
        | C::MYSQL_TYPE_LONG
        | C::MYSQL_TYPE_LONGLONG
        | C::MYSQL_TYPE_YEAR
        | C::MYSQL_TYPE_DECIMAL
        | C::MYSQL_TYPE_NEWDECIMAL => Comparison::Number,
        C::MYSQL_TYPE_DATE
        | C::MYSQL_TYPE_NEWDATE
        | C::MYSQL_TYPE_DATETIME
        | C::MYSQL_TYPE_DATETIME2
        | C::MYSQL_TYPE_TIMESTAMP
        | C::MYSQL_TYPE_TIMESTAMP2
        | C::MYSQL_TYPE_TIME
        | C::MYSQL_TYPE_TIME2 => Comparison::Text,
        C::MYSQL_TYPE_VARCHAR
        | C::MYSQL_TYPE_VAR_STRING
        | C::MYSQL_TYPE_STRING
        | C::MYSQL_TYPE_TINY_BLOB
        | C::MYSQL_TYPE_BLOB
        | C::MYSQL_TYPE_MEDIUM_BLOB
        | C::MYSQL_TYPE_LONG_BLOB
            if column.character_set() != BINARY && !is_list(column) =>
        {
            Comparison::Text
        }
        _ => Comparison::None,
    }
}

/// Whether it is one of a list of texts, or several: it is ordered as the list is.
fn is_list(column: &Column) -> bool {
    column
        .flags()
        .intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG)
}

/// Converts the values of one column.
pub(super) struct MysqlConverter {
    conversion: Conversion,
    clock: Clock,
    text: String,
}

impl MysqlConverter {
    /// The value for its builder.
    ///
    /// # Errors
    /// A date that is none, such as one that is all zeros.
    pub(super) fn convert<'v>(&'v mut self, value: &'v Value) -> Result<Scalar<'v>, BadValue> {
        let is_date = self.conversion == Conversion::Date;
        let bad = |error| BadValue {
            error,
            text: text_of(value, is_date),
        };
        let days = |year: u16, month: u8, day: u8| {
            let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into());
            let date = date.ok_or_else(|| bad(ValueError::NoDate))?;
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            i32::try_from(days).map_err(|_| bad(ValueError::OutOfRange))
        };
        Ok(match (self.conversion, value) {
            (_, Value::NULL) => Scalar::Null,
            // No system has a year 0, and MySQL writes all zeros for a day that is not known.
            (Conversion::Date | Conversion::Time(_), Value::Date(0, ..)) => return Err(bad(ValueError::NoDate)),
            (Conversion::Date, Value::Date(year, month, day, ..)) => Scalar::Date(days(*year, *month, *day)?),
            (Conversion::Time(_), Value::Date(year, month, day, hour, minute, second, micros)) => {
                let seconds = i64::from(days(*year, *month, *day)?) * 86_400
                    + i64::from(*hour) * 3_600
                    + i64::from(*minute) * 60
                    + i64::from(*second);
                Scalar::Micros(self.clock.utc_of_local(seconds * 1_000_000 + i64::from(*micros)))
            }
            (Conversion::Duration, Value::Time(negative, days, hours, minutes, seconds, micros)) => {
                use std::fmt::Write;
                let (sign, hours) = (if *negative { "-" } else { "" }, days * 24 + u32::from(*hours));
                self.text.clear();
                // Writing to a string does not fail.
                let _ = write!(self.text, "{sign}{hours:02}:{minutes:02}:{seconds:02}");
                if *micros > 0 {
                    let _ = write!(self.text, ".{micros:06}");
                }
                Scalar::Bytes(self.text.as_bytes())
            }
            (Conversion::Bits, Value::Bytes(bytes)) => {
                Scalar::Int(bytes.iter().fold(0, |number, byte| number << 8 | i128::from(*byte)))
            }
            (Conversion::AsIs, Value::Bytes(bytes)) => Scalar::Bytes(bytes),
            (Conversion::AsIs, Value::Int(number)) => Scalar::Int((*number).into()),
            (Conversion::AsIs, Value::UInt(number)) => Scalar::Int((*number).into()),
            (Conversion::AsIs, Value::Float(number)) => Scalar::Float((*number).into()),
            (Conversion::AsIs, Value::Double(number)) => Scalar::Float(*number),
            _ => return Err(bad(ValueError::Malformed)),
        })
    }
}

/// The value as MySQL writes it.
fn text_of(value: &Value, is_date: bool) -> String {
    match value {
        Value::Bytes(bytes) => shown(bytes),
        Value::Date(year, month, day, ..) if is_date => format!("{year:04}-{month:02}-{day:02}"),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let fraction = if *micros > 0 {
                format!(".{micros:06}")
            } else {
                String::new()
            };
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")
        }
        other => other.as_sql(true).trim_matches('\'').to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::{Datelike, NaiveDateTime};
    use proptest::prelude::*;

    use super::*;

    fn converter(conversion: Conversion) -> MysqlConverter {
        MysqlConverter {
            conversion,
            clock: Clock::new(Tz::UTC),
            text: String::new(),
        }
    }

    proptest! {
        #[test]
        fn dates_and_times_are_those_of_the_calendar(
            year in 0u16..=9999, month in 0u8..=13, day in 0u8..=32, hour in 0u8..24, minute in 0u8..60,
            second in 0u8..60, micros in 0u32..1_000_000,
        ) {
            let value = Value::Date(year, month, day, hour, minute, second, micros);
            let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).filter(|_| year > 0);
            let time = date.and_then(|date| {
                date.and_hms_micro_opt(hour.into(), minute.into(), second.into(), micros)
            });
            let since = |time: NaiveDateTime| time.and_utc().timestamp_micros();
            match converter(Conversion::Time(Tz::UTC)).convert(&value) {
                Ok(Scalar::Micros(found)) => prop_assert_eq!(Some(found), time.map(since)),
                Ok(_) => prop_assert!(false, "not a time"),
                Err(bad) => {
                    prop_assert_eq!(time, None);
                    let written = format!("{year:04}-{month:02}-{day:02}");
                    prop_assert!(bad.text.starts_with(&written));
                }
            }
            match converter(Conversion::Date).convert(&value) {
                Ok(Scalar::Date(found)) => {
                    let days = date.map(|date| date.num_days_from_ce() - NaiveDate::default().num_days_from_ce());
                    prop_assert_eq!(Some(found), days);
                }
                Ok(_) => prop_assert!(false, "not a date"),
                Err(_) => prop_assert_eq!(date, None),
            }
        }

        #[test]
        fn bits_are_a_number(number in any::<u64>(), length in 1usize..=8) {
            let bytes = number.to_be_bytes()[8 - length..].to_vec();
            let expected = bytes.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
            let value = Value::Bytes(bytes);
            let mut converter = converter(Conversion::Bits);
            let found = converter.convert(&value);
            prop_assert!(matches!(found, Ok(Scalar::Int(found)) if found == i128::from(expected)));
        }

        #[test]
        fn durations_are_written_as_mysql_does(
            negative in any::<bool>(), days in 0u32..35, hours in 0u8..24, minutes in 0u8..60, seconds in 0u8..60,
            micros in 0u32..1_000_000,
        ) {
            let value = Value::Time(negative, days, hours, minutes, seconds, micros);
            let mut converter = converter(Conversion::Duration);
            let Ok(Scalar::Bytes(text)) = converter.convert(&value) else {
                return Err(TestCaseError::fail("not a duration"));
            };
            let text = std::str::from_utf8(text).unwrap();
            let unsigned = text.trim_start_matches('-');
            let (clock, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
            let parts: Vec<u32> = clock.split(':').map(|part| part.parse().unwrap()).collect();
            prop_assert_eq!(text.starts_with('-'), negative);
            prop_assert_eq!(&parts[..], [days * 24 + u32::from(hours), u32::from(minutes), u32::from(seconds)]);
            prop_assert_eq!(fraction.parse::<u32>().unwrap(), micros);
        }
    }
}
