//! The YAML files beside the SQL: descriptions, sources, tests, configurations.

use std::path::Path;

use cordada_core::{FilePosition, Result, yaml};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use crate::config::RawConfig;
use crate::ignored::Ignored;

/// A key of dbt that nothing is done with, and where it stands. Those that begin with an underscore here say nothing
/// about what is built in dbt either; the others are [told](Properties::note_ignored).
type Unused = Option<Spanned<IgnoredAny>>;

/// One file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Properties {
    pub(crate) models: Vec<NodeProperties>,
    pub(crate) seeds: Vec<NodeProperties>,
    pub(crate) snapshots: Vec<NodeProperties>,
    /// What the files of `segments/` say of their nodes.
    #[serde(skip)]
    pub(crate) segments: Vec<NodeProperties>,
    pub(crate) sources: Vec<SourceProperties>,
    /// Singular tests.
    #[serde(alias = "tests")]
    pub(crate) data_tests: Vec<SingularTestProperties>,
    pub(crate) unit_tests: Vec<UnitTestProperties>,
    #[serde(rename = "version")]
    _version: Option<IgnoredAny>,
    #[serde(rename = "macros")]
    _macros: Option<IgnoredAny>,
    #[serde(rename = "anchors")]
    _anchors: Option<IgnoredAny>,
    analyses: Unused,
    exposures: Unused,
    groups: Unused,
    metrics: Unused,
    semantic_models: Unused,
    saved_queries: Unused,
}

/// A model, a seed or a snapshot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeProperties {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) columns: Vec<ColumnProperties>,
    #[serde(default, alias = "tests")]
    pub(crate) data_tests: Vec<Spanned<Value>>,
    #[serde(default)]
    pub(crate) constraints: Vec<Spanned<ConstraintProperties>>,
    #[serde(default)]
    pub(crate) config: RawConfig,
    /// What a snapshot is of: `ref('…')` or `source('…', '…')`.
    pub(crate) relation: Option<Spanned<String>>,
    pub(crate) meta: Option<Value>,
    #[serde(rename = "docs")]
    _docs: Option<IgnoredAny>,
    access: Unused,
    deprecation_date: Unused,
    group: Unused,
    time_spine: Unused,
}

/// A column of a model, seed or source table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnProperties {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default, alias = "tests")]
    pub(crate) data_tests: Vec<Spanned<Value>>,
    #[serde(default)]
    pub(crate) constraints: Vec<Spanned<ConstraintProperties>>,
    pub(crate) data_type: Option<String>,
    #[serde(default)]
    pub(crate) quote: bool,
    #[serde(default)]
    pub(crate) meta: RawConfig,
    #[serde(default)]
    pub(crate) config: RawConfig,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
    dimension: Unused,
    entity: Unused,
    granularity: Unused,
    policy_tags: Unused,
}

impl NodeProperties {
    /// Of a node that no properties file describes.
    pub(crate) fn of(name: &str, description: impl Into<String>) -> Self {
        Self {
            name: Spanned::new(name.to_owned(), Location::UNKNOWN, Location::UNKNOWN),
            description: description.into(),
            columns: Vec::new(),
            data_tests: Vec::new(),
            constraints: Vec::new(),
            config: RawConfig::new(),
            relation: None,
            meta: None,
            _docs: None,
            access: None,
            deprecation_date: None,
            group: None,
            time_spine: None,
        }
    }
}

impl ColumnProperties {
    /// Of a column of which only that is said.
    pub(crate) fn of(name: &str, description: &str) -> Self {
        Self {
            name: Spanned::new(name.to_owned(), Location::UNKNOWN, Location::UNKNOWN),
            description: description.to_owned(),
            data_tests: Vec::new(),
            constraints: Vec::new(),
            data_type: None,
            quote: false,
            meta: RawConfig::new(),
            config: RawConfig::new(),
            _tags: None,
            dimension: None,
            entity: None,
            granularity: None,
            policy_tags: None,
        }
    }

    /// The kind of personal data that it holds: `meta: {pii: email}`, at the column or under its `config`.
    pub(crate) fn pii(&self) -> Option<String> {
        let of_config = self.config.get("meta").and_then(|meta| meta.get("pii"));
        match self.meta.get("pii").or(of_config)? {
            Value::String(kind) => Some(kind.clone()),
            Value::Bool(true) => Some("personal".to_owned()),
            _ => None,
        }
    }

    fn note_ignored(&self, file: &Path, ignored: &Ignored) {
        let unused = [
            ("dimension", &self.dimension),
            ("entity", &self.entity),
            ("granularity", &self.granularity),
            ("policy_tags", &self.policy_tags),
        ];
        note(file, ignored, &unused, OF_OTHER_TOOLS);
    }
}

/// What an enforced contract promises of rows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConstraintProperties {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Of a constraint of the whole model.
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    pub(crate) expression: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) to: Option<String>,
    #[serde(default)]
    pub(crate) to_columns: Vec<String>,
    #[serde(rename = "warn_unenforced")]
    _warn_unenforced: Option<IgnoredAny>,
    #[serde(rename = "warn_unsupported")]
    _warn_unsupported: Option<IgnoredAny>,
}

