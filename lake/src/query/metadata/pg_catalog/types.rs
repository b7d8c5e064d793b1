//! PostgreSQL's types: which one stands for one of Arrow's, `pg_type`, and what `format_type` says.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::error::Result;

use super::oids;
use crate::query::metadata::columns::{All, batch, flag, number, oid, text};
use crate::query::metadata::sql_types;

/// A type of PostgreSQL.
struct Type {
    oid: i64,
    name: &'static str,
    /// The standard's name.
    formal: &'static str,
    /// Bytes; -1 if it varies.
    length: i32,
    /// `pg_type.typcategory`.
    category: &'static str,
    /// The type of arrays of it; 0 if there is none.
    array: i64,
}

const fn of(
    oid: i64,
    name: &'static str,
    formal: &'static str,
    length: i32,
    category: &'static str,
    array: i64,
) -> Type {
    Type {
        oid,
        name,
        formal,
        length,
        category,
        array,
    }
}

/// Those that columns have, and those that tools look up.
const TYPES: [Type; 27] = [
    of(16, "bool", "boolean", 1, "B", 1000),
    of(17, "bytea", "bytea", -1, "U", 1001),
    of(18, "char", "\"char\"", 1, "Z", 1002),
    of(19, "name", "name", 64, "S", 1003),
    of(20, "int8", "bigint", 8, "N", 1016),
    of(21, "int2", "smallint", 2, "N", 1005),
    of(23, "int4", "integer", 4, "N", 1007),
    of(24, "regproc", "regproc", 4, "N", 1008),
    of(25, "text", "text", -1, "S", 1009),
    of(26, "oid", "oid", 4, "N", 1028),
    of(114, "json", "json", -1, "U", 199),
    of(700, "float4", "real", 4, "N", 1021),
    of(701, "float8", "double precision", 8, "N", 1022),
    of(705, "unknown", "unknown", -2, "X", 0),
    of(1042, "bpchar", "character", -1, "S", 1014),
    of(1043, "varchar", "character varying", -1, "S", 1015),
    of(1082, "date", "date", 4, "D", 1182),
    of(1083, "time", "time without time zone", 8, "D", 1183),
    of(1114, "timestamp", "timestamp without time zone", 8, "D", 1115),
    of(1184, "timestamptz", "timestamp with time zone", 8, "D", 1185),
    of(1186, "interval", "interval", 16, "T", 1187),
    of(1700, "numeric", "numeric", -1, "N", 1231),
    of(2205, "regclass", "regclass", 4, "N", 2210),
    of(2249, "record", "record", -1, "P", 2287),
    of(2278, "void", "void", 4, "P", 0),
    of(2950, "uuid", "uuid", 16, "U", 2951),
    of(3802, "jsonb", "jsonb", -1, "U", 3807),
];

/// What PostgreSQL calls a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub oid: i64,
    pub length: i32,
    pub is_array: bool,
}

/// The type that stands for one of Arrow's.
pub(super) fn known(data_type: &DataType) -> Known {
    if let Some(items) = items(data_type) {
        let item = scalar(items);
        return Known {
            oid: item.array,
            length: -1,
            is_array: true,
        };
    }
    let scalar = scalar(data_type);
    Known {
        oid: scalar.oid,
        length: scalar.length,
        is_array: false,
    }
}

/// Its name: `int8`, or `_int8` for an array of them.
pub(in super::super) fn name(data_type: &DataType) -> String {
    match items(data_type) {
        Some(items) => format!("_{}", scalar(items).name),
        None => scalar(data_type).name.to_owned(),
    }
}

/// `pg_attribute.atttypmod`: the sizes of a decimal, else -1.
pub(super) fn modifier(data_type: &DataType) -> i32 {
    sql_types::decimal(data_type).map_or(-1, |(precision, scale)| {
        // The scale has eleven bits, as since version 15.
        (i32::from(precision) << 16) + (i32::from(scale) & 0x7ff) + 4
    })
}

fn items(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => Some(field.data_type()),
        _ => None,
    }
}

fn scalar(data_type: &DataType) -> &'static Type {
    let oid = match data_type {
        DataType::Boolean => 16,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 21,
        DataType::UInt16 | DataType::Int32 => 23,
        DataType::UInt32 | DataType::Int64 => 20,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::UInt64 => 1700,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 17,
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Timestamp(_, None) => 1114,
        DataType::Timestamp(_, Some(_)) => 1184,
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => 114,
        DataType::Dictionary(_, value) => return scalar(value),
        DataType::RunEndEncoded(_, value) => return scalar(value.data_type()),
        _ => 1043,
    };
    TYPES.iter().find(|known| known.oid == oid).unwrap_or(&TEXT)
}

