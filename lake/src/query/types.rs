//! Names of types, of all products that have them, as the engine's types. Times are in microseconds, in which the years to
//! 290,000 have room; instants are of UTC.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as Named, ExactNumberInfo, TimezoneInfo};

use super::functions::casts::numeric;

/// Plans the names that the engine does not know, or takes for another type.
#[derive(Debug)]
pub(super) struct Types;

/// Digits of a whole number of 128 bits and of a decimal.
const MOST_DIGITS: u8 = 38;

impl TypePlanner for Types {
    fn plan_type_field(&self, name: &Named) -> Result<Option<FieldRef>> {
        let data_type = planned(name)?;
        Ok(data_type.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}

fn timestamp(with_zone: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, with_zone.then(|| "UTC".into()))
}

/// The engine's type; none where its own answer is right.
fn planned(name: &Named) -> Result<Option<DataType>> {
    use DataType as T;
    Ok(Some(match name {
        Named::Varchar(_)
        | Named::Nvarchar(_)
        | Named::Char(_)
        | Named::Character(_)
        | Named::CharVarying(_)
        | Named::CharacterVarying(_)
        | Named::CharacterLargeObject(_)
        | Named::CharLargeObject(_)
        | Named::Clob(_)
        | Named::Text
        | Named::TinyText
        | Named::MediumText
        | Named::LongText
        | Named::String(_)
        | Named::FixedString(_)
        | Named::JSON
        | Named::JSONB
        | Named::Uuid => T::Utf8View,
        Named::Bytea
        | Named::Bytes(_)
        | Named::Binary(_)
        | Named::Varbinary(_)
        | Named::Blob(_)
        | Named::TinyBlob
        | Named::MediumBlob
        | Named::LongBlob => T::Binary,
        Named::Bit(None | Some(1)) => T::Boolean,
        Named::MediumInt(_) | Named::Int32 | Named::Signed | Named::SignedInteger => T::Int32,
        Named::Int16 => T::Int16,
        Named::Int64 => T::Int64,
        Named::UInt8 | Named::UTinyInt => T::UInt8,
        Named::UInt16 | Named::USmallInt => T::UInt16,
        Named::UInt32 | Named::MediumIntUnsigned(_) => T::UInt32,
        Named::UInt64 | Named::UBigInt | Named::Unsigned | Named::UnsignedInteger => T::UInt64,
        Named::Int128 | Named::HugeInt | Named::UInt128 | Named::UHugeInt => T::Decimal128(MOST_DIGITS, 0),
        Named::Float32 | Named::RealUnsigned => T::Float32,
        // A float has the precision that is asked for, in bits; of a double without a scale there is one.
        Named::Float(ExactNumberInfo::Precision(bits @ 1..=24)) if *bits > 0 => T::Float32,
        Named::Float(_)
        | Named::FloatUnsigned(_)
        | Named::Float64
        | Named::Double(_)
        | Named::DoubleUnsigned(_)
        | Named::DoublePrecisionUnsigned => T::Float64,
        Named::Numeric(info)
        | Named::Decimal(info)
        | Named::Dec(info)
        | Named::DecimalUnsigned(info)
        | Named::DecUnsigned(info)
        | Named::BigNumeric(info)
        | Named::BigDecimal(info) => match info {
            // Of a cast that is written the digits are chosen by what is cast.
            ExactNumberInfo::None => numeric::UNKNOWN,
            ExactNumberInfo::Precision(precision) => decimal(*precision, 0)?,
            ExactNumberInfo::PrecisionAndScale(precision, scale) => decimal(*precision, *scale)?,
        },
        Named::Timestamp(_, zone) => timestamp(matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone)),
        Named::TimestampNtz(_) | Named::Datetime(_) | Named::Datetime64(..) => timestamp(false),
        Named::Date32 => T::Date32,
        Named::Time(..) => T::Time64(TimeUnit::Nanosecond),
        Named::Interval { .. } => T::Interval(IntervalUnit::MonthDayNano),
        Named::Custom(name, modifiers) => return custom(&name.to_string().to_ascii_lowercase(), modifiers),
        _ => return Ok(None),
    }))
}

/// A decimal of that many digits.
///
/// # Errors
/// Plan: there is no such decimal.
fn decimal(precision: u64, scale: i64) -> Result<DataType> {
    let wide = u8::try_from(precision)
        .ok()
        .filter(|precision| (1..=76).contains(precision));
    let scale = i8::try_from(scale).ok();
    match (wide, scale) {
        (Some(precision), Some(scale)) if scale <= i8::try_from(precision).unwrap_or(i8::MAX) => {
            Ok(match precision <= MOST_DIGITS {
                true => DataType::Decimal128(precision, scale),
                false => DataType::Decimal256(precision, scale),
            })
        }
        _ => plan_err!("a decimal has 1 to 76 digits, and not more of them after its point"),
    }
}

/// Types whose names are not words of the parser.
fn custom(name: &str, modifiers: &[String]) -> Result<Option<DataType>> {
    use DataType as T;
    let number = |place: usize| modifiers.get(place).and_then(|text| text.parse::<i64>().ok());
    Ok(Some(match name {
        "number" | "fixed" => match (number(0), number(1)) {
            (Some(precision), scale) => decimal(u64::try_from(precision).unwrap_or(0), scale.unwrap_or(0))?,
            (None, _) => numeric::UNKNOWN,
        },
        "money" => T::Decimal128(19, 2),
        "smallmoney" => T::Decimal128(10, 4),
        "nchar" | "varchar2" | "nvarchar2" | "bpchar" | "\"char\"" | "ntext" | "citext" | "name" | "xml"
        | "variant" | "super" | "object" | "string" | "text" | "uniqueidentifier" | "sysname" | "geography"
        | "geometry" | "long varchar" => T::Utf8View,
        "datetime2" | "smalldatetime" | "timestamp_s" | "timestamp_ms" | "timestamp_us" | "timestamp_ns"
        | "timestamp_ntz" | "timestampntz" => timestamp(false),
        "datetimeoffset" | "timestamp_ltz" | "timestamp_tz" | "timestampltz" => timestamp(true),
        "byteint" | "byte" | "int1" => T::Int8,
        "short" => T::Int16,
        "long" | "oid" => T::Int64,
        "image" => T::Binary,
        "logical" => T::Boolean,
        _ => return Ok(None),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn of(name: &str) -> Option<DataType> {
        let mut parser = Parser::new(&GenericDialect).try_with_sql(name).unwrap();
        planned(&parser.parse_data_type().unwrap()).unwrap()
    }

    #[test]
    fn names_of_other_products_are_types() {
        use DataType as T;
        for (name, data_type) in [
            ("float", T::Float64),
            ("float(24)", T::Float32),
            ("number(10,2)", T::Decimal128(10, 2)),
            ("datetime2(3)", timestamp(false)),
            ("datetimeoffset", timestamp(true)),
            ("nvarchar(max)", T::Utf8View),
            ("timestamptz", timestamp(true)),
            ("money", T::Decimal128(19, 2)),
            ("hugeint", T::Decimal128(38, 0)),
        ] {
            assert_eq!(of(name), Some(data_type), "{name}");
        }
        assert_eq!(of("regclass"), None);
        assert!(decimal(5, 6).is_err());
    }
}