/// A source: a schema of raw tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceProperties {
    pub(crate) name: Spanned<String>,
    /// The schema that holds the tables; `raw_<name>` if it is not said.
    pub(crate) schema: Option<String>,
    #[serde(default)]
    pub(crate) tables: Vec<SourceTableProperties>,
    #[serde(default)]
    pub(crate) config: RawConfig,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "loader")]
    _loader: Option<IgnoredAny>,
    #[serde(rename = "meta")]
    _meta: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
    database: Unused,
    freshness: Unused,
    loaded_at_field: Unused,
    loaded_at_query: Unused,
    overrides: Unused,
    quoting: Unused,
}

/// A table of a source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceTableProperties {
    pub(crate) name: Spanned<String>,
    /// The table's name in the lake, if it is another.
    pub(crate) identifier: Option<String>,
    #[serde(default)]
    pub(crate) columns: Vec<ColumnProperties>,
    #[serde(default, alias = "tests")]
    pub(crate) data_tests: Vec<Spanned<Value>>,
    #[serde(default)]
    pub(crate) config: RawConfig,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "loader")]
    _loader: Option<IgnoredAny>,
    #[serde(rename = "meta")]
    _meta: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
    external: Unused,
    freshness: Unused,
    loaded_at_field: Unused,
    loaded_at_query: Unused,
    quoting: Unused,
}

/// What YAML says about a test that is an SQL file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SingularTestProperties {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) config: RawConfig,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "arguments")]
    _arguments: Option<IgnoredAny>,
    #[serde(rename = "docs")]
    _docs: Option<IgnoredAny>,
    #[serde(rename = "meta")]
    _meta: Option<IgnoredAny>,
}

/// A test of a model's SQL on rows that it gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnitTestProperties {
    pub(crate) name: Spanned<String>,
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) given: Vec<RowsProperties>,
    pub(crate) expect: RowsProperties,
    #[serde(default)]
    pub(crate) overrides: OverridesProperties,
    #[serde(default)]
    pub(crate) config: RawConfig,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
}

/// Rows as YAML, CSV or SQL: those that a unit test gives a relation, or expects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowsProperties {
    /// The relation: `ref('…')`, `source('…', '…')` or `this`.
    pub(crate) input: Option<String>,
    #[serde(default)]
    pub(crate) rows: Value,
    pub(crate) format: Option<String>,
    /// A file with them, by its name.
    pub(crate) fixture: Option<String>,
}

/// What a unit test says in the place of the project and the environment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OverridesProperties {
    pub(crate) macros: RawConfig,
    pub(crate) vars: RawConfig,
    pub(crate) env_vars: RawConfig,
}

const OF_OTHER_TOOLS: &str = "it is for other tools";
const OF_FRESHNESS: &str = "how fresh a source is is not checked; `ops.loads` says when it was landed";
const OF_NAMES: &str = "everything is in one catalog, and names are quoted where SQL needs it";

impl Properties {
    /// Parses the text of a file; an empty file says nothing.
    pub(crate) fn parse(file: &Path, text: &str, ignored: &Ignored) -> Result<Self> {
        let properties = yaml::parse::<Option<Self>>(file, text)?.unwrap_or_default();
        properties.note_ignored(file, ignored);
        Ok(properties)
    }

    /// Tells what nothing is done with.
    fn note_ignored(&self, file: &Path, ignored: &Ignored) {
        let unused = [
            ("analyses", &self.analyses),
            ("exposures", &self.exposures),
            ("groups", &self.groups),
            ("metrics", &self.metrics),
            ("semantic_models", &self.semantic_models),
            ("saved_queries", &self.saved_queries),
        ];
        note(file, ignored, &unused, OF_OTHER_TOOLS);
        for node in self.models.iter().chain(&self.seeds).chain(&self.snapshots) {
            let unused = [
                ("access", &node.access),
                ("deprecation_date", &node.deprecation_date),
                ("group", &node.group),
                ("time_spine", &node.time_spine),
            ];
            note(file, ignored, &unused, OF_OTHER_TOOLS);
            node.columns
                .iter()
                .for_each(|column| column.note_ignored(file, ignored));
        }
        for source in &self.sources {
            let fresh = [
                ("freshness", &source.freshness),
                ("loaded_at_field", &source.loaded_at_field),
                ("loaded_at_query", &source.loaded_at_query),
            ];
            note(file, ignored, &fresh, OF_FRESHNESS);
            note(
                file,
                ignored,
                &[("database", &source.database), ("quoting", &source.quoting)],
                OF_NAMES,
            );
            note(
                file,
                ignored,
                &[("overrides", &source.overrides)],
                "the sources of packages are not read",
            );
            for table in &source.tables {
                let fresh = [
                    ("freshness", &table.freshness),
                    ("loaded_at_field", &table.loaded_at_field),
                    ("loaded_at_query", &table.loaded_at_query),
                ];
                note(file, ignored, &fresh, OF_FRESHNESS);
                note(file, ignored, &[("quoting", &table.quoting)], OF_NAMES);
                note(file, ignored, &[("external", &table.external)], OF_OTHER_TOOLS);
                table
                    .columns
                    .iter()
                    .for_each(|column| column.note_ignored(file, ignored));
            }
        }
    }
}

fn note(file: &Path, ignored: &Ignored, unused: &[(&str, &Unused)], why: &str) {
    for (key, found) in unused {
        if let Some(found) = found {
            ignored.key(key, why, &FilePosition::of(file, found));
        }
    }
}