static TEXT: Type = of(25, "text", "text", -1, "S", 1009);

/// What `format_type(oid, modifier)` says: `numeric(28,2)`, `bigint[]`; `???` of what is not a type, as PostgreSQL.
pub(in crate::query) fn format(oid: i64, modifier: Option<i64>) -> String {
    let sized = |known: &Type| match modifier {
        Some(modifier) if known.oid == 1700 && modifier >= 4 => {
            let (precision, scale) = ((modifier - 4) >> 16, (modifier - 4) & 0x7ff);
            // Eleven bits with a sign.
            let scale = if scale < 1024 { scale } else { scale - 2048 };
            format!("{}({precision},{scale})", known.formal)
        }
        Some(modifier) if [1042, 1043].contains(&known.oid) && modifier >= 4 => {
            format!("{}({})", known.formal, modifier - 4)
        }
        _ => known.formal.to_owned(),
    };
    let mut found = TYPES.iter().filter(|known| known.oid == oid).map(sized);
    let mut arrays = TYPES.iter().filter(|known| known.array == oid && oid != 0);
    found
        .next()
        .or_else(|| arrays.next().map(|item| format!("{}[]", sized(item))))
        .unwrap_or_else(|| "???".to_owned())
}

/// The identifier of the type that is named so, by PostgreSQL's name or the standard's; also of arrays, `int8[]`.
pub(in crate::query) fn oid_of(name: &str) -> Option<i64> {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let (item, is_array) = match name.strip_suffix("[]") {
        Some(item) => (item, true),
        None => (name, false),
    };
    let known = TYPES.iter().find(|known| known.name == item || known.formal == item)?;
    Some(if is_array { known.array } else { known.oid })
}

/// `pg_type`: every type, then the arrays of each.
pub(super) fn rows() -> Result<RecordBatch> {
    struct Row {
        of: &'static Type,
        oid: i64,
        name: String,
        is_array: bool,
    }
    let scalars = TYPES.iter().map(|of| Row {
        of,
        oid: of.oid,
        name: of.name.to_owned(),
        is_array: false,
    });
    let arrays = TYPES.iter().filter(|of| of.array != 0).map(|of| Row {
        of,
        oid: of.array,
        name: format!("_{}", of.name),
        is_array: true,
    });
    let rows: Vec<_> = scalars.chain(arrays).collect();
    let (all, rows) = (All(rows.len()), rows.iter());
    let kind = |row: &Row| if row.of.category == "P" { "p" } else { "b" };
    batch(vec![
        ("oid", oid(rows.clone().map(|row| row.oid))),
        ("typname", text(rows.clone().map(|row| &row.name))),
        ("typnamespace", all.oid(oids::of_schema(super::NAME))),
        ("typowner", all.oid(oids::OWNER)),
        (
            "typlen",
            number(rows.clone().map(|row| if row.is_array { -1 } else { row.of.length })),
        ),
        (
            "typbyval",
            flag(
                rows.clone()
                    .map(|row| !row.is_array && (1..=8).contains(&row.of.length)),
            ),
        ),
        ("typtype", text(rows.clone().map(kind))),
        (
            "typcategory",
            text(rows.clone().map(|row| if row.is_array { "A" } else { row.of.category })),
        ),
        ("typispreferred", all.flag(false)),
        ("typisdefined", all.flag(true)),
        ("typdelim", all.text(",")),
        ("typrelid", all.oid(0)),
        (
            "typelem",
            oid(rows.clone().map(|row| if row.is_array { row.of.oid } else { 0 })),
        ),
        (
            "typarray",
            oid(rows.clone().map(|row| if row.is_array { 0 } else { row.of.array })),
        ),
        ("typnotnull", all.flag(false)),
        ("typbasetype", all.oid(0)),
        ("typtypmod", all.number(-1)),
        ("typndims", all.number(0)),
        (
            "typcollation",
            oid(rows.map(|row| if row.of.category == "S" { 100 } else { 0 })),
        ),
        ("typdefault", all.no_text()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_formatted_as_postgresql_does() {
        let money = DataType::Decimal128(28, 2);
        let arrays = DataType::new_list(DataType::Int64, true);
        for (data_type, expected) in [
            (&money, "numeric(28,2)"),
            (&arrays, "bigint[]"),
            (&DataType::Utf8View, "character varying"),
        ] {
            let modifier = i64::from(modifier(data_type));
            assert_eq!(format(known(data_type).oid, Some(modifier)), expected);
        }
        assert_eq!(format(0, None), "???");
    }
}
