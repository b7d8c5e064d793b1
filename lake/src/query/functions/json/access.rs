//! Values within JSON.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use datafusion::common::{Result, plan_err};

use super::super::define::Takes::{Any, Integer, Text};
use super::super::define::{Definition, Gives, Row, text_of};
use super::path::{Path, names_of};
use super::scan::{Kind, Value};

/// A text that is JSON, or one of a value that is.
type Json<'a> = Result<Option<Cow<'a, str>>>;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "json_get",
        takes: &[Text, Any],
        gives: Gives::Json(|row| raw(step(row)?)),
        what: "A member of an object by its name or an item of an array by its place, from 0 on: what `->` calls.",
        syntax: "json_get(json, name | place)",
        example: "'{\"a\": {\"b\": 1}}'::json -> 'a' = '{\"b\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_get_text",
        takes: &[Text, Any],
        gives: Gives::Text(|row| Ok(step(row)?.and_then(Value::text_or_null))),
        what: "A member of an object by its name or an item of an array by its place, from 0 on, as text: what `->>` calls.",
        syntax: "json_get_text(json, name | place)",
        example: "'{\"a\": \"x\"}'::json ->> 'a' = 'x'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_get_at",
        takes: &[Text, Any],
        gives: Gives::Json(|row| raw(names(row, 1)?.find(Value::parse(row.text(0))?))),
        what: "The value at a path of names: what `#>` calls.",
        syntax: "json_get_at(json, names)",
        example: "'{\"a\": [1, 2]}'::json #> '{a,1}' = '2'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_get_at_text",
        takes: &[Text, Any],
        gives: Gives::Text(|row| {
            let found = names(row, 1)?.find(Value::parse(row.text(0))?);
            Ok(found.and_then(Value::text_or_null))
        }),
        what: "The value at a path of names as text: what `#>>` calls.",
        syntax: "json_get_at_text(json, names)",
        example: "'{\"a\": [1, 2]}'::json #>> '{a,1}' = '2'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_extract_path",
        aliases: &["jsonb_extract_path"],
        takes: &[Text, Text],
        repeats: true,
        gives: Gives::Json(|row| raw(named(row, row.len()).find(Value::parse(row.text(0))?))),
        what: "The value that a way of names leads to.",
        syntax: "json_extract_path(json, name, …)",
        example: "json_extract_path('{\"a\": {\"b\": 1}}', 'a', 'b') = '1'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_extract_path_text",
        aliases: &["jsonb_extract_path_text"],
        takes: &[Text, Text],
        repeats: true,
        gives: Gives::Text(|row| {
            // Redshift's last argument says whether what is not JSON is null.
            let last = row.len() - 1;
            let lenient = last > 1 && matches!(row.text(last), "true" | "false");
            let value = match lenient && row.text(last) == "true" {
                true => Value::read(row.text(0)),
                false => Some(Value::parse(row.text(0))?),
            };
            let path = named(row, row.len() - usize::from(lenient));
            Ok(value.and_then(|value| path.find(value)).and_then(Value::text_or_null))
        }),
        what: "The value that a way of names leads to, as text.",
        syntax: "json_extract_path_text(json, name, …)",
        example: "json_extract_path_text('{\"a\": {\"b\": \"y\"}}', 'a', 'b') = 'y'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_extract",
        aliases: &["json_query"],
        takes: &[Text, Any],
        repeats: true,
        optional: 1,
        gives: Gives::Json(|row| {
            let value = Value::parse(row.text(0))?;
            if row.len() <= 2 {
                let path = path(row, 1)?;
                return match path.is_many() {
                    true => Ok(Some(array(&path.find_all(value)).into())),
                    false => raw(path.find(value)),
                };
            }
            let mut found = Vec::new();
            for place in 1..row.len() {
                found.extend(path(row, place)?.find_all(value));
            }
            Ok((!found.is_empty()).then(|| array(&found).into()))
        }),
        what: "The value at a path such as `$.a[0]`, at a name or at a place. With several paths, or one with `*`, an array \
               of all values.",
        syntax: "json_extract(json, path, …)",
        example: "json_extract('{\"a\": [1, 2]}', '$.a[1]') = '2'",
        ..Definition::PLAIN
    },
    Definition {
        name: "get_path",
        takes: &[Text, Text],
        gives: Gives::Json(|row| raw(Path::parse_bare(row.text(1))?.find(Value::parse(row.text(0))?))),
        what: "The value at a path such as `a.b[0]`.",
        syntax: "get_path(json, path)",
        example: "get_path('{\"a\": {\"b\": [7]}}', 'a.b[0]') = '7'",
        ..Definition::PLAIN
    },
    Definition {
        name: "get_path_text",
        takes: &[Text, Text],
        gives: Gives::Text(|row| {
            let found = Path::parse_bare(row.text(1))?.find(Value::parse(row.text(0))?);
            Ok(found.and_then(Value::text_or_null))
        }),
        what: "The value at a path such as `a.b[0]`, as text: what `json:a.b[0]` calls.",
        syntax: "get_path_text(json, path)",
        example: "parse_json('{\"a\": {\"b\": [7]}}'):a.b[0] = '7'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_extract_string",
        aliases: &["json_extract_text"],
        takes: &[Text, Any],
        gives: Gives::Text(|row| {
            Ok(path(row, 1)?
                .find(Value::parse(row.text(0))?)
                .and_then(Value::text_or_null))
        }),
        what: "The value at a path such as `$.a[0]`, at a name or at a place, as text.",
        syntax: "json_extract_string(json, path)",
        example: "json_extract_string('{\"a\": \"x\"}', '$.a') = 'x'",
        ..Definition::PLAIN
    },
    Definition {
        name: "get_json_object",
        takes: &[Text, Text],
        gives: Gives::Text(|row| {
            let (Some(value), Ok(path)) = (Value::read(row.text(0)), path(row, 1)) else {
                return Ok(None);
            };
            match path.is_many() {
                true => {
                    let found = path.find_all(value);
                    Ok((!found.is_empty()).then(|| array(&found).into()))
                }
                false => Ok(path.find(value).and_then(Value::text_or_null)),
            }
        }),
        what: "The value at a path such as `$.a[0]` as text; null where the text is not JSON.",
        syntax: "get_json_object(json, path)",
        example: "get_json_object('{\"a\": \"x\"}', '$.a') = 'x'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_value",
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Text(|row| Ok(path(row, 1)?.find(Value::parse(row.text(0))?).and_then(Value::scalar))),
        what: "The string, number or boolean at a path such as `$.a[0]` as text; null if an array or an object is there.",
        syntax: "json_value(json [, path])",
        example: "json_value('{\"a\": \"x\"}', '$.a') = 'x'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_extract_scalar",
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Text(|row| {
            let path = path(row, 1)?;
            Ok(Value::read(row.text(0))
                .and_then(|value| path.find(value))
                .and_then(Value::scalar))
        }),
        what: "The string, number or boolean at a path such as `$.a[0]` as text; null if an array or an object is there, \
               or the text is not JSON.",
        syntax: "json_extract_scalar(json [, path])",
        example: "json_extract_scalar('{\"a\": \"x\"}', '$.a') = 'x'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_extract_array_element_text",
        takes: &[Text, Integer],
        gives: Gives::Text(|row| {
            Ok(Value::parse(row.text(0))?
                .item(row.integer(1))
                .and_then(Value::text_or_null))
        }),
        what: "An item of an array by its place, from 0 on, as text.",
        syntax: "json_extract_array_element_text(json, place)",
        example: "json_extract_array_element_text('[1, 2]', 1) = '2'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_path_query_first",
        takes: &[Text, Text],
        gives: Gives::Json(|row| {
            let found = path(row, 1)?.find_lax(Value::parse(row.text(0))?);
            raw(found.first().copied())
        }),
        what: "The first value at a path such as `$.a[*]`.",
        syntax: "jsonb_path_query_first(json, path)",
        example: "jsonb_path_query_first('{\"a\": [1, 2]}', '$.a[*]') = '1'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_path_query_array",
        takes: &[Text, Text],
        gives: Gives::Json(|row| Ok(Some(array(&path(row, 1)?.find_lax(Value::parse(row.text(0))?)).into()))),
        what: "The values at a path such as `$.a[*] ? (@.b > 1)`, as an array.",
        syntax: "jsonb_path_query_array(json, path)",
        example: "jsonb_path_query_array('{\"a\": [1, 2]}', '$.a[*]') = '[1, 2]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_unquote",
        takes: &[Text],
        gives: Gives::Text(|row| {
            Ok(Some(match Value::read(row.text(0)) {
                Some(value) if value.kind() == Kind::String => value.text(),
                _ => row.text(0).into(),
            }))
        }),
        what: "The text of a string of JSON; other texts as they are.",
        syntax: "json_unquote(json)",
        example: "json_unquote('\"a\"') = 'a'",
        ..Definition::PLAIN
    },
];

