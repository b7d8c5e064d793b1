//! Arrow types as SQL clients know them: names, sizes, and the field metadata in which Flight SQL carries them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow_flight::sql::XdbcDataType;

/// Flight SQL's keys of a column's metadata.
mod key {
    pub(super) const CATALOG: &str = "ARROW:FLIGHT:SQL:CATALOG_NAME";
    pub(super) const SCHEMA: &str = "ARROW:FLIGHT:SQL:SCHEMA_NAME";
    pub(super) const TABLE: &str = "ARROW:FLIGHT:SQL:TABLE_NAME";
    pub(super) const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
    pub(super) const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
    pub(super) const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";
    pub(super) const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";
    pub(super) const AUTO_INCREMENT: &str = "ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT";
    pub(super) const CASE_SENSITIVE: &str = "ARROW:FLIGHT:SQL:IS_CASE_SENSITIVE";
    pub(super) const READ_ONLY: &str = "ARROW:FLIGHT:SQL:IS_READ_ONLY";
    pub(super) const SEARCHABLE: &str = "ARROW:FLIGHT:SQL:IS_SEARCHABLE";
}

/// The field with what Flight SQL says about a column of a result.
pub(crate) fn describe(field: Field) -> Field {
    let data_type = field.data_type();
    let mut metadata = field.metadata().clone();
    let mut say = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    say(key::TYPE_NAME, name(data_type).to_owned());
    if let Some(precision) = precision(data_type) {
        say(key::PRECISION, precision.to_string());
    }
    if let Some(scale) = scale(data_type) {
        say(key::SCALE, scale.to_string());
    }
    say(key::AUTO_INCREMENT, "0".to_owned());
    say(
        key::CASE_SENSITIVE,
        if is_text(data_type) { "1" } else { "0" }.to_owned(),
    );
    say(key::READ_ONLY, "1".to_owned());
    say(key::SEARCHABLE, "1".to_owned());
    field.with_metadata(metadata)
}

/// The field with what Flight SQL says about a column of a relation.
pub(crate) fn describe_column(field: Field, catalog: &str, schema: &str, table: &str, remarks: Option<&str>) -> Field {
    let field = describe(field);
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.insert(key::CATALOG.to_owned(), catalog.to_owned());
    metadata.insert(key::SCHEMA.to_owned(), schema.to_owned());
    metadata.insert(key::TABLE.to_owned(), table.to_owned());
    if let Some(remarks) = remarks {
        metadata.insert(key::REMARKS.to_owned(), remarks.to_owned());
    }
    field.with_metadata(metadata)
}

/// The type's SQL name.
pub(crate) fn name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INTEGER UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            "DECIMAL"
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "VARBINARY",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL",
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => "ARRAY",
        DataType::Struct(_) => "STRUCT",
        DataType::Map(..) => "MAP",
        DataType::Union(..) => "UNION",
        DataType::Dictionary(_, value) => name(value),
        DataType::RunEndEncoded(_, value) => name(value.data_type()),
    }
}

/// Digits of a number, characters of a date or time; `None` where there is no limit.
pub(crate) fn precision(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Boolean => Some(1),
        DataType::Int8 | DataType::UInt8 => Some(3),
        DataType::Int16 | DataType::UInt16 => Some(5),
        DataType::Int32 | DataType::UInt32 => Some(10),
        DataType::Int64 => Some(19),
        DataType::UInt64 => Some(20),
        DataType::Float16 | DataType::Float32 => Some(7),
        DataType::Float64 => Some(15),
        DataType::Decimal32(precision, _)
        | DataType::Decimal64(precision, _)
        | DataType::Decimal128(precision, _)
        | DataType::Decimal256(precision, _) => Some(i32::from(*precision)),
        DataType::Date32 | DataType::Date64 => Some(10),
        DataType::Time32(_) | DataType::Time64(_) => Some(15),
        DataType::Timestamp(unit, _) => Some(20 + fraction(*unit)),
        DataType::FixedSizeBinary(bytes) => Some(*bytes),
        _ => None,
    }
}

/// Digits after the decimal point, of seconds too.
pub(crate) fn scale(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => Some(0),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(i32::from(*scale)),
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => Some(fraction(*unit)),
        _ => None,
    }
}

/// The type as ODBC and JDBC number it.
pub(crate) fn xdbc(data_type: &DataType) -> XdbcDataType {
    match data_type {
        DataType::Boolean => XdbcDataType::XdbcBit,
        DataType::Int8 | DataType::UInt8 => XdbcDataType::XdbcTinyint,
        DataType::Int16 | DataType::UInt16 => XdbcDataType::XdbcSmallint,
        DataType::Int32 | DataType::UInt32 => XdbcDataType::XdbcInteger,
        DataType::Int64 | DataType::UInt64 => XdbcDataType::XdbcBigint,
        DataType::Float16 | DataType::Float32 => XdbcDataType::XdbcReal,
        DataType::Float64 => XdbcDataType::XdbcDouble,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            XdbcDataType::XdbcDecimal
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => XdbcDataType::XdbcVarchar,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            XdbcDataType::XdbcVarbinary
        }
        DataType::Date32 | DataType::Date64 => XdbcDataType::XdbcDate,
        DataType::Time32(_) | DataType::Time64(_) => XdbcDataType::XdbcTime,
        DataType::Timestamp(..) => XdbcDataType::XdbcTimestamp,
        DataType::Interval(_) | DataType::Duration(_) => XdbcDataType::XdbcInterval,
        _ => XdbcDataType::XdbcUnknownType,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn fraction(unit: TimeUnit) -> i32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
