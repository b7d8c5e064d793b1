//! MySQL's types: which Arrow type each lands as, and how its values are read.
//! Source: MySQL's manual, "Data Types" and "Column Definition Protocol".

use arrow::datatypes::DataType;
use chrono::NaiveDate;
use chrono_tz::Tz;
use cordada_ingest_formats::values::evidence::timestamp;
use cordada_ingest_formats::values::time::Clock;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value};

use crate::builder::Scalar;
use crate::unreadable::Unreadable;

/// The character set that means bytes.
const BINARY: u16 = 63;

/// A column as it is read.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) data_type: DataType,
    how: How,
    /// Whether the server is to make text of it.
    cast: bool,
}

/// What becomes of a driver's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    AsIs,
    Date,
    /// A time on clocks of that zone.
    Time(Tz),
    /// A time of day or a duration.
    Duration,
    Bits,
}

impl Plan {
    /// How a column is read. `declared` is its type in the configuration.
    pub(super) fn new(column: &Column, declared: Option<&DataType>, zone: Tz) -> Self {
        let name = column.name_str().into_owned();
        let (data_type, how) = of_column(column, declared, zone);
        let wants_text = declared == Some(&DataType::Utf8);
        if wants_text && data_type != DataType::Utf8 {
            return Self {
                name,
                data_type: DataType::Utf8,
                how: How::AsIs,
                cast: true,
            };
        }
        Self {
            name,
            data_type,
            how,
            cast: false,
        }
    }

    /// The column in a query, `name` being its name in SQL.
    pub(super) fn sql(&self, name: &str) -> String {
        match self.cast {
            true => format!("CAST({name} AS CHAR)"),
            false => name.to_owned(),
        }
    }

    /// Whether texts of it are numbers.
    pub(super) fn is_number(&self) -> bool {
        use DataType as T;
        matches!(self.data_type, T::Int16 | T::Int32 | T::Int64 | T::Decimal128(..)) && self.how == How::AsIs
    }

    /// Whether it is a date or a timestamp.
    pub(super) fn is_time(&self) -> bool {
        matches!(self.how, How::Date | How::Time(_))
    }

    /// The reader of its values.
    pub(super) fn reader(&self) -> Reader {
        let clock = match self.how {
            How::Time(zone) => zone,
            _ => Tz::UTC,
        };
        Reader {
            how: self.how,
            clock: Clock::new(clock),
            text: String::new(),
        }
    }
}

