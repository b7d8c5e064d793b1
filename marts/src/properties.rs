//! The YAML files beside the SQL: descriptions, sources, tests, configurations.

use std::path::Path;

use cordada_core::{Result, yaml};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config::RawConfig;

/// One file. Keys that begin with an underscore here are dbt's and mean nothing to Cordada.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Properties {
    pub(crate) models: Vec<NodeProperties>,
    pub(crate) seeds: Vec<NodeProperties>,
    pub(crate) sources: Vec<SourceProperties>,
    /// Singular tests.
    #[serde(alias = "tests")]
    pub(crate) data_tests: Vec<SingularTestProperties>,
    unit_tests: Vec<IgnoredAny>,
    snapshots: Vec<IgnoredAny>,
    #[serde(rename = "version")]
    _version: Option<IgnoredAny>,
    #[serde(rename = "macros")]
    _macros: Option<IgnoredAny>,
    #[serde(rename = "analyses")]
    _analyses: Option<IgnoredAny>,
    #[serde(rename = "anchors")]
    _anchors: Option<IgnoredAny>,
    #[serde(rename = "exposures")]
    _exposures: Option<IgnoredAny>,
    #[serde(rename = "groups")]
    _groups: Option<IgnoredAny>,
    #[serde(rename = "metrics")]
    _metrics: Option<IgnoredAny>,
    #[serde(rename = "semantic_models")]
    _semantic_models: Option<IgnoredAny>,
    #[serde(rename = "saved_queries")]
    _saved_queries: Option<IgnoredAny>,
}

/// A model or a seed.
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
    pub(crate) config: RawConfig,
    #[serde(rename = "access")]
    _access: Option<IgnoredAny>,
    #[serde(rename = "constraints")]
    _constraints: Option<IgnoredAny>,
    #[serde(rename = "deprecation_date")]
    _deprecation_date: Option<IgnoredAny>,
    #[serde(rename = "docs")]
    _docs: Option<IgnoredAny>,
    #[serde(rename = "group")]
    _group: Option<IgnoredAny>,
    #[serde(rename = "meta")]
    _meta: Option<IgnoredAny>,
    #[serde(rename = "time_spine")]
    _time_spine: Option<IgnoredAny>,
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
    pub(crate) data_type: Option<String>,
    #[serde(default)]
    pub(crate) quote: bool,
    #[serde(default)]
    pub(crate) meta: RawConfig,
    #[serde(default)]
    pub(crate) config: RawConfig,
    #[serde(rename = "constraints")]
    _constraints: Option<IgnoredAny>,
    #[serde(rename = "dimension")]
    _dimension: Option<IgnoredAny>,
    #[serde(rename = "entity")]
    _entity: Option<IgnoredAny>,
    #[serde(rename = "granularity")]
    _granularity: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
}

impl ColumnProperties {
    /// The kind of personal data that it holds: `meta: {pii: email}`, at the column or under its `config`.
    pub(crate) fn pii(&self) -> Option<String> {
        let of_config = self.config.get("meta").and_then(|meta| meta.get("pii"));
        match self.meta.get("pii").or(of_config)? {
            Value::String(kind) => Some(kind.clone()),
            Value::Bool(true) => Some("personal".to_owned()),
            _ => None,
        }
    }
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
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "database")]
    _database: Option<IgnoredAny>,
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
    #[serde(rename = "freshness")]
    _freshness: Option<IgnoredAny>,
    #[serde(rename = "loaded_at_field")]
    _loaded_at_field: Option<IgnoredAny>,
    #[serde(rename = "loaded_at_query")]
    _loaded_at_query: Option<IgnoredAny>,
    #[serde(rename = "loader")]
    _loader: Option<IgnoredAny>,
    #[serde(rename = "meta")]
    _meta: Option<IgnoredAny>,
    #[serde(rename = "overrides")]
    _overrides: Option<IgnoredAny>,
    #[serde(rename = "quoting")]
    _quoting: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
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
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
    #[serde(rename = "external")]
    _external: Option<IgnoredAny>,
    #[serde(rename = "freshness")]
    _freshness: Option<IgnoredAny>,
    #[serde(rename = "loaded_at_field")]
    _loaded_at_field: Option<IgnoredAny>,
    #[serde(rename = "loaded_at_query")]
    _loaded_at_query: Option<IgnoredAny>,
    #[serde(rename = "loader")]
    _loader: Option<IgnoredAny>,
    #[serde(rename = "meta")]
    _meta: Option<IgnoredAny>,
    #[serde(rename = "quoting")]
    _quoting: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
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

impl Properties {
    /// Parses the text of a file; an empty file says nothing.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self> {
        let properties = yaml::parse::<Option<Self>>(file, text)?.unwrap_or_default();
        for (key, found) in [
            ("unit_tests", &properties.unit_tests),
            ("snapshots", &properties.snapshots),
        ] {
            if !found.is_empty() {
                tracing::warn!(file = %file.display(), count = found.len(), "`{key}` are not supported and not run");
            }
        }
        Ok(properties)
    }
}