fn raw(found: Option<Value<'_>>) -> Json<'_> {
    Ok(found.map(|value| value.raw().into()))
}

/// The values as an array.
pub(super) fn array(values: &[Value<'_>]) -> String {
    let raw: Vec<_> = values.iter().map(|value| value.raw()).collect();
    format!("[{}]", raw.join(", "))
}

/// The value that the second argument, a name or a place, leads to.
fn step<'a>(row: Row<'a>) -> Result<Option<Value<'a>>> {
    let value = Value::parse(row.text(0))?;
    Ok(match integer(row, 1)? {
        Some(place) => value.item(place),
        // A path by DuckDB's manner is not a name that anybody has.
        None if row.text(1).starts_with("$.") || row.text(1).starts_with("$[") => path(row, 1)?.find(value),
        None => value.member(row.text(1)),
    })
}

/// The argument's integer, if it is one and not a text.
fn integer(row: Row<'_>, place: usize) -> Result<Option<i64>> {
    let Some((column, at)) = row.value(place) else {
        return Ok(None);
    };
    if !column.values.data_type().is_integer() {
        return Ok(None);
    }
    let integers = arrow::compute::cast(&column.values.slice(at, 1), &arrow::datatypes::DataType::Int64)?;
    Ok(Some(integers.as_primitive::<Int64Type>().value(0)))
}

