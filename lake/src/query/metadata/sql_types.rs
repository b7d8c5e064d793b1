//! Arrow's types as SQL's clients know them: their names, and their sizes.

use arrow::datatypes::{DataType, TimeUnit};

/// The type's SQL name, without its sizes.
pub fn name(data_type: &DataType) -> &'static str {
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

/// The type as `information_schema` and `describe` write it: with the sizes of a decimal, `DECIMAL(28,2)`, and bytes by a
/// name that every client takes for bytes.
pub fn full_name(data_type: &DataType) -> String {
    match (decimal(data_type), name(data_type)) {
        (Some((precision, scale)), name) => format!("{name}({precision},{scale})"),
        (None, "VARBINARY") => "BINARY".to_owned(),
        (None, name) => name.to_owned(),
    }
}

/// Digits of a decimal, and those of them after the point.
pub fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        DataType::Dictionary(_, value) => decimal(value),
        _ => None,
    }
}

/// Digits of a second after the point that a time has.
pub fn fraction(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => Some(match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        }),
        _ => None,
    }
}

/// What the standard's `information_schema` says of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numeric {
    pub precision: i32,
    /// The base that the precision counts digits of: 2 or 10.
    pub radix: i32,
    /// `None` for floating point.
    pub scale: Option<i32>,
}

/// Precision, radix and scale of a number's type, as PostgreSQL gives them.
pub(super) fn numeric(data_type: &DataType) -> Option<Numeric> {
    let binary = |precision, scale| Numeric {
        precision,
        radix: 2,
        scale,
    };
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => binary(8, Some(0)),
        DataType::Int16 | DataType::UInt16 => binary(16, Some(0)),
        DataType::Int32 | DataType::UInt32 => binary(32, Some(0)),
        DataType::Int64 | DataType::UInt64 => binary(64, Some(0)),
        DataType::Float16 | DataType::Float32 => binary(24, None),
        DataType::Float64 => binary(53, None),
        DataType::Dictionary(_, value) => return numeric(value),
        other => {
            let (precision, scale) = decimal(other)?;
            Numeric {
                precision: i32::from(precision),
                radix: 10,
                scale: Some(i32::from(scale)),
            }
        }
    })
}

/// Fractional digits of a date or time as the standard's `datetime_precision`.
pub(super) fn datetime_precision(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Date32 | DataType::Date64 => Some(0),
        DataType::Interval(_) | DataType::Duration(_) => Some(6),
        other => fraction(other),
    }
}

/// Whether values are text.
pub(super) fn is_text(data_type: &DataType) -> bool {
    name(data_type) == "VARCHAR"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_sqls_names_and_sizes() {
        for (data_type, expected) in [
            (DataType::Decimal128(28, 2), "DECIMAL(28,2)"),
            (DataType::Utf8View, "VARCHAR"),
            (DataType::BinaryView, "BINARY"),
            (
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                "TIMESTAMP WITH TIME ZONE",
            ),
            (
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                "VARCHAR",
            ),
            (DataType::new_list(DataType::Int64, true), "ARRAY"),
        ] {
            assert_eq!(full_name(&data_type), expected);
        }
        let money = numeric(&DataType::Decimal128(28, 2));
        assert_eq!(
            money,
            Some(Numeric {
                precision: 28,
                radix: 10,
                scale: Some(2)
            })
        );
        assert_eq!(numeric(&DataType::Utf8), None);
    }
}
