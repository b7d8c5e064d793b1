//! Tests on data: a query that finds the rows that should not be.

use std::path::Path;

use cordada_core::suggest::nearest;
use cordada_core::{Error, FilePosition, Result, TableName};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::config::{self, RawConfig};
use crate::node::NodeId;
use crate::severity::{Severity, Threshold};
use crate::source_file::SourceFile;

/// A test.
#[derive(Debug, Clone)]
pub(crate) struct DataTest {
    pub(crate) name: String,
    /// The node that it was declared on, or that a singular test reads first.
    pub(crate) node: Option<NodeId>,
    pub(crate) depends_on: Vec<NodeId>,
    pub(crate) place: FilePosition,
    pub(crate) settings: Settings,
    /// What `dbt_project.yml` configures, and what the test itself does.
    pub(crate) configs: [RawConfig; 2],
    pub(crate) body: Body,
}

impl DataTest {
    /// Its settings where its macro says `within`: that wins over the project's and not over the test's own.
    pub(crate) fn settings_with(&self, within: RawConfig) -> Result<Settings> {
        let [mut merged, own] = self.configs.clone();
        config::merge(&mut merged, within);
        config::merge(&mut merged, own);
        Settings::read(&merged, &self.place)
    }
}

/// Where the query comes from.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// A macro `{% test … %}`, called for a relation.
    Generic(Box<Generic>),
    /// An SQL file.
    Singular(SourceFile),
}

/// A generic test as YAML asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Generic {
    pub(crate) package: String,
    pub(crate) macro_name: String,
    pub(crate) tested: TestSubject,
    pub(crate) column: Option<String>,
    pub(crate) arguments: Map<String, Value>,
}

/// What a generic test is about.
#[derive(Debug, Clone)]
pub(crate) enum TestSubject {
    /// A model or seed, by name.
    Node(String),
    /// A table of a source.
    Source(TableName),
}

/// What a test's result means.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) severity: Severity,
    pub(crate) warn_if: Threshold,
    pub(crate) error_if: Threshold,
    /// Only these rows are tested.
    pub(crate) only: Option<String>,
    /// No more failures than that are counted.
    pub(crate) limit: Option<u64>,
    /// What is computed of the rows that fail, if it is not how many there are.
    pub(crate) fail_calc: Option<String>,
    pub(crate) enabled: bool,
}

impl Settings {
    /// Those of a unit test: any difference fails.
    pub(crate) fn of_unit_test() -> Self {
        Self {
            severity: Severity::Error,
            warn_if: Threshold::ANY,
            error_if: Threshold::ANY,
            only: None,
            limit: None,
            fail_calc: None,
            enabled: true,
        }
    }

    /// Reads a test's configuration.
    pub(crate) fn read(raw: &RawConfig, place: &FilePosition) -> Result<Self> {
        let wrong = |why: String| place.mark(Error::config("reading the configuration of a test", why));
        let text = |key: &str| config::text(raw, key).map_err(|problem| wrong(problem.why));
        for key in raw.keys() {
            if !CONFIGS.contains(&key.as_str()) {
                let error = wrong(format!("unknown configuration `{key}`"));
                return Err(match nearest(key, CONFIGS) {
                    Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                    None => error,
                });
            }
        }
        let threshold = |key: &str| match text(key)? {
            None => Ok(Threshold::ANY),
            Some(condition) => Threshold::parse(&condition)
                .ok_or_else(|| wrong(format!("`{key}: {condition}` is not a comparison")).hint("write it as \"> 10\"")),
        };
        let severity = match text("severity")?.map(|text| text.to_lowercase()).as_deref() {
            None | Some("error") => Severity::Error,
            Some("warn") => Severity::Warn,
            Some(other) => return Err(wrong(format!("unknown severity `{other}`")).hint("use one of: error, warn")),
        };
        let limit = match raw.get("limit") {
            None | Some(Value::Null) => None,
            Some(limit) => {
                let number = limit.as_u64().or_else(|| limit.as_str()?.trim().parse().ok());
                Some(number.ok_or_else(|| wrong(format!("`limit: {limit}` is not a number of rows")))?)
            }
        };
        Ok(Self {
            severity,
            warn_if: threshold("warn_if")?,
            error_if: threshold("error_if")?,
            only: text("where")?,
            limit,
            fail_calc: text("fail_calc")?,
            enabled: config::boolean(raw, "enabled")
                .map_err(|problem| wrong(problem.why))?
                .unwrap_or(true),
        })
    }
}