/// The path in an argument: a number is a place, and what is left out the value itself.
pub(super) fn path(row: Row<'_>, place: usize) -> Result<Path> {
    if !row.has(place) {
        return Path::parse("$");
    }
    match integer(row, place)? {
        Some(item) => Path::parse(&format!("$[{item}]")),
        None => Path::parse(row.text(place)),
    }
}

/// The path of names in the arguments from the second on.
fn named(row: Row<'_>, end: usize) -> Path {
    Path::of_names((1..end).map(|place| row.text(place).to_owned()))
}

/// The path of names in an argument: a list, or a text that is an array of PostgreSQL.
pub(super) fn names(row: Row<'_>, place: usize) -> Result<Path> {
    let Some((column, at)) = row.value(place) else {
        return plan_err!("a path of names is missing");
    };
    if let Some(text) = text_of(&column.values, at) {
        return Ok(Path::of_names(names_of(text)?));
    }
    match list(row, place)? {
        Some(names) => Ok(Path::of_names(names.into_iter().flatten())),
        None => plan_err!("a path of names is an array of texts"),
    }
}

/// The texts of an argument that is a list of any texts or numbers.
pub(super) fn list(row: Row<'_>, place: usize) -> Result<Option<Vec<Option<String>>>> {
    let Some((column, at)) = row.value(place) else {
        return Ok(None);
    };
    if !matches!(column.values.data_type(), arrow::datatypes::DataType::List(_)) {
        return Ok(None);
    }
    let texts = arrow::datatypes::DataType::new_list(arrow::datatypes::DataType::Utf8, true);
    let lists = arrow::compute::cast(&column.values.slice(at, 1), &texts)?;
    let items = lists.as_list::<i32>().value(0);
    let text = |at| (!items.is_null(at)).then(|| text_of(&items, at).map(str::to_owned))?;
    Ok(Some((0..items.len()).map(text).collect()))
}
