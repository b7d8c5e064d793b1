//! JSON made from JSON.

use datafusion::common::{Result, plan_err};

use super::super::define::Takes::{Any, Boolean, Text};
use super::super::define::{Definition, Gives, Row};
use super::access::{list, names, path};
use super::canonical::canonical;
use super::path::{Path, Step};
use super::scan::{Kind, Value, quote};
use super::write::write;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "jsonb_concat",
        takes: &[Text, Text],
        gives: Gives::Json(|row| {
            let (a, b) = (Value::parse(row.text(0))?, Value::parse(row.text(1))?);
            let text = match (a.kind(), b.kind()) {
                (Kind::Object, Kind::Object) => {
                    let mut members = a.unique_members();
                    members.retain(|(name, _)| b.member(name).is_none());
                    members.extend(b.unique_members());
                    object(members.into_iter().map(|(name, value)| (name, value.raw().to_owned())))
                }
                _ => {
                    let items = |value: Value<'_>| match value.kind() {
                        Kind::Array => value.items().map(|item| item.raw().to_owned()).collect(),
                        _ => vec![value.raw().to_owned()],
                    };
                    array(items(a).into_iter().chain(items(b)))
                }
            };
            Ok(Some(canonical(Value::parse(&text)?).into()))
        }),
        what: "Two objects with the members of both, or two arrays as one: what `||` calls.",
        syntax: "jsonb_concat(json, json)",
        example: "'{\"a\": 1}'::jsonb || '{\"b\": 2}'::jsonb = '{\"a\": 1, \"b\": 2}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_delete",
        aliases: &["object_delete"],
        takes: &[Text, Any],
        repeats: true,
        gives: Gives::Json(|row| {
            let mut text = row.text(0).to_owned();
            for place in 1..row.len() {
                let names = match list(row, place)? {
                    Some(names) => names.into_iter().flatten().collect(),
                    None => vec![argument(row, place)?],
                };
                let is_place = row
                    .value(place)
                    .is_some_and(|(column, _)| column.values.data_type().is_numeric());
                for name in names {
                    let value = Value::parse(&text)?;
                    text = match (value.kind(), name.parse()) {
                        (Kind::Array, Ok(item)) if is_place => changed(value, &[Step::Item(item)], &Change::Delete),
                        // Of an array the strings that are that text.
                        (Kind::Array, _) => {
                            let is_it = |item: &Value<'_>| item.kind() == Kind::String && item.text() == name;
                            array(
                                value
                                    .items()
                                    .filter(|item| !is_it(item))
                                    .map(|item| item.raw().to_owned()),
                            )
                        }
                        _ => changed(value, &[Step::Member(name)], &Change::Delete),
                    };
                }
            }
            Ok(Some(text.into()))
        }),
        what: "An object without the members of those names, or an array without the item at that place: what `-` calls.",
        syntax: "jsonb_delete(json, name | place | names)",
        example: "'{\"a\": 1, \"b\": 2}'::jsonb - 'a' = '{\"b\": 2}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_delete_path",
        takes: &[Text, Any],
        gives: Gives::Json(|row| {
            let path = names(row, 1)?;
            Ok(Some(
                changed(Value::parse(row.text(0))?, path.as_slice(), &Change::Delete).into(),
            ))
        }),
        what: "The value without what a path of names leads to: what `#-` calls.",
        syntax: "jsonb_delete_path(json, names)",
        example: "'{\"a\": {\"b\": 1}}'::jsonb #- '{a,b}' = '{\"a\": {}}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_remove",
        takes: &[Text, Text],
        repeats: true,
        gives: Gives::Json(|row| {
            let mut text = row.text(0).to_owned();
            for place in 1..row.len() {
                text = changed(Value::parse(&text)?, path(row, place)?.as_slice(), &Change::Delete);
            }
            Ok(Some(text.into()))
        }),
        what: "The value without what the paths lead to.",
        syntax: "json_remove(json, path, …)",
        example: "json_remove('{\"a\": 1}', '$.a') = '{}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_set",
        takes: &[Text, Any, Text, Boolean],
        optional: 1,
        gives: Gives::Json(|row| {
            let new = Value::parse(row.text(2))?.raw().to_owned();
            let change = match row.boolean_or(3, true) {
                true => Change::Set(new),
                false => Change::Replace(new),
            };
            Ok(Some(
                changed(Value::parse(row.text(0))?, names(row, 1)?.as_slice(), &change).into(),
            ))
        }),
        what: "The value with another one at a path of names, which is made if it is missing unless the last argument is \
               false.",
        syntax: "jsonb_set(json, names, json [, make])",
        example: "jsonb_set('{\"a\": 1}', '{b}', '2') = '{\"a\": 1, \"b\": 2}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "jsonb_insert",
        takes: &[Text, Any, Text, Boolean],
        optional: 1,
        gives: Gives::Json(|row| {
            let change = Change::Insert(Value::parse(row.text(2))?.raw().to_owned(), row.boolean_or(3, false));
            Ok(Some(
                changed(Value::parse(row.text(0))?, names(row, 1)?.as_slice(), &change).into(),
            ))
        }),
        what: "The value with another one put in before, or behind, an item of an array, or as a new member of an object.",
        syntax: "jsonb_insert(json, names, json [, behind])",
        example: "jsonb_insert('[1, 3]', '{1}', '2') = '[1, 2, 3]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_set",
        takes: &[Text, Text, Any],
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| edited(row, Change::Set)),
        what: "The value with others at the paths, which are made where they are missing.",
        syntax: "json_set(json, path, value, …)",
        example: "json_set('{\"a\": 1}', '$.b', 2) = '{\"a\": 1, \"b\": 2}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_replace",
        takes: &[Text, Text, Any],
        repeats: true,
        sees_nulls: true,
        gives: Gives::Json(|row| edited(row, Change::Replace)),
        what: "The value with others at the paths, where there is something.",
        syntax: "json_replace(json, path, value, …)",
        example: "json_replace('{\"a\": 1}', '$.b', 2) = '{\"a\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "object_insert",
        takes: &[Text, Text, Any, Boolean],
        optional: 1,
        sees_nulls: true,
        gives: Gives::Json(|row| {
            if row.is_null(0) {
                return Ok(None);
            }
            let step = [Step::Member(row.text(1).to_owned())];
            Ok(Some(
                changed(Value::parse(row.text(0))?, &step, &Change::Set(written(row, 2)?)).into(),
            ))
        }),
        what: "The object with another member.",
        syntax: "object_insert(json, name, value)",
        example: "object_insert('{\"a\": 1}', 'b', 2) = '{\"a\": 1, \"b\": 2}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_strip_nulls",
        aliases: &["jsonb_strip_nulls"],
        takes: &[Text],
        gives: Gives::Json(|row| Ok(Some(without_nulls(Value::parse(row.text(0))?).into()))),
        what: "The value without members of objects that are null.",
        syntax: "json_strip_nulls(json)",
        example: "json_strip_nulls('{\"a\": null, \"b\": 1}') = '{\"b\": 1}'",
        ..Definition::PLAIN
    },
    Definition {
        name: "json_merge_patch",
        takes: &[Text, Text],
        repeats: true,
        gives: Gives::Json(|row| {
            let mut text = row.text(0).to_owned();
            for place in 1..row.len() {
                text = merged(Some(Value::parse(&text)?), Value::parse(row.text(place))?);
            }
            Ok(Some(text.into()))
        }),
        what: "The value with the members of others put in; a null takes a member out. (RFC 7396.)",
        syntax: "json_merge_patch(json, json, …)",
        example: "json_merge_patch('{\"a\": 1}', '{\"a\": null, \"b\": 2}') = '{\"b\": 2}'",
        ..Definition::PLAIN
    },
];

