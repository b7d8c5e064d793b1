//! PostgreSQL's types: which kind each is read as, and which cast the query needs for that.

use arrow::datatypes::DataType;
use chrono_tz::Tz;
use tokio_postgres::types::{Kind as TypeKind, Type};

use super::column::Kind;

/// A column as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnFormat {
    pub(crate) kind: Kind,
    cast: Cast,
}

/// What makes the server send the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    /// Nothing: its binary format is that kind's.
    None,
    /// What the type's output function writes. Not `::text`, which is another text for some types.
    Output,
    Texts,
    Numeric,
}

impl ColumnFormat {
    /// How a column of that type is read. `declared` is its type in the configuration.
    pub(crate) fn new(column: &Type, modifier: i32, declared: Option<&DataType>, zone: Tz) -> Self {
        let format = Self::of_type(column, modifier, zone);
        match (declared, &format.kind) {
            (Some(DataType::Decimal128(precision, scale)), Kind::Numeric) => Self {
                kind: Kind::Decimal(*precision, *scale),
                cast: Cast::None,
            },
            // Whole numbers are read as such, whatever zeros stand behind the point.
            (Some(DataType::Int64), Kind::Numeric) => Self {
                kind: Kind::Decimal(38, 0),
                cast: Cast::None,
            },
            (Some(DataType::Utf8), Kind::Numeric | Kind::Text | Kind::Uuid) => format,
            (Some(DataType::Utf8), _) => Self::text(),
            _ => format,
        }
    }

    fn text() -> Self {
        Self {
            kind: Kind::Text,
            cast: Cast::Output,
        }
    }

    fn of_type(column: &Type, modifier: i32, zone: Tz) -> Self {
        let as_is = |kind| Self { kind, cast: Cast::None };
        match column.kind() {
            TypeKind::Enum(_) => return as_is(Kind::Text),
            TypeKind::Domain(base) => return Self::of_type(base, modifier, zone),
            TypeKind::Array(item) => {
                let item = Self::of_type(item, modifier, zone);
                return match item.cast {
                    Cast::None => as_is(Kind::List(Box::new(item.kind))),
                    _ => Self {
                        kind: Kind::List(Box::new(Kind::Text)),
                        cast: Cast::Texts,
                    },
                };
            }
            _ => {}
        }
        match *column {
            Type::BOOL => as_is(Kind::Boolean),
            Type::INT2 => as_is(Kind::Int16),
            Type::INT4 => as_is(Kind::Int32),
            Type::INT8 => as_is(Kind::Int64),
            Type::OID => as_is(Kind::Oid),
            Type::FLOAT4 => as_is(Kind::Float32),
            Type::FLOAT8 => as_is(Kind::Float64),
            Type::NUMERIC => as_is(numeric(modifier)),
            Type::MONEY => Self {
                kind: Kind::Decimal(20, 2),
                cast: Cast::Numeric,
            },
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => as_is(Kind::Text),
            Type::JSONB => as_is(Kind::Jsonb),
            Type::UUID => as_is(Kind::Uuid),
            Type::BYTEA => as_is(Kind::Binary),
            Type::DATE => as_is(Kind::Date),
            Type::TIMESTAMP => as_is(Kind::Timestamp(zone)),
            Type::TIMESTAMPTZ => as_is(Kind::Timestamptz),
            _ => Self::text(),
        }
    }

    /// The column in a query, `name` being its name in SQL.
    pub(crate) fn sql(&self, name: &str) -> String {
        match self.cast {
            Cast::None => name.to_owned(),
            Cast::Output => format!("CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END"),
            Cast::Texts => format!("{name}::text[]"),
            Cast::Numeric => format!("{name}::numeric"),
        }
    }
}

/// `numeric(precision, scale)`, of which the modifier is `(precision << 16 | scale) + 4`, the scale being signed in
/// eleven bits; -1 is any. Source: `make_numeric_typmod` in numeric.c.
fn numeric(modifier: i32) -> Kind {
    if modifier < 4 {
        return Kind::Numeric;
    }
    let packed = modifier - 4;
    let (precision, scale) = (packed >> 16 & 0xffff, (packed & 0x7ff ^ 1024) - 1024);
    // A negative scale is zeros before the point; a scale beyond the precision is zeros behind it.
    let (precision, scale) = if scale < 0 {
        (precision - scale, 0)
    } else {
        (precision.max(scale), scale)
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) => Kind::Decimal(precision, scale),
        _ => Kind::Numeric,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_exact() {
        let format = |column, modifier, declared| ColumnFormat::new(column, modifier, declared, Tz::UTC);
        assert_eq!(
            format(&Type::NUMERIC, (12 << 16 | 3) + 4, None).kind,
            Kind::Decimal(12, 3)
        );
        assert_eq!(format(&Type::NUMERIC, -1, None).kind, Kind::Numeric);
        assert_eq!(format(&Type::NUMERIC, (50 << 16 | 3) + 4, None).kind, Kind::Numeric);
        assert_eq!(
            format(&Type::NUMERIC, (3 << 16 | 5) + 4, None).kind,
            Kind::Decimal(5, 5)
        );
        assert_eq!(
            format(&Type::NUMERIC, (3 << 16 | (-2 & 0x7ff)) + 4, None).kind,
            Kind::Decimal(5, 0)
        );
        let declared = DataType::Decimal128(20, 4);
        assert_eq!(format(&Type::NUMERIC, -1, Some(&declared)).kind, Kind::Decimal(20, 4));
        assert_eq!(
            format(&Type::INT4_ARRAY, -1, None).kind,
            Kind::List(Box::new(Kind::Int32))
        );
        assert_eq!(format(&Type::INET_ARRAY, -1, None).sql("\"a\""), "\"a\"::text[]");
        assert_eq!(format(&Type::DATE, -1, Some(&DataType::Utf8)).kind, Kind::Text);
    }
}
