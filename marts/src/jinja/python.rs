//! The methods of Python's strings, lists and dictionaries that dbt projects call in their Jinja.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// A list that can change: what `{% set x = [] %}` makes.
#[derive(Debug, Default)]
pub(super) struct List(Mutex<Vec<Value>>);

impl List {
    fn items(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items().get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items().clone())
    }

    fn call_method(self: &Arc<Self>, _: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("append", [item]) => self.items().push(item.clone()),
            ("extend", [more]) => {
                // Read before the list is locked: it may be extended by itself.
                let more: Vec<_> = more.try_iter()?.collect();
                self.items().extend(more);
            }
            ("pop", []) => {
                return self
                    .items()
                    .pop()
                    .ok_or_else(|| Error::from(ErrorKind::InvalidOperation));
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}

/// Called for a method that the template engine does not know.
pub(super) fn method(state: &State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => string_method(value.as_str().unwrap_or_default(), method, args),
        ValueKind::Map => map_method(state, value, method, args),
        ValueKind::Seq if matches!(method, "append" | "extend" | "insert" | "pop" | "remove") => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("`.{method}(…)` changes only lists that began as {{% set x = [] %}}"),
        )),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let argument = |at: usize| -> Result<&str, Error> {
        args.get(at).and_then(Value::as_str).ok_or_else(|| {
            Error::new(
                ErrorKind::MissingArgument,
                format!("`.{method}(…)` takes a text as argument {}", at + 1),
            )
        })
    };
    let characters = |at: usize| {
        args.get(at)
            .and_then(Value::as_str)
            .map(|set| set.chars().collect::<Vec<_>>())
    };
    let strips = |set: &Option<Vec<char>>, c: char| set.as_ref().map_or(c.is_whitespace(), |set| set.contains(&c));
    Ok(match method {
        "upper" => text.to_uppercase().into(),
        "lower" => text.to_lowercase().into(),
        "title" | "capitalize" => capitalized(text, method == "title").into(),
        "strip" => {
            let set = characters(0);
            text.trim_matches(|c| strips(&set, c)).into()
        }
        "lstrip" => {
            let set = characters(0);
            text.trim_start_matches(|c| strips(&set, c)).into()
        }
        "rstrip" => {
            let set = characters(0);
            text.trim_end_matches(|c| strips(&set, c)).into()
        }
        "startswith" => text.starts_with(argument(0)?).into(),
        "endswith" => text.ends_with(argument(0)?).into(),
        "replace" => text.replace(argument(0)?, argument(1)?).into(),
        "split" if args.is_empty() => text.split_whitespace().map(Value::from).collect(),
        "split" => text.split(argument(0)?).map(Value::from).collect(),
        "join" => {
            let items = args.first().ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            let items: Vec<String> = items.try_iter()?.map(|item| item.to_string()).collect();
            items.join(text).into()
        }
        "format" => formatted(text, args)?.into(),
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn capitalized(text: &str, each_word: bool) -> String {
    let mut starts = true;
    text.chars()
        .flat_map(|c| {
            let upper = starts;
            starts = each_word && !c.is_alphanumeric();
            let (upper, lower) = if upper {
                (Some(c.to_uppercase()), None)
            } else {
                (None, Some(c.to_lowercase()))
            };
            upper.into_iter().flatten().chain(lower.into_iter().flatten())
        })
        .collect()
}

/// `"{} of {name}".format(1, name=2)`: positions and names, without format specifications.
fn formatted(text: &str, args: &[Value]) -> Result<String, Error> {
    let kwargs = args.last().and_then(|last| Kwargs::try_from(last.clone()).ok());
    let mut result = String::new();
    let mut rest = text;
    let mut next = 0;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else { break };
        result.push_str(&rest[..open]);
        let field = &rest[open + 1..open + close];
        let value = match field.parse::<usize>() {
            Ok(position) => args.get(position).cloned(),
            Err(_) if field.is_empty() => {
                next += 1;
                args.get(next - 1).cloned()
            }
            Err(_) => kwargs.as_ref().and_then(|kwargs| kwargs.get::<Value>(field).ok()),
        };
        let value =
            value.ok_or_else(|| Error::new(ErrorKind::MissingArgument, format!("nothing for `{{{field}}}`")))?;
        result.push_str(&value.to_string());
        rest = &rest[open + close + 1..];
    }
    result.push_str(rest);
    Ok(result)
}

fn map_method(state: &State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "items" => state.apply_filter("items", std::slice::from_ref(value)),
        "keys" => Ok(value.try_iter()?.collect()),
        "values" => value.try_iter()?.map(|key| value.get_item(&key)).collect(),
        "get" => {
            let key = args.first().ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            let found = value.get_item(key)?;
            Ok(match (found.is_undefined(), args.get(1)) {
                (true, Some(default)) => default.clone(),
                (true, None) => Value::from(()),
                (false, _) => found,
            })
        }
        "update" => Err(Error::new(
            ErrorKind::InvalidOperation,
            "dictionaries do not change here: make a new one",
        )),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}