/// What is done at the end of a path.
enum Change {
    Delete,
    /// Puts a value there, and makes what is missing.
    Set(String),
    /// Puts a value where one is.
    Replace(String),
    /// Puts a value before an item, or behind it.
    Insert(String, bool),
}

fn object<'a>(members: impl IntoIterator<Item = (std::borrow::Cow<'a, str>, String)>) -> String {
    let mut out = String::from("{");
    for (name, value) in members {
        out.push_str(if out.len() > 1 { ", " } else { "" });
        quote(&name, &mut out);
        out.push_str(": ");
        out.push_str(&value);
    }
    out.push('}');
    out
}

fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// The value with a change at the end of the steps.
fn changed(value: Value<'_>, steps: &[Step], change: &Change) -> String {
    let Some((step, rest)) = steps.split_first() else {
        return match change {
            Change::Set(new) | Change::Replace(new) => new.clone(),
            Change::Delete | Change::Insert(..) => value.raw().to_owned(),
        };
    };
    match (value.kind(), step) {
        (Kind::Object, Step::Member(name) | Step::Either(name)) => {
            let mut members = Vec::new();
            let mut found = false;
            for (key, member) in value.unique_members() {
                if key != *name {
                    members.push((key, member.raw().to_owned()));
                    continue;
                }
                found = true;
                if !rest.is_empty() || !matches!(change, Change::Delete) {
                    members.push((key, changed(member, rest, change)));
                }
            }
            if let (false, true, Change::Set(new) | Change::Insert(new, _)) = (found, rest.is_empty(), change) {
                members.push((name.as_str().into(), new.clone()));
            }
            object(members)
        }
        (Kind::Array, Step::Item(_) | Step::Either(_)) => {
            let place = match step {
                Step::Item(place) => Some(*place),
                Step::Either(name) => name.trim().parse().ok(),
                _ => None,
            };
            let Some(place) = place else {
                return value.raw().to_owned();
            };
            let count = i64::try_from(value.items().count()).unwrap_or(i64::MAX);
            let place = if place < 0 { count.saturating_add(place) } else { place };
            let mut items = Vec::new();
            if let (true, true, Change::Set(new) | Change::Insert(new, _)) = (place < 0, rest.is_empty(), change) {
                items.push(new.clone());
            }
            for (at, item) in (0i64..).zip(value.items()) {
                match (at == place, rest.is_empty(), change) {
                    (true, true, Change::Delete) => {}
                    (true, true, Change::Insert(new, false)) => items.extend([new.clone(), item.raw().to_owned()]),
                    (true, true, Change::Insert(new, true)) => items.extend([item.raw().to_owned(), new.clone()]),
                    (true, ..) => items.push(changed(item, rest, change)),
                    (false, ..) => items.push(item.raw().to_owned()),
                }
            }
            if let (true, true, Change::Set(new) | Change::Insert(new, _)) = (place >= count, rest.is_empty(), change) {
                items.push(new.clone());
            }
            array(items)
        }
        _ => value.raw().to_owned(),
    }
}

