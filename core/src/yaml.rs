//! Reading YAML that people wrote: unknown keys are errors with their place and the nearest valid key, and
//! `${NAME}` takes a value from the environment.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::suggest::did_you_mean;
use crate::{Context, Error, FilePosition, Result};

/// Reads the file and [`parse`]s it.
///
/// # Errors
/// As [`parse`], and for a file that cannot be read.
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file).doing(|| format!("reading {}", file.display()))?;
    parse(file, &text)
}

/// Parses `text`, which came from `file`. `T` should `deny_unknown_fields`.
///
/// `${NAME}` within a value is replaced by the environment variable NAME; `$${` stands for `${`.
///
/// # Errors
/// Config, with file, line and column.
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T> {
    parse_with(file, text, |name| std::env::var(name).ok())
}

fn parse_with<T: DeserializeOwned>(file: &Path, text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<T> {
    // An empty file is a mapping without keys, not a null.
    let text = if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        "{}"
    } else {
        text
    };
    // Straight into the type first: only then do errors know their place.
    let parsed: T = serde_saphyr::from_str(text).map_err(|error| located(file, &error))?;
    if !text.contains("${") {
        return Ok(parsed);
    }
    let mut value: Value = serde_saphyr::from_str(text).map_err(|error| located(file, &error))?;
    expand(&mut value, &variable).map_err(|name| missing(file, text, &name))?;
    let doing = || format!("reading {}", file.display());
    serde_json::from_value(value).map_err(|error| Error::config(doing(), error).at(file.display(), 0, 0))
}

fn located(file: &Path, error: &serde_saphyr::Error) -> Error {
    use serde_saphyr::Error as Yaml;
    let error = error.without_snippet();
    let (line, column) = error
        .location()
        .map_or((0, 0), |at| (at.line() as usize, at.column() as usize));
    let doing = "reading the configuration";
    let ours = match error {
        Yaml::SerdeUnknownField { field, expected, .. } => {
            let keys = expected.iter().copied();
            Error::config(doing, format!("unknown key `{field}`")).hint(did_you_mean(field, "the keys are", keys))
        }
        Yaml::SerdeUnknownVariant { variant, expected, .. } => {
            Error::config(doing, format!("unknown value `{variant}`"))
                .hint(format!("use one of: {}", expected.join(", ")))
        }
        other => {
            let text = other.to_string();
            // The place is said once, before the message.
            let text = text.split(" at line ").next().unwrap_or_default();
            Error::config(
                doing,
                text.trim_start_matches("error: ").lines().next().unwrap_or_default(),
            )
        }
    };
    ours.at(file.display(), line, column)
}

/// Replaces the variables in all strings; the name of the first that is not set otherwise.
fn expand(value: &mut Value, variable: &impl Fn(&str) -> Option<String>) -> Result<(), String> {
    match value {
        Value::String(text) => *text = expand_text(text, variable)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| expand(item, variable))?,
        Value::Object(entries) => entries.values_mut().try_for_each(|entry| expand(entry, variable))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn expand_text(text: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        let Some(end) = after.find('}') else {
            break;
        };
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str(&after[..=end]);
        } else {
            let name = &after[2..end];
            expanded.push_str(before);
            expanded.push_str(&variable(name).ok_or_else(|| name.to_owned())?);
        }
        rest = &after[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn missing(file: &Path, text: &str, name: &str) -> Error {
    let at = text.find(&format!("${{{name}}}")).unwrap_or_default();
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    Error::config(
        "reading the configuration",
        format!("the environment variable {name} is not set"),
    )
    .hint("set it, or write $${…} for the text itself")
    .at(file.display(), line, column)
}

impl FilePosition {
    /// Where a node of `file` stands.
    pub fn of<T>(file: &Path, node: &Spanned<T>) -> Self {
        let at = node.referenced;
        Self {
            file: file.display().to_string(),
            line: at.line() as usize,
            column: at.column() as usize,
        }
    }
}

/// A text, or a list of them.
///
/// # Errors
/// Anything else.
pub fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Config {
        path: String,
        #[serde(default)]
        streams: BTreeMap<String, Stream>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Stream {
        delimiter: char,
    }

    fn parse_here(text: &str) -> Result<Config> {
        parse_with(Path::new("shop.yml"), text, |name| {
            (name == "SECRET").then(|| "a: #b".to_owned())
        })
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
        let error = parse_here("path: x\nstreams:\n  orders:\n    delimeter: ';'\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("shop.yml:4:5: "), "{error}");
        assert!(
            error.contains("unknown key `delimeter`; did you mean `delimiter`?"),
            "{error}"
        );
    }

    #[test]
    fn syntax_and_type_errors_have_a_place() {
        for text in ["path: [x\n", "path: {a: 1}\n", "streams: {}\n"] {
            let error = parse_here(text).unwrap_err();
            assert!(error.place().is_some_and(|place| place.file == "shop.yml"), "{error}");
        }
    }

    #[test]
    fn variables_are_values_whatever_they_contain() {
        assert_eq!(
            parse_here("path: ${SECRET}/$${SECRET}").unwrap().path,
            "a: #b/${SECRET}"
        );
        let error = parse_here("path: x\n# ${NOT_MINE}\nstreams: {}").unwrap();
        assert_eq!(error.path, "x");
        let error = parse_here("path: 'x${MISSING}'").unwrap_err().to_string();
        assert!(
            error.starts_with("shop.yml:1:9: ") && error.contains("MISSING is not set"),
            "{error}"
        );
    }
}
