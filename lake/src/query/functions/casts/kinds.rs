//! Of which type a value is, and values of types that are stored as text: `pg_typeof`, `to_uuid`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::{FAMILY, type_name};
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN, always};

/// A type's name for all rows.
fn named(args: &Arguments, name: impl Fn(&DataType) -> String) -> Result<ArrayRef> {
    let name = name(args.array(0)?.data_type());
    Ok(Arc::new(StringArray::from(vec![name; args.rows])))
}

/// The type's name in DuckDB.
fn duck_name(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Int8 => "TINYINT",
        T::Int16 => "SMALLINT",
        T::Int32 => "INTEGER",
        T::Int64 => "BIGINT",
        T::UInt8 => "UTINYINT",
        T::UInt16 => "USMALLINT",
        T::UInt32 => "UINTEGER",
        T::UInt64 => "UBIGINT",
        T::Float16 | T::Float32 => "FLOAT",
        T::Float64 => "DOUBLE",
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "VARCHAR",
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "BLOB",
        T::Time32(_) | T::Time64(_) => "TIME",
        T::Timestamp(_, None) => "TIMESTAMP",
        T::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        T::Null => "\"NULL\"",
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => return format!("DECIMAL({precision},{scale})"),
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            return format!("{}[]", duck_name(item.data_type()));
        }
        other => return type_name(other).to_ascii_uppercase(),
    }
    .to_owned()
}

/// UUIDs in small letters and groups.
fn to_uuid(args: &Arguments, lenient: bool) -> Result<ArrayRef> {
    let texts = args.text(0)?;
    let rows = texts.iter().map(|text| match text.map(uuid) {
        None => Ok(None),
        Some(None) if !lenient => exec_err!("cannot cast to uuid: invalid input syntax for type uuid"),
        Some(uuid) => Ok(uuid),
    });
    Ok(Arc::new(rows.collect::<Result<StringArray>>()?))
}

/// 32 hexadecimal digits, in braces or not, with a hyphen after any group of four.
fn uuid(text: &str) -> Option<String> {
    let text = text.trim();
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text);
    let mut digits = String::with_capacity(32);
    for letter in inside.chars() {
        match letter {
            '-' if !digits.is_empty() && digits.len().is_multiple_of(4) => {}
            letter if letter.is_ascii_hexdigit() => digits.push(letter.to_ascii_lowercase()),
            _ => return None,
        }
    }
    (digits.len() == 32).then_some(())?;
    let group = |from: usize, to: usize| digits.get(from..to);
    Some(
        [
            group(0, 8)?,
            group(8, 12)?,
            group(12, 16)?,
            group(16, 20)?,
            group(20, 32)?,
        ]
        .join("-"),
    )
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "pg_typeof",
        family: FAMILY,
        about: "PostgreSQL's name of a value's type.",
        syntax: "pg_typeof(value)",
        example: "select pg_typeof(date '2024-02-29')",
        forms: &[&[Kind::Any]],
        returns: always!(DataType::Utf8),
        body: |args| named(args, type_name),
        ..PLAIN
    },
    Definition {
        name: "typeof",
        family: FAMILY,
        about: "DuckDB's name of a value's type.",
        syntax: "typeof(value)",
        example: "select typeof(date '2024-02-29')",
        forms: &[&[Kind::Any]],
        returns: always!(DataType::Utf8),
        body: |args| named(args, duck_name),
        ..PLAIN
    },
    Definition {
        name: "to_uuid",
        family: FAMILY,
        about: "A UUID in small letters, in groups with hyphens. What a cast to `uuid` becomes.",
        syntax: "to_uuid(text)",
        example: "select to_uuid('6F1E2D3C000040008000000000000000')",
        forms: &[&[Kind::Text]],
        returns: always!(DataType::Utf8),
        body: |args| to_uuid(args, false),
        ..PLAIN
    },
    Definition {
        name: "try_to_uuid",
        family: FAMILY,
        about: "A UUID, null where the text is none.",
        syntax: "try_to_uuid(text)",
        example: "select try_to_uuid('none')",
        forms: &[&[Kind::Text]],
        returns: always!(DataType::Utf8),
        body: |args| to_uuid(args, true),
        ..PLAIN
    },
];
