//! What is in JSON.

use datafusion::common::{Result, plan_err};

use super::super::define::Takes::{Any, Text};
use super::super::define::{Definition, Gives, Row};
use super::access::{list, path};
use super::canonical::canonical;
use super::number::parts;
use super::path::names_of;
use super::scan::{Kind, Value};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "jsonb_contains",
        aliases: &["json_contains"],
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::Boolean(|row| {
            let whole = path(row, 2)?.find(Value::parse(row.text(0))?);
            let part = Value::parse(row.text(1))?;
            Ok(whole.map(|whole| contains(whole, part, true)))
        }),
        what: "Whether all that the second value has is in the first: what `@>` calls.",
        syntax: "jsonb_contains(json, json [, path])",
        example: "'{\"a\": 1, \"b\": 2}'::jsonb @> '{\"b\": 2}' = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_contained",
        takes: &[Text, Text],
        gives: Gives::Boolean(|row| {
            Ok(Some(contains(
                Value::parse(row.text(1))?,
                Value::parse(row.text(0))?,
                true,
            )))
        }),
        what: "Whether all that the first value has is in the second: what `<@` calls.",
        syntax: "jsonb_contained(json, json)",
        example: "'{\"b\": 2}'::jsonb <@ '{\"a\": 1, \"b\": 2}' = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_exists",
        takes: &[Text, Text],
        gives: Gives::Boolean(|row| Ok(Some(has(Value::parse(row.text(0))?, row.text(1))))),
        what: "Whether a name is in an object, or a string in an array: what `?` calls.",
        syntax: "jsonb_exists(json, name)",
        example: "'{\"a\": 1}'::jsonb ? 'a' = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_exists_any",
        takes: &[Text, Any],
        gives: Gives::Boolean(|row| {
            let value = Value::parse(row.text(0))?;
            Ok(Some(names(row)?.iter().any(|name| has(value, name))))
        }),
        what: "Whether one of the names is in an object: what `?|` calls.",
        syntax: "jsonb_exists_any(json, names)",
        example: "'{\"a\": 1}'::jsonb ?| array['a', 'b'] = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_exists_all",
        takes: &[Text, Any],
        gives: Gives::Boolean(|row| {
            let value = Value::parse(row.text(0))?;
            Ok(Some(names(row)?.iter().all(|name| has(value, name))))
        }),
        what: "Whether all of the names are in an object: what `?&` calls.",
        syntax: "jsonb_exists_all(json, names)",
        example: "'{\"a\": 1}'::jsonb ?& array['a', 'b'] = false",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_exists",
        aliases: &["jsonb_path_exists", "json_path_exists"],
        takes: &[Text, Any],
        gives: Gives::Boolean(|row| Ok(Some(!path(row, 1)?.find_lax(Value::parse(row.text(0))?).is_empty()))),
        what: "Whether there is a value at a path such as `$.a[*] ? (@.b > 1)`.",
        syntax: "json_exists(json, path)",
        example: "json_exists('{\"a\": null}', '$.a') = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_contains_path",
        takes: &[Text, Text, Text],
        repeats: true,
        gives: Gives::Boolean(|row| {
            let value = Value::parse(row.text(0))?;
            let all = row.text(1).eq_ignore_ascii_case("all");
            for place in 2..row.len() {
                if path(row, place)?.find_all(value).is_empty() == all {
                    return Ok(Some(!all));
                }
            }
            Ok(Some(all))
        }),
        what: "Whether there is a value at one, or at all, of the paths.",
        syntax: "json_contains_path(json, 'one' | 'all', path, …)",
        example: "json_contains_path('{\"a\": 1}', 'one', '$.a', '$.b') = true",
        ..Definition::PLAIN
    },
];

fn has(value: Value<'_>, name: &str) -> bool {
    match value.kind() {
        Kind::Object => value.members().any(|(key, _)| key == name),
        Kind::Array => value
            .items()
            .any(|item| item.kind() == Kind::String && item.text() == name),
        Kind::String => value.text() == name,
        _ => false,
    }
}

/// PostgreSQL's containment: members of objects and items of arrays are in one another whatever their order, and an
/// array holds a scalar alone at the top.
fn contains(whole: Value<'_>, part: Value<'_>, top: bool) -> bool {
    match (whole.kind(), part.kind()) {
        (Kind::Object, Kind::Object) => {
            let members = whole.unique_members();
            part.unique_members().iter().all(|(name, part)| {
                let member = members.iter().find(|(key, _)| key == name);
                member.is_some_and(|(_, value)| contains(*value, *part, false))
            })
        }
        (Kind::Array, Kind::Array) => {
            let items: Vec<_> = whole.items().collect();
            part.items()
                .all(|part| items.iter().any(|item| contains(*item, part, false)))
        }
        (Kind::Array, Kind::Object) => false,
        (Kind::Array, _) if top => whole.items().any(|item| equal(item, part)),
        _ => equal(whole, part),
    }
}

/// Whether two values are the same: numbers by their value, objects whatever the order of names.
fn equal(a: Value<'_>, b: Value<'_>) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::Number, Kind::Number) => parts(a.raw()) == parts(b.raw()),
        (a_kind, b_kind) => a_kind == b_kind && canonical(a) == canonical(b),
    }
}

fn names(row: Row<'_>) -> Result<Vec<String>> {
    match list(row, 1)? {
        Some(names) => Ok(names.into_iter().flatten().collect()),
        None if row.text(1).starts_with('{') => names_of(row.text(1)),
        None => plan_err!("the names are an array of texts"),
    }
}
