//! JSON made from values.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray};
use datafusion::common::{Result, exec_err};

use super::super::define::Takes::{Any, Boolean, Text};
use super::super::define::{Definition, Gives, Row, text_of};
use super::access::list;
use super::canonical::{canonical, pretty};
use super::path::names_of;
use super::scan::{Value, quote};
use super::write::{text, write};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "json",
        takes: &[Text],
        gives: Gives::Json(|row| Ok(Some(Value::parse(row.text(0))?.raw().into()))),
        what: "The text, if it is JSON, and an error if not: what `cast(… as json)` calls.",
        syntax: "json(text)",
        example: "json('{\"a\": 1}') ->> 'a' = '1'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb",
        takes: &[Text],
        gives: Gives::Json(|row| Ok(Some(canonical(Value::parse(row.text(0))?).into()))),
        what: "The text, if it is JSON, with each name once and in order, so that equal values are equal texts, and an \
               error if it is not: what `cast(… as jsonb)` calls.",
        syntax: "jsonb(text)",
        example: "jsonb('{\"b\":1,\"a\":2}') = '{\"a\": 2, \"b\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "parse_json",
        aliases: &["json_parse"],
        takes: &[Text],
        gives: Gives::Json(|row| {
            let text = row.text(0);
            if text.trim().is_empty() {
                return Ok(None);
            }
            Ok(Some(Value::parse(text)?.raw().into()))
        }),
        what: "The text, if it is JSON, null if it is empty, and an error otherwise.",
        syntax: "parse_json(text)",
        example: "parse_json('{\"a\": 1}'):a = '1'",
        ..Definition::PLAIN
    },
    Definition {
        name: "try_parse_json",
        aliases: &["try_json", "safe_parse_json"],
        takes: &[Text],
        gives: Gives::Json(|row| Ok(Value::read(row.text(0)).map(|value| value.raw().into()))),
        what: "The text, if it is JSON, and null if not.",
        syntax: "try_parse_json(text)",
        example: "try_parse_json('{') is null",
        ..Definition::PLAIN
    },
    Definition {
        name: "to_json",
        aliases: &[
            "array_to_json",
            "row_to_json",
            "to_json_string",
            "json_quote",
            "to_variant",
        ],
        takes: &[Any, Boolean],
        optional: 1,
        gives: Gives::Json(|row| {
            let mut out = String::new();
            put(row, 0, &mut out)?;
            Ok(Some(out.into()))
        }),
        what: "The value as JSON: lists are arrays, structs and maps are objects.",
        syntax: "to_json(value)",
        example: "to_json('a\"b') = '\"a\\\"b\"'",
        ..Definition::PLAIN
    },
    Definition {
        name: "to_jsonb",
        takes: &[Any],
        gives: Gives::Json(|row| {
            let mut out = String::new();
            put(row, 0, &mut out)?;
            in_order(&out)
        }),
        what: "The value as JSON, with each name once and in order.",
        syntax: "to_jsonb(value)",
        example: "to_jsonb('a\"b') = '\"a\\\"b\"'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_format",
        aliases: &["json_serialize"],
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(canonical(Value::parse(row.text(0))?).into()))),
        what: "The text of a value of JSON.",
        syntax: "json_format(json)",
        example: "json_format(json('[1,2]')) = '[1, 2]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_pretty",
        aliases: &["json_pretty"],
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(pretty(Value::parse(row.text(0))?).into()))),
        what: "The text of a value of JSON with a line for each member and item.",
        syntax: "jsonb_pretty(json)",
        example: "jsonb_pretty('[1]') = '[\n    1\n]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_build_object",
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| object(row, 0, false).map(|text| Some(text.into()))),
        what: "An object of JSON of names and values, one after the other.",
        syntax: "json_build_object(name, value, …)",
        example: "json_build_object('a', 1) = '{\"a\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_build_object",
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| in_order(&object(row, 0, false)?)),
        what: "An object of JSON of names and values, each name once and in order: the shorter ones first.",
        syntax: "jsonb_build_object(name, value, …)",
        example: "jsonb_build_object('bb', 1, 'a', 2) = '{\"a\": 2, \"bb\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_object",
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| Ok(object_or_lists(row)?.map(Cow::from))),
        what: "An object of JSON of names and values, one after the other, in one list or in two. \
               `json_object('a': 1 absent on null)` is written too.",
        syntax: "json_object(name, value, …) | json_object(names, values)",
        example: "json_object('a': 1) = '{\"a\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_object",
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| match object_or_lists(row)? {
            Some(object) => in_order(&object),
            None => Ok(None),
        }),
        what: "An object of JSON of names and values, one after the other, in one list or in two, each name once and in order.",
        syntax: "jsonb_object(name, value, …) | jsonb_object(names, values)",
        example: "jsonb_object(array['bb', 'a'], array['x', 'y']) = '{\"a\": \"y\", \"bb\": \"x\"}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "object_construct",
        aliases: &["json_object_absent_on_null"],
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| object(row, 0, true).map(|text| Some(text.into()))),
        what: "An object of JSON of names and values, one after the other; pairs with a null are left out.",
        syntax: "object_construct(name, value, …)",
        example: "object_construct('a', 1, 'b', null) = '{\"a\": 1}'",
    },
    Definition {
        name: "object_construct_keep_null",
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| object(row, 0, false).map(|text| Some(text.into()))),
        what: "An object of JSON of names and values, one after the other.",
        syntax: "object_construct_keep_null(name, value, …)",
        example: "object_construct_keep_null('a', null) = '{\"a\": null}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_build_array",
        aliases: &["json_array"],
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| array(row, false).map(|text| Some(text.into()))),
        what: "An array of JSON of the values.",
        syntax: "json_build_array(value, …)",
        example: "json_build_array(1, 'a', null) = '[1, \"a\", null]'",
    },
    Definition {
        name: "jsonb_build_array",
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| in_order(&array(row, false)?)),
        what: "An array of JSON of the values, in which objects have each name once and in order.",
        syntax: "jsonb_build_array(value, …)",
        example: "jsonb_build_array(1, 'a', null) = '[1, \"a\", null]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_array_absent_on_null",
        takes: &[Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| array(row, true).map(|text| Some(text.into()))),
        what: "An array of JSON of the values, nulls left out: what `json_array(… absent on null)` calls.",
        syntax: "json_array_absent_on_null(value, …)",
        example: "json_array(1, null absent on null) = '[1]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_array_of",
        takes: &[Any],
        gives: Gives::Json(|row| array_of(row, true).map(|text| Some(text.into()))),
        what: "An array of JSON of a list whose items are JSON: what `json_agg` calls.",
        syntax: "json_array_of(list)",
        example: "json_array_of(array['1', null]) = '[1, null]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_array_of",
        takes: &[Any],
        gives: Gives::Json(|row| in_order(&array_of(row, true)?)),
        what: "An array of JSON of a list whose items are JSON, names in order: what `jsonb_agg` calls.",
        syntax: "jsonb_array_of(list)",
        example: "jsonb_array_of(array['1', null]) = '[1, null]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_array_of_values",
        takes: &[Any],
        gives: Gives::Json(|row| array_of(row, false).map(|text| Some(text.into()))),
        what: "An array of JSON of a list whose items are JSON, nulls left out: what `json_arrayagg` calls.",
        syntax: "json_array_of_values(list)",
        example: "json_array_of_values(array['1', null]) = '[1]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_object_of",
        takes: &[Any],
        gives: Gives::Json(|row| object_of(row, true).map(|text| Some(text.into()))),
        what: "An object of JSON of a list of names and values that are JSON: what `json_object_agg` calls.",
        syntax: "json_object_of(list)",
        example: "json_object_of(array[named_struct('key', 'a', 'value', '1')]) = '{\"a\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_object_of",
        takes: &[Any],
        gives: Gives::Json(|row| in_order(&object_of(row, true)?)),
        what: "An object of JSON of a list of names and values that are JSON, each name once and in order: what \
               `jsonb_object_agg` calls.",
        syntax: "jsonb_object_of(list)",
        example: "jsonb_object_of(array[named_struct('key', 'a', 'value', '1')]) = '{\"a\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_object_of_values",
        takes: &[Any],
        gives: Gives::Json(|row| object_of(row, false).map(|text| Some(text.into()))),
        what: "An object of JSON of a list of names and values that are JSON, nulls left out: what `object_agg` calls.",
        syntax: "json_object_of_values(list)",
        example: "json_object_of_values(array[named_struct('key', 'a', 'value', '1')]) = '{\"a\": 1}'",
        ..Definition::PLAIN
    },
];