/// The argument as JSON.
fn written(row: Row<'_>, place: usize) -> Result<String> {
    let mut out = String::new();
    match row.value(place) {
        Some((column, at)) => write(&column.values, at, &column.field, &mut out)?,
        None => out.push_str("null"),
    }
    Ok(out)
}

/// The argument's text, also of a number.
fn argument(row: Row<'_>, place: usize) -> Result<String> {
    match row.value(place) {
        Some((column, at)) => super::write::text(&column.values, at),
        None => plan_err!("a name is missing"),
    }
}

/// The value with pairs of paths and values applied.
fn edited<'a>(row: Row<'a>, change: fn(String) -> Change) -> Result<Option<std::borrow::Cow<'a, str>>> {
    if row.is_null(0) {
        return Ok(None);
    }
    let mut text = row.text(0).to_owned();
    for place in (1..row.len()).step_by(2) {
        let path: Path = path(row, place)?;
        text = changed(Value::parse(&text)?, path.as_slice(), &change(written(row, place + 1)?));
    }
    Ok(Some(text.into()))
}

fn without_nulls(value: Value<'_>) -> String {
    match value.kind() {
        Kind::Object => {
            let members = value
                .unique_members()
                .into_iter()
                .filter(|(_, value)| value.kind() != Kind::Null);
            object(members.map(|(name, value)| (name, without_nulls(value))))
        }
        Kind::Array => array(value.items().map(without_nulls)),
        _ => value.raw().to_owned(),
    }
}

fn merged(value: Option<Value<'_>>, patch: Value<'_>) -> String {
    if patch.kind() != Kind::Object {
        return patch.raw().to_owned();
    }
    let patches = patch.unique_members();
    let value = value.filter(|value| value.kind() == Kind::Object);
    let kept = value.map(Value::unique_members).unwrap_or_default();
    let mut members = Vec::new();
    for (name, member) in &kept {
        match patches.iter().find(|(key, _)| key == name) {
            None => members.push((name.clone(), member.raw().to_owned())),
            Some((_, patch)) if patch.kind() == Kind::Null => {}
            Some((_, patch)) => members.push((name.clone(), merged(Some(*member), *patch))),
        }
    }
    for (name, patch) in patches {
        if patch.kind() != Kind::Null && !kept.iter().any(|(key, _)| *key == name) {
            members.push((name, merged(None, patch)));
        }
    }
    object(members)
}
