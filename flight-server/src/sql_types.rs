//! Arrow types as clients of Flight SQL know them: sizes, and the field metadata that carries them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use arrow_flight::sql::XdbcDataType;
use cordada_lake::query::metadata::sql_types::{decimal, fraction, name};

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
        DataType::Date32 | DataType::Date64 => Some(10),
        DataType::Time32(_) | DataType::Time64(_) => Some(15),
        DataType::Timestamp(..) => fraction(data_type).map(|digits| 20 + digits),
        DataType::FixedSizeBinary(bytes) => Some(*bytes),
        other => decimal(other).map(|(precision, _)| i32::from(precision)),
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
        other => fraction(other).or_else(|| decimal(other).map(|(_, scale)| i32::from(scale))),
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