/// The configurations of a test, which may also stand beside a generic test's arguments.
const CONFIGS: [&str; 17] = [
    "severity",
    "where",
    "warn_if",
    "error_if",
    "fail_calc",
    "limit",
    "enabled",
    "tags",
    "meta",
    "docs",
    "group",
    "alias",
    "schema",
    "database",
    "store_failures",
    "store_failures_as",
    "description",
];

/// A generic test as it stands in YAML, in either of dbt's spellings:
/// `relationships: {to: …, field: …}` and `relationships: {arguments: {to: …}, config: {…}}`.
#[derive(Debug, PartialEq)]
pub(crate) struct Item {
    /// The test, with its package if it names one.
    pub(crate) test: String,
    pub(crate) name: Option<String>,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) config: RawConfig,
    pub(crate) place: FilePosition,
}

impl Item {
    /// Reads an item of `data_tests:`.
    pub(crate) fn read(file: &Path, item: &Spanned<Value>) -> Result<Self> {
        let place = FilePosition::of(file, item);
        let wrong = |why: &str| {
            place
                .mark(Error::config("reading the tests", why))
                .hint("write `- unique`, or `- accepted_values: {arguments: {values: [a, b]}}`")
        };
        let (test, body) = match &item.value {
            Value::String(test) => (test.clone(), Map::new()),
            Value::Object(entries) => match entries.get("test_name") {
                Some(Value::String(test)) => {
                    let mut body = entries.clone();
                    body.remove("test_name");
                    (test.clone(), body)
                }
                Some(_) => return Err(wrong("`test_name` is not text")),
                None => match entries.iter().collect::<Vec<_>>()[..] {
                    [(test, Value::Object(body))] => (test.clone(), body.clone()),
                    [(test, Value::Null)] => (test.clone(), Map::new()),
                    _ => return Err(wrong("a test is a name, or a name with its arguments")),
                },
            },
            _ => return Err(wrong("a test is a name, or a name with its arguments")),
        };
        let mut read = Self {
            test,
            name: None,
            arguments: Map::new(),
            config: RawConfig::new(),
            place: place.clone(),
        };
        for (key, value) in body {
            match (key.as_str(), value) {
                ("name", Value::String(name)) => read.name = Some(name),
                ("arguments", Value::Object(arguments)) => read.arguments.extend(arguments),
                ("config", Value::Object(config)) => config::merge(&mut read.config, config),
                ("arguments" | "config" | "name", _) => return Err(wrong(&format!("`{key}` is of the wrong type"))),
                ("description" | "docs", _) => {}
                (known, value) if CONFIGS.contains(&known) => {
                    read.config.insert(key, value);
                }
                (_, value) => {
                    read.arguments.insert(key, value);
                }
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(yaml: &str) -> Result<Item> {
        let item: Spanned<Value> = serde_saphyr::from_str(yaml).unwrap();
        Item::read(Path::new("schema.yml"), &item)
    }

    #[test]
    fn both_spellings_of_arguments_are_the_same() {
        let old = read("relationships: {to: ref('a'), field: id, severity: warn, name: x}").unwrap();
        let new =
            read("relationships: {name: x, arguments: {to: ref('a'), field: id}, config: {severity: warn}}").unwrap();
        assert_eq!(old, new);
        assert_eq!(Value::Object(old.arguments), json!({"to": "ref('a')", "field": "id"}));
        let named = read("{test_name: unique, name: only_once}").unwrap();
        assert_eq!(
            (named.test.as_str(), named.name.as_deref()),
            ("unique", Some("only_once"))
        );
    }

    #[test]
    fn what_is_not_a_test_is_refused_with_its_place() {
        let error = read("[unique]").unwrap_err().to_string();
        assert!(error.starts_with("schema.yml:1:1: "), "{error}");
        let place = FilePosition {
            file: "schema.yml".into(),
            line: 1,
            column: 1,
        };
        let config = json!({"severty": "warn"});
        let error = Settings::read(config.as_object().unwrap(), &place)
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `severity`?"), "{error}");
    }
}
