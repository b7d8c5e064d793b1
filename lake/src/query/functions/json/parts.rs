//! What JSON consists of: items, names, lengths and kinds.

use datafusion::common::{Result, exec_err};

use super::super::define::Takes::{Any, Text};
use super::super::define::{Definition, Gives, Row};
use super::access::path;
use super::scan::{Kind, Value};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "json_array_elements",
        aliases: &["jsonb_array_elements", "json_extract_array", "json_query_array"],
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Texts(|row| {
            let items = items(row)?;
            Ok(items.map(|items| items.into_iter().map(|item| Some(item.raw().to_owned())).collect()))
        }),
        what: "The items of an array of JSON, as a list; rows in FROM and in a select list.",
        syntax: "json_array_elements(json [, path])",
        example: "(select count(*) from json_array_elements('[1, 2]')) = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_array_elements_text",
        aliases: &[
            "jsonb_array_elements_text",
            "json_extract_string_array",
            "json_value_array",
        ],
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Texts(|row| {
            let items = items(row)?;
            Ok(items.map(|items| {
                items
                    .into_iter()
                    .map(|item| item.text_or_null().map(|text| text.into_owned()))
                    .collect()
            }))
        }),
        what: "The items of an array of JSON as a list of texts; rows in FROM and in a select list.",
        syntax: "json_array_elements_text(json [, path])",
        example: "(select max(v) from json_array_elements_text('[\"a\"]') t(v)) = 'a'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_object_keys",
        aliases: &["jsonb_object_keys", "object_keys", "json_keys"],
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Texts(|row| {
            let Some(value) = path(row, 1)?.find(Value::parse(row.text(0))?) else {
                return Ok(None);
            };
            if value.kind() != Kind::Object {
                return exec_err!("an object of JSON has names, {} has none", value.kind().name());
            }
            Ok(Some(
                value
                    .unique_members()
                    .into_iter()
                    .map(|(name, _)| Some(name.into_owned()))
                    .collect(),
            ))
        }),
        what: "The names of an object of JSON, as a list; rows in FROM and in a select list.",
        syntax: "json_object_keys(json [, path])",
        example: "(select max(v) from json_object_keys('{\"a\": 1, \"b\": 2}') t(v)) = 'b'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_each",
        aliases: &["jsonb_each"],
        takes: &[Text],
        gives: Gives::Pairs(|row| {
            let pair = |(name, value): (String, Value<'_>)| (name, Some(value.raw().to_owned()));
            Ok(members(row)?.map(|members| members.into_iter().map(pair).collect()))
        }),
        what: "The members of an object of JSON, as a list of `key` and `value`; rows in FROM.",
        syntax: "json_each(json)",
        example: "(select count(*) from json_each('{\"a\": 1}')) = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_each_text",
        aliases: &["jsonb_each_text"],
        takes: &[Text],
        gives: Gives::Pairs(|row| {
            let text = |value: Value<'_>| value.text_or_null().map(|text| text.into_owned());
            Ok(members(row)?.map(|members| members.into_iter().map(|(name, value)| (name, text(value))).collect()))
        }),
        what: "The members of an object of JSON as texts, as a list of `key` and `value`; rows in FROM.",
        syntax: "json_each_text(json)",
        example: "(select value from json_each_text('{\"a\": \"x\"}')) = 'x'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_array_length",
        aliases: &["jsonb_array_length"],
        takes: &[Text, Any],
        optional: 1,
        gives: Gives::Integer(|row| {
            let Some(value) = path(row, 1)?.find(Value::parse(row.text(0))?) else {
                return Ok(None);
            };
            if value.kind() != Kind::Array {
                return exec_err!("an array of JSON has a length, {} has none", value.kind().name());
            }
            Ok(i32::try_from(value.items().count()).ok())
        }),
        what: "The number of items of an array of JSON.",
        syntax: "json_array_length(json [, path])",
        example: "json_array_length('[1, 2, 3]') = 3",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_length",
        takes: &[Text, Any],
        optional: 1,
        gives: Gives::Integer(|row| {
            let value = path(row, 1)?.find(Value::parse(row.text(0))?);
            Ok(value.and_then(|value| {
                i32::try_from(match value.kind() {
                    Kind::Array => value.items().count(),
                    Kind::Object => value.unique_members().len(),
                    _ => 1,
                })
                .ok()
            }))
        }),
        what: "The number of items of an array or of members of an object of JSON, 1 for other values.",
        syntax: "json_length(json [, path])",
        example: "json_length('{\"a\": 1}') = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_typeof",
        aliases: &["jsonb_typeof"],
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(Value::parse(row.text(0))?.kind().name().into()))),
        what: "What a value of JSON is: object, array, string, number, boolean or null.",
        syntax: "json_typeof(json)",
        example: "json_typeof('[1]') = 'array'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_type",
        takes: &[Text, Any],
        optional: 1,
        gives: Gives::Text(|row| {
            let Some(value) = path(row, 1)?.find(Value::parse(row.text(0))?) else {
                return Ok(None);
            };
            Ok(Some(
                match value.kind() {
                    Kind::Object => "OBJECT",
                    Kind::Array => "ARRAY",
                    Kind::String => "VARCHAR",
                    Kind::Boolean => "BOOLEAN",
                    Kind::Null => "NULL",
                    Kind::Number if value.raw().contains(['.', 'e', 'E']) => "DOUBLE",
                    Kind::Number if value.raw().starts_with('-') => "BIGINT",
                    Kind::Number => "UBIGINT",
                }
                .into(),
            ))
        }),
        what: "DuckDB's name of what the value at a path is: OBJECT, ARRAY, VARCHAR, UBIGINT, BIGINT, DOUBLE, BOOLEAN or NULL.",
        syntax: "json_type(json [, path])",
        example: "json_type('{\"a\": [1]}', '$.a') = 'ARRAY'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_valid",
        aliases: &["isjson", "is_valid_json", "is_json"],
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Boolean(|row| {
            let kind = Value::read(row.text(0)).map(Value::kind);
            Ok(Some(match row.text(1).to_ascii_lowercase().as_str() {
                "" | "value" => kind.is_some(),
                "object" => kind == Some(Kind::Object),
                "array" => kind == Some(Kind::Array),
                "scalar" => kind.is_some_and(|kind| !matches!(kind, Kind::Object | Kind::Array)),
                other => return exec_err!("JSON is a value, an object, an array or a scalar, not {other:?}"),
            }))
        }),
        what: "Whether the text is JSON, or an object, array or scalar of JSON.",
        syntax: "json_valid(text [, 'value' | 'object' | 'array' | 'scalar'])",
        example: "json_valid('{') = false",
        ..Definition::PLAIN
    },
    Definition {
        name: "check_json",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Value::read(row.text(0)).is_none().then(|| "this is not JSON".into()))),
        what: "A message if the text is not JSON, null if it is.",
        syntax: "check_json(text)",
        example: "check_json('{}') is null",
        ..Definition::PLAIN
    },
];

/// The items of the array in the first argument, or at a path in it.
fn items(row: Row<'_>) -> Result<Option<Vec<Value<'_>>>> {
    let value = Value::parse(row.text(0))?;
    match path(row, 1)?.find(value) {
        None => Ok(None),
        Some(value) if value.kind() == Kind::Array => Ok(Some(value.items().collect())),
        Some(_) if row.has(1) => Ok(None),
        Some(value) => exec_err!("an array of JSON has items, {} has none", value.kind().name()),
    }
}

fn members(row: Row<'_>) -> Result<Option<Vec<(String, Value<'_>)>>> {
    let value = Value::parse(row.text(0))?;
    if value.kind() != Kind::Object {
        return exec_err!("an object of JSON has members, {} has none", value.kind().name());
    }
    Ok(Some(
        value
            .unique_members()
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value))
            .collect(),
    ))
}