fn of_column(column: &Column, declared: Option<&DataType>, zone: Tz) -> (DataType, How) {
    use ColumnType as C;
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    let length = column.column_length();
    let or_wider = |signed: DataType, wider: DataType| (if unsigned { wider } else { signed }, How::AsIs);
    match column.column_type() {
        // What `BOOLEAN` is another name of; whoever keeps other numbers in it declares so.
        C::MYSQL_TYPE_TINY if length == 1 && declared.is_none_or(|declared| *declared == DataType::Boolean) => {
            (DataType::Boolean, How::AsIs)
        }
        C::MYSQL_TYPE_TINY | C::MYSQL_TYPE_YEAR => (DataType::Int16, How::AsIs),
        C::MYSQL_TYPE_SHORT => or_wider(DataType::Int16, DataType::Int32),
        C::MYSQL_TYPE_INT24 => (DataType::Int32, How::AsIs),
        C::MYSQL_TYPE_LONG => or_wider(DataType::Int32, DataType::Int64),
        C::MYSQL_TYPE_LONGLONG => or_wider(DataType::Int64, DataType::Decimal128(20, 0)),
        C::MYSQL_TYPE_FLOAT => (DataType::Float32, How::AsIs),
        C::MYSQL_TYPE_DOUBLE => (DataType::Float64, How::AsIs),
        C::MYSQL_TYPE_DECIMAL | C::MYSQL_TYPE_NEWDECIMAL => {
            // The length counts the point and the sign.
            let scale = column.decimals();
            let signs = u32::from(scale > 0) + u32::from(!unsigned);
            let precision = u8::try_from(length.saturating_sub(signs)).unwrap_or(u8::MAX);
            match i8::try_from(scale) {
                Ok(scale) if (1..=38).contains(&precision) => (DataType::Decimal128(precision, scale), How::AsIs),
                _ => (DataType::Utf8, How::AsIs),
            }
        }
        C::MYSQL_TYPE_DATE | C::MYSQL_TYPE_NEWDATE => (DataType::Date32, How::Date),
        C::MYSQL_TYPE_DATETIME | C::MYSQL_TYPE_DATETIME2 => (timestamp(), How::Time(zone)),
        // Kept in UTC, and shown in the session's zone: UTC.
        C::MYSQL_TYPE_TIMESTAMP | C::MYSQL_TYPE_TIMESTAMP2 => (timestamp(), How::Time(Tz::UTC)),
        C::MYSQL_TYPE_TIME | C::MYSQL_TYPE_TIME2 => (DataType::Utf8, How::Duration),
        C::MYSQL_TYPE_BIT if length == 1 => (DataType::Boolean, How::Bits),
        C::MYSQL_TYPE_BIT if length < 64 => (DataType::Int64, How::Bits),
        C::MYSQL_TYPE_BIT => (DataType::Decimal128(20, 0), How::Bits),
        // Its character set says bytes, but it is UTF-8.
        C::MYSQL_TYPE_JSON => (DataType::Utf8, How::AsIs),
        C::MYSQL_TYPE_GEOMETRY | C::MYSQL_TYPE_VECTOR => (DataType::Binary, How::AsIs),
        _ if column.character_set() == BINARY
            && !column
                .flags()
                .intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) =>
        {
            (DataType::Binary, How::AsIs)
        }
        _ => (DataType::Utf8, How::AsIs),
    }
}

/// Reads the values of one column.
pub(super) struct Reader {
    how: How,
    clock: Clock,
    text: String,
}

impl Reader {
    /// The value for its builder. A date or time that is all zeros, MySQL's way to write none, is null.
    ///
    /// # Errors
    /// A date without a day or a month.
    pub(super) fn read<'v>(&'v mut self, value: &'v Value) -> Result<Scalar<'v>, Unreadable> {
        let days = |year: u16, month: u8, day: u8| {
            let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into());
            let days = date
                .ok_or(Unreadable::PartialDate)?
                .signed_duration_since(NaiveDate::default())
                .num_days();
            i32::try_from(days).map_err(|_| Unreadable::OutOfRange)
        };
        Ok(match (self.how, value) {
            (_, Value::NULL) | (How::Date | How::Time(_), Value::Date(0, 0, 0, 0, 0, 0, 0)) => Scalar::Null,
            (How::Date, Value::Date(year, month, day, ..)) => Scalar::Date(days(*year, *month, *day)?),
            (How::Time(_), Value::Date(year, month, day, hour, minute, second, micros)) => {
                let seconds = i64::from(days(*year, *month, *day)?) * 86_400
                    + i64::from(*hour) * 3_600
                    + i64::from(*minute) * 60
                    + i64::from(*second);
                Scalar::Micros(self.clock.utc_of_local(seconds * 1_000_000 + i64::from(*micros)))
            }
            (How::Duration, Value::Time(negative, days, hours, minutes, seconds, micros)) => {
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
            (How::Bits, Value::Bytes(bytes)) => {
                Scalar::Int(bytes.iter().fold(0, |number, byte| number << 8 | i128::from(*byte)))
            }
            (How::AsIs, Value::Bytes(bytes)) => Scalar::Bytes(bytes),
            (How::AsIs, Value::Int(number)) => Scalar::Int((*number).into()),
            (How::AsIs, Value::UInt(number)) => Scalar::Int((*number).into()),
            (How::AsIs, Value::Float(number)) => Scalar::Float((*number).into()),
            (How::AsIs, Value::Double(number)) => Scalar::Float(*number),
            _ => return Err(Unreadable::Malformed),
        })
    }
}