/// The text of JSON as `jsonb` has it.
fn in_order<'a>(text: &str) -> Result<Option<Cow<'a, str>>> {
    Ok(Some(canonical(Value::parse(text)?).into()))
}

/// An object of names and values, of a list of both, or of two lists; null of a null.
fn object_or_lists(row: Row<'_>) -> Result<Option<String>> {
    // A list may be written as a text: `'{a,1}'`.
    let of_text = |place: usize| match row.text(place) {
        text if row.has(place) && text.starts_with('{') => {
            let items = names_of(text)?.into_iter();
            Ok(Some(
                items
                    .map(|item| (!item.eq_ignore_ascii_case("null")).then_some(item))
                    .collect(),
            ))
        }
        _ => list(row, place),
    };
    match (of_text(0)?, if row.len() > 2 { None } else { of_text(1)? }) {
        (Some(names), values) => of_lists(names, values).map(Some),
        (None, _) if row.len() == 1 && row.is_null(0) => Ok(None),
        (None, _) => object(row, 0, false).map(Some),
    }
}

/// The items of the list in the first argument.
fn items_of(row: Row<'_>) -> Result<ArrayRef> {
    let list = row
        .value(0)
        .and_then(|(column, at)| Some(column.values.as_list_opt::<i32>()?.value(at)));
    match list {
        Some(items) => Ok(items),
        None => exec_err!("a list is wanted"),
    }
}

