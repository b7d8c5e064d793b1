//! Casts as PostgreSQL does them, where the engine's differ: the text of times, floats and intervals, what text says, and how
//! numbers are rounded. Everything else is left to the engine.

mod arrays;
mod from_text;
mod function;
pub(in crate::query) mod intervals;
mod kinds;
mod lists;
mod named;
mod numbers;
pub(in crate::query) mod numeric;
mod records;
pub(in crate::query) mod shown;
mod text;
mod times;

use arrow::datatypes::{DataType, FieldRef};

use super::Functions;
use super::definition::udfs;

pub(in crate::query) use arrays::cast_array;
pub(in crate::query) use function::{CAST, cast_as};

/// Where the page of functions has them.
const FAMILY: &str = "Types and casts";

/// What becomes of a value that has no equal in the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query) enum OnFailure {
    /// `cast`
    Error,
    /// `try_cast`
    Null,
}

/// `cast_as` and `try_cast_as`: what casts become where PostgreSQL's answer is another than the engine's.
pub(super) fn all() -> Functions {
    Functions {
        scalar: [
            cast_as(OnFailure::Error),
            cast_as(OnFailure::Null),
            named::function(),
            shown::function(),
            numeric::function(OnFailure::Error),
            numeric::function(OnFailure::Null),
        ]
        .into_iter()
        .chain(udfs(kinds::DEFINITIONS))
        .collect(),
        ..Functions::default()
    }
}

/// Whether the engine's cast between these types is not PostgreSQL's.
pub(in crate::query) fn differs(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return false;
    }
    match (from, to) {
        (from, to) if is_text(to) => {
            from.is_floating()
                || is_bytes(from)
                || matches!(
                    from,
                    T::Timestamp(..)
                        | T::Date32
                        | T::Date64
                        | T::Time32(_)
                        | T::Time64(_)
                        | T::Interval(_)
                        | T::Duration(_)
                        | T::Struct(_)
                )
                || is_list(from)
        }
        (from, to) if is_text(from) => {
            to.is_numeric()
                || matches!(
                    to,
                    T::Timestamp(..)
                        | T::Date32
                        | T::Date64
                        | T::Time32(_)
                        | T::Time64(_)
                        | T::Interval(_)
                        | T::Duration(_)
                        | T::Boolean
                        | T::Binary
                        | T::BinaryView
                        | T::LargeBinary
                        | T::List(_)
                )
        }
        (T::Float64, T::Float32) => true,
        (from, to) if from.is_floating() => to.is_integer() || is_decimal(to),
        // The engine's cast divides what may have more digits than a float by what may be none.
        (T::Decimal128(..), T::Float32 | T::Float64) => true,
        (from, to) if is_decimal(from) => to.is_integer(),
        (T::Duration(_), T::Interval(_)) | (T::Interval(_), T::Duration(_)) => true,
        (from, to) => match (item(from), item(to)) {
            (Some(from), Some(to)) => differs(from.data_type(), to.data_type()),
            _ => false,
        },
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether values are bytes.
fn is_bytes(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_)
    )
}

fn is_list(data_type: &DataType) -> bool {
    item(data_type).is_some()
}

/// What the items of a list are.
fn item(list: &DataType) -> Option<&FieldRef> {
    match list {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..)
    )
}

/// The type's name in PostgreSQL.
pub(in crate::query) fn type_name(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Boolean => "boolean",
        T::Int8 | T::UInt8 | T::Int16 => "smallint",
        T::Int32 | T::UInt16 => "integer",
        T::Int64 | T::UInt32 => "bigint",
        T::Float16 | T::Float32 => "real",
        T::Float64 => "double precision",
        T::UInt64 | T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => "numeric",
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "text",
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "bytea",
        T::Date32 | T::Date64 => "date",
        T::Time32(_) | T::Time64(_) => "time without time zone",
        T::Timestamp(_, None) => "timestamp without time zone",
        T::Timestamp(_, Some(_)) => "timestamp with time zone",
        T::Interval(_) | T::Duration(_) => "interval",
        T::Struct(_) => "record",
        T::Null => "unknown",
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            return format!("{}[]", type_name(item.data_type()));
        }
        T::Dictionary(_, value) => return type_name(value),
        other => return other.to_string(),
    }
    .to_owned()
}
