//! The SQL types that results and columns have, for clients that ask before they offer them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, IntervalUnit, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use cordada_lake::query::metadata::sql_types::name;

use super::arrow_error;
use crate::sql_types;

pub(super) fn schema() -> SchemaRef {
    XdbcTypeInfoDataBuilder::new().schema()
}

pub(super) fn answer(command: CommandGetXdbcTypeInfo) -> Result<RecordBatch, ArrowError> {
    let mut rows = XdbcTypeInfoDataBuilder::new();
    for data_type in types() {
        rows.append(describe(&data_type));
    }
    let rows = rows.build().map_err(arrow_error)?;
    rows.record_batch(command.data_type).map_err(arrow_error)
}

fn types() -> Vec<DataType> {
    vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(38, 38),
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        DataType::Interval(IntervalUnit::MonthDayNano),
    ]
}

fn describe(data_type: &DataType) -> XdbcTypeInfo {
    let text = |text: &str| Some(text.to_owned());
    let name = name(data_type);
    let xdbc = sql_types::xdbc(data_type);
    let is_number = data_type.is_numeric();
    let is_temporal = matches!(
        xdbc,
        XdbcDataType::XdbcDate | XdbcDataType::XdbcTime | XdbcDataType::XdbcTimestamp
    );
    let is_interval = xdbc == XdbcDataType::XdbcInterval;
    let (prefix, suffix) = match xdbc {
        XdbcDataType::XdbcVarchar => (text("'"), text("'")),
        XdbcDataType::XdbcVarbinary => (text("X'"), text("'")),
        XdbcDataType::XdbcDate => (text("DATE '"), text("'")),
        XdbcDataType::XdbcTime => (text("TIME '"), text("'")),
        XdbcDataType::XdbcTimestamp => (text("TIMESTAMP '"), text("'")),
        XdbcDataType::XdbcInterval => (text("INTERVAL '"), text("'")),
        _ => (None, None),
    };
    let subcode = match data_type {
        DataType::Date32 => Some(XdbcDatetimeSubcode::XdbcSubcodeYear),
        DataType::Time64(_) => Some(XdbcDatetimeSubcode::XdbcSubcodeTime),
        DataType::Timestamp(_, None) => Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        DataType::Timestamp(_, Some(_)) => Some(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone),
        _ => None,
    };
    let is_decimal = xdbc == XdbcDataType::XdbcDecimal;
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: xdbc,
        column_size: sql_types::precision(data_type),
        literal_prefix: prefix,
        literal_suffix: suffix,
        create_params: is_decimal.then(|| vec!["precision".to_owned(), "scale".to_owned()]),
        nullable: Nullable::NullabilityNullable,
        case_sensitive: xdbc == XdbcDataType::XdbcVarchar,
        searchable: Searchable::Full,
        unsigned_attribute: is_number.then_some(false),
        fixed_prec_scale: false,
        auto_increment: is_number.then_some(false),
        local_type_name: Some(name.to_owned()),
        minimum_scale: sql_types::scale(data_type).map(|_| 0),
        maximum_scale: sql_types::scale(data_type),
        // ODBC's verbose type: all dates and times are one, told apart by the subcode.
        sql_data_type: if is_temporal { XdbcDataType::XdbcDatetime } else { xdbc },
        datetime_subcode: subcode,
        num_prec_radix: is_number.then_some(10),
        interval_precision: is_interval.then_some(9),
    }
}
