//! How many dimensions a list of lists has, and how many items each: PostgreSQL's arrays, which count from 1 and are as long
//! in each row as in the first. An empty one has no dimension. (PostgreSQL, "Array Functions and Operators".)

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use super::super::define::Takes::{Any, Integer};
use super::super::define::{Definition, Gives, Row};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "array_length",
        aliases: &["list_length"],
        takes: &[Any, Integer],
        optional: 1,
        gives: Gives::Integer(|row| match row.has(1) {
            true => Ok(length(row)),
            false => Ok(Some(count(lengths(row).first().copied().unwrap_or_default()))),
        }),
        what: "The number of items of a list; of one of its dimensions, null if it has none.",
        syntax: "array_length(list [, dimension])",
        example: "array_length(array[array[1, 2, 3], array[4, 5, 6]], 2) = 3",
        ..Definition::PLAIN
    },
    Definition {
        name: "array_lower",
        takes: &[Any, Integer],
        gives: Gives::Integer(|row| Ok(length(row).map(|_| 1))),
        what: "The place of the first item of a dimension of a list: 1, null if it has none.",
        syntax: "array_lower(list, dimension)",
        example: "array_lower(array['a', 'b'], 1) = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "array_upper",
        takes: &[Any, Integer],
        gives: Gives::Integer(|row| Ok(length(row))),
        what: "The place of the last item of a dimension of a list, null if it has none.",
        syntax: "array_upper(list, dimension)",
        example: "array_upper(array['a', 'b'], 1) = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "array_ndims",
        aliases: &["list_ndims"],
        takes: &[Any],
        gives: Gives::Integer(|row| {
            let dimensions = lengths(row).len();
            Ok((dimensions > 0).then(|| count(dimensions)))
        }),
        what: "The number of dimensions of a list of lists, null if it is empty.",
        syntax: "array_ndims(list)",
        example: "array_ndims(array[array[1, 2], array[3, 4]]) = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "array_dims",
        aliases: &["list_dims"],
        takes: &[Any],
        gives: Gives::Text(|row| {
            let bounds: String = lengths(row).iter().map(|length| format!("[1:{length}]")).collect();
            Ok((!bounds.is_empty()).then(|| bounds.into()))
        }),
        what: "The bounds of the dimensions of a list of lists as a text, null if it is empty.",
        syntax: "array_dims(list)",
        example: "array_dims(array[array[1, 2, 3], array[4, 5, 6]]) = '[1:2][1:3]'",
        ..Definition::PLAIN
    },
];

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// How long the dimension is that the second argument counts.
fn length(row: Row<'_>) -> Option<i32> {
    let place = usize::try_from(row.integer(1).checked_sub(1)?).ok()?;
    lengths(row).get(place).copied().map(count)
}

/// How long the dimensions of the list are.
fn lengths(row: Row<'_>) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut list = row.value(0).and_then(|(column, at)| items(&column.values, at));
    while let Some(items_here) = list.filter(|items| !items.is_empty()) {
        lengths.push(items_here.len());
        list = items(&items_here, 0);
    }
    lengths
}

/// The items of a list.
fn items(lists: &ArrayRef, at: usize) -> Option<ArrayRef> {
    if lists.is_null(at) {
        return None;
    }
    Some(match lists.data_type() {
        DataType::List(_) => lists.as_list::<i32>().value(at),
        DataType::LargeList(_) => lists.as_list::<i64>().value(at),
        DataType::FixedSizeList(..) => lists.as_fixed_size_list().value(at),
        _ => return None,
    })
}