fn array_of(row: Row<'_>, keeps_nulls: bool) -> Result<String> {
    let items = items_of(row)?;
    let mut out = String::from("[");
    for at in (0..items.len()).filter(|&at| keeps_nulls || !items.is_null(at)) {
        out.push_str(if out.len() > 1 { ", " } else { "" });
        out.push_str(if items.is_null(at) {
            "null"
        } else {
            text_of(&items, at).unwrap_or("null")
        });
    }
    out.push(']');
    Ok(out)
}

fn object_of(row: Row<'_>, keeps_nulls: bool) -> Result<String> {
    let items = items_of(row)?;
    let Some([names, values]) = items.as_struct_opt().map(|pairs| pairs.columns()) else {
        return exec_err!("a list of names and values is wanted");
    };
    let mut out = String::from("{");
    for at in (0..items.len()).filter(|&at| keeps_nulls || !values.is_null(at)) {
        let Some(name) = (!names.is_null(at)).then(|| text_of(names, at)).flatten() else {
            return exec_err!("a name in an object of JSON is not null");
        };
        out.push_str(if out.len() > 1 { ", " } else { "" });
        quote(name, &mut out);
        out.push_str(": ");
        out.push_str(if values.is_null(at) {
            "null"
        } else {
            text_of(values, at).unwrap_or("null")
        });
    }
    out.push('}');
    Ok(out)
}

/// Writes an argument as JSON.
fn put(row: Row<'_>, place: usize, out: &mut String) -> Result<()> {
    match row.value(place) {
        Some((column, at)) => write(&column.values, at, &column.field, out),
        None => {
            out.push_str("null");
            Ok(())
        }
    }
}

fn object(row: Row<'_>, from: usize, absent_on_null: bool) -> Result<String> {
    if !(row.len() - from).is_multiple_of(2) {
        return exec_err!("an object of JSON is made of names and values, and a value is missing");
    }
    let mut out = String::from("{");
    for place in (from..row.len()).step_by(2) {
        if absent_on_null && (row.is_null(place) || row.is_null(place + 1)) {
            continue;
        }
        let Some((name, at)) = row.value(place).filter(|_| !row.is_null(place)) else {
            return exec_err!("a name in an object of JSON is not null");
        };
        out.push_str(if out.len() > 1 { ", " } else { "" });
        quote(&text(&name.values, at)?, &mut out);
        out.push_str(": ");
        put(row, place + 1, &mut out)?;
    }
    out.push('}');
    Ok(out)
}

fn array(row: Row<'_>, absent_on_null: bool) -> Result<String> {
    let mut out = String::from("[");
    for place in (0..row.len()).filter(|&place| !(absent_on_null && row.is_null(place))) {
        out.push_str(if out.len() > 1 { ", " } else { "" });
        put(row, place, &mut out)?;
    }
    out.push(']');
    Ok(out)
}

/// An object of a list of names and one of values, or of a list of both.
fn of_lists(names: Vec<Option<String>>, values: Option<Vec<Option<String>>>) -> Result<String> {
    let pairs: Vec<_> = match values {
        Some(values) if values.len() == names.len() => names.into_iter().zip(values).collect(),
        None if names.len().is_multiple_of(2) => {
            let mut both = names.into_iter();
            std::iter::from_fn(|| Some((both.next()?, both.next()?))).collect()
        }
        _ => return exec_err!("an object of JSON is made of as many names as values"),
    };
    let mut out = String::from("{");
    for (name, value) in pairs {
        let Some(name) = name else {
            return exec_err!("a name in an object of JSON is not null");
        };
        out.push_str(if out.len() > 1 { ", " } else { "" });
        quote(&name, &mut out);
        out.push_str(": ");
        match value {
            Some(value) => quote(&value, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(out)
}
