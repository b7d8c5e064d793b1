//! The configuration of a node: merged from `dbt_project.yml`, its YAML and `config(…)` in its file, then validated.

use std::fmt;

use cordada_core::suggest::did_you_mean;
use serde_json::{Map, Value};

use crate::keys;
use crate::model::Model;
use crate::node::NodeKind;
use crate::snapshot::SnapshotConfig;

/// A configuration before it is validated.
pub(crate) type RawConfig = Map<String, Value>;

/// Lets `over` win; tags add up and meta is merged by key, as in dbt.
pub(crate) fn merge(config: &mut RawConfig, over: RawConfig) {
    for (key, value) in over {
        match (key.as_str(), config.get_mut(&key)) {
            ("tags", Some(tags)) => {
                let mut all = strings(tags);
                all.extend(strings(&value));
                *tags = all.into();
            }
            ("meta", Some(Value::Object(meta))) => {
                if let Value::Object(more) = value {
                    meta.extend(more);
                }
            }
            _ => {
                config.insert(key, value);
            }
        }
    }
}

/// A string or a list of strings.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// How a node's rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Materialization {
    /// A query, run when it is read.
    View,
    /// A table, written anew at each build.
    Table,
    /// A table that each build adds to or merges into.
    Incremental,
    /// Inlined into the models that read it.
    Ephemeral,
    /// A table from a CSV file of the project.
    Seed,
    /// A table that keeps former rows beside the current ones.
    Snapshot,
    /// A table of what an estimator makes of the query's rows.
    Model,
    /// A table of what the estimator of a model makes besides, or of what changed in a segment.
    Output,
    /// Those who belong to a segment.
    Segment,
}

impl Materialization {
    /// What a model's `materialized` may say.
    const OF_MODELS: [Materialization; 5] = [Self::View, Self::Table, Self::Incremental, Self::Ephemeral, Self::Model];

    /// As `materialized='…'` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Table => "table",
            Self::Incremental => "incremental",
            Self::Ephemeral => "ephemeral",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Model => "model",
            Self::Output => "output",
            Self::Segment => "segment",
        }
    }
}

impl fmt::Display for Materialization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How an incremental model's new rows meet the old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// They are added.
    Append,
    /// They replace all rows with one of their keys; many may share one.
    DeleteInsert,
    /// Each replaces the row with its key.
    Merge,
    /// They replace all rows of their partitions; without partitions, all rows.
    InsertOverwrite,
}

/// What happens when an incremental model's columns are no longer the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnSchemaChange {
    /// New columns are left out.
    Ignore,
    /// The build refuses to start.
    Fail,
    /// New columns are added, null in the old rows.
    AppendNewColumns,
}

/// A validated configuration of a model or seed.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) materialization: Materialization,
    pub(crate) schema: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) unique_key: Vec<String>,
    pub(crate) strategy: Strategy,
    /// The columns whose values make a partition, for [`Strategy::InsertOverwrite`].
    pub(crate) partition_by: Vec<String>,
    /// `None` if it is not said.
    pub(crate) on_schema_change: Option<OnSchemaChange>,
    /// `Some(false)` protects a table from `--full-refresh`.
    pub(crate) full_refresh: Option<bool>,
    pub(crate) contract: bool,
    /// SQL types of a seed's columns.
    pub(crate) column_types: Vec<(String, String)>,
    pub(crate) delimiter: u8,
    /// Whether a seed's columns have their names as the file spells them.
    pub(crate) quote_columns: bool,
    /// Of a [`Materialization::Snapshot`].
    pub(crate) snapshot: Option<SnapshotConfig>,
    /// Of a [`Materialization::Model`].
    pub(crate) model: Option<Model>,
}

/// What is wrong with a configuration: the key, why, and what to do.
#[derive(Debug, PartialEq)]
pub(crate) struct ConfigProblem {
    pub(crate) key: String,
    pub(crate) why: String,
    pub(crate) hint: Option<String>,
}

impl ConfigProblem {
    pub(crate) fn new(key: &str, why: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self {
            key: key.to_owned(),
            why: why.into(),
            hint: hint.into(),
        }
    }
}

impl Config {
    /// Validates the configuration of a node.
    pub(crate) fn validate(raw: &RawConfig, kind: NodeKind) -> Result<Self, ConfigProblem> {
        for key in raw.keys() {
            keys::check(key, raw)?;
        }
        let materialization = match kind {
            NodeKind::Model => materialization(raw)?,
            NodeKind::Seed => Materialization::Seed,
            NodeKind::Snapshot => Materialization::Snapshot,
            NodeKind::Segment => Materialization::Segment,
        };
        let unique_key = raw.get("unique_key").map(strings).unwrap_or_default();
        let config = Self {
            materialization,
            schema: match text(raw, "schema")? {
                None if kind == NodeKind::Snapshot => text(raw, "target_schema")?,
                schema => schema,
            },
            alias: text(raw, "alias")?,
            tags: raw.get("tags").map(strings).unwrap_or_default(),
            enabled: boolean(raw, "enabled")?.unwrap_or(true),
            strategy: strategy(raw, &unique_key)?,
            partition_by: partition_by(raw)?,
            unique_key,
            on_schema_change: on_schema_change(raw)?,
            full_refresh: boolean(raw, "full_refresh")?,
            contract: contract(raw),
            column_types: column_types(raw)?,
            delimiter: delimiter(raw)?,
            quote_columns: boolean(raw, "quote_columns")?.unwrap_or(false),
            snapshot: SnapshotConfig::read(raw, kind)?,
            model: Model::read(raw, materialization)?,
        };
        let by_key = matches!(config.strategy, Strategy::Merge | Strategy::DeleteInsert);
        if by_key && config.unique_key.is_empty() {
            return Err(ConfigProblem::new(
                "incremental_strategy",
                "the strategies `merge` and `delete+insert` need a `unique_key`",
                "name the columns that identify a row".to_owned(),
            ));
        }
        Ok(config)
    }

    /// What it says of changed columns, or what holds if it says nothing.
    pub(crate) fn on_schema_change(&self) -> OnSchemaChange {
        self.on_schema_change.unwrap_or(OnSchemaChange::Ignore)
    }

    /// The columns by which new rows of an incremental model meet those that are there.
    pub(crate) fn meeting_columns(&self) -> (&'static str, &[String]) {
        match self.strategy {
            Strategy::InsertOverwrite => ("partition_by", &self.partition_by),
            _ => ("unique_key", &self.unique_key),
        }
    }

    /// The configuration of an output of `model`: the model's, with a few keys of its own.
    pub(crate) fn of_output(model: &Config, own: &RawConfig) -> Result<Self, ConfigProblem> {
        const OWN: [&str; 3] = ["contract", "meta", "tags"];
        if let Some(key) = own.keys().find(|key| !OWN.contains(&key.as_str())) {
            return Err(ConfigProblem::new(
                key,
                format!("`{key}` of an output is that of its model"),
                format!("configure it there; an output's own keys are: {}", OWN.join(", ")),
            ));
        }
        let mut tags = model.tags.clone();
        tags.extend(own.get("tags").map(strings).unwrap_or_default());
        Ok(Self {
            materialization: Materialization::Output,
            tags,
            alias: None,
            unique_key: Vec::new(),
            contract: contract(own),
            model: None,
            ..model.clone()
        })
    }
}

fn materialization(raw: &RawConfig) -> Result<Materialization, ConfigProblem> {
    let Some(name) = text(raw, "materialized")? else {
        return Ok(Materialization::View);
    };
    let valid = Materialization::OF_MODELS;
    valid.into_iter().find(|one| one.name() == name).ok_or_else(|| {
        let hint = did_you_mean(&name, "materializations", valid.map(Materialization::name));
        ConfigProblem::new("materialized", format!("unknown materialization `{name}`"), hint)
    })
}

fn strategy(raw: &RawConfig, unique_key: &[String]) -> Result<Strategy, ConfigProblem> {
    const STRATEGIES: [&str; 4] = ["append", "delete+insert", "merge", "insert_overwrite"];
    match text(raw, "incremental_strategy")?.as_deref() {
        None | Some("default") if unique_key.is_empty() => Ok(Strategy::Append),
        None | Some("default" | "delete+insert") => Ok(Strategy::DeleteInsert),
        Some("merge") => Ok(Strategy::Merge),
        Some("append") => Ok(Strategy::Append),
        Some("insert_overwrite") => Ok(Strategy::InsertOverwrite),
        Some("microbatch") => Err(ConfigProblem::new(
            "incremental_strategy",
            "the strategy `microbatch` is not supported",
            "filter what is new under `is_incremental()`, with the strategy `delete+insert`".to_owned(),
        )),
        Some(other) => Err(ConfigProblem::new(
            "incremental_strategy",
            format!("unknown incremental strategy `{other}`"),
            did_you_mean(other, "strategies", STRATEGIES),
        )),
    }
}

/// A column, a list of columns, or a column as BigQuery has it: `{field: day, data_type: date}`.
fn partition_by(raw: &RawConfig) -> Result<Vec<String>, ConfigProblem> {
    let is_used = raw.get("incremental_strategy").and_then(Value::as_str) == Some("insert_overwrite");
    match raw.get("partition_by").filter(|_| is_used) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(columns @ (Value::String(_) | Value::Array(_))) => Ok(strings(columns)),
        Some(Value::Object(of_bigquery)) => {
            let is_day = |key: &str, day: &str| of_bigquery.get(key).is_none_or(|value| value.as_str() == Some(day));
            let field = of_bigquery.get("field").and_then(Value::as_str);
            let plain = field.filter(|_| is_day("data_type", "date") && is_day("granularity", "day"));
            plain.map(|field| vec![field.to_owned()]).ok_or_else(|| {
                ConfigProblem::new(
                    "partition_by",
                    "partitions are the values of columns, and this is more",
                    "select a column with the partition, such as date_trunc('month', …), and name it".to_owned(),
                )
            })
        }
        Some(_) => Err(ConfigProblem::new("partition_by", "it names columns", None)),
    }
}

fn on_schema_change(raw: &RawConfig) -> Result<Option<OnSchemaChange>, ConfigProblem> {
    let known = match text(raw, "on_schema_change")?.as_deref() {
        None => return Ok(None),
        Some("ignore") => OnSchemaChange::Ignore,
        Some("fail") => OnSchemaChange::Fail,
        Some("append_new_columns") => OnSchemaChange::AppendNewColumns,
        Some("sync_all_columns") => {
            return Err(ConfigProblem::new(
                "on_schema_change",
                "`sync_all_columns` is not supported",
                "leave `on_schema_change` out: the model is then built from scratch when its columns change".to_owned(),
            ));
        }
        Some(other) => {
            return Err(ConfigProblem::new(
                "on_schema_change",
                format!("unknown value `{other}`"),
                did_you_mean(other, "values", ["ignore", "fail", "append_new_columns"]),
            ));
        }
    };
    Ok(Some(known))
}

fn contract(raw: &RawConfig) -> bool {
    match raw.get("contract") {
        Some(Value::Object(contract)) => contract.get("enforced").and_then(Value::as_bool).unwrap_or(false),
        Some(Value::Bool(enforced)) => *enforced,
        _ => false,
    }
}

fn column_types(raw: &RawConfig) -> Result<Vec<(String, String)>, ConfigProblem> {
    let types = match raw.get("column_types") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(types)) => types,
        Some(_) => {
            return Err(ConfigProblem::new(
                "column_types",
                "it maps column names to SQL types",
                None,
            ));
        }
    };
    types
        .iter()
        .map(|(column, sql_type)| match sql_type {
            Value::String(sql_type) => Ok((column.trim_start_matches('+').to_owned(), sql_type.clone())),
            _ => Err(ConfigProblem::new(
                "column_types",
                format!("the type of `{column}` is not text"),
                None,
            )),
        })
        .collect()
}

fn delimiter(raw: &RawConfig) -> Result<u8, ConfigProblem> {
    match raw
        .get("delimiter")
        .map(|value| value.as_str().unwrap_or_default().as_bytes())
    {
        None => Ok(b','),
        Some(&[byte]) => Ok(byte),
        Some(_) => Err(ConfigProblem::new(
            "delimiter",
            "a delimiter is one ASCII character",
            None,
        )),
    }
}

/// The text that stands under `key`.
pub(crate) fn text(raw: &RawConfig, key: &str) -> Result<Option<String>, ConfigProblem> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
        Some(_) => Err(ConfigProblem::new(key, format!("`{key}` is not text"), None)),
    }
}

pub(crate) fn boolean(raw: &RawConfig, key: &str) -> Result<Option<bool>, ConfigProblem> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(ConfigProblem::new(
            key,
            format!("`{key}` is neither true nor false"),
            None,
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: Value) -> RawConfig {
        value.as_object().unwrap().clone()
    }

    fn problem(value: Value) -> ConfigProblem {
        Config::validate(&raw(value), NodeKind::Model).unwrap_err()
    }

    #[test]
    fn nothing_said_is_a_view() {
        let config = Config::validate(&RawConfig::new(), NodeKind::Model).unwrap();
        assert_eq!(config.materialization, Materialization::View);
        assert!(config.enabled);
    }

    #[test]
    fn a_unique_key_replaces_the_rows_of_a_key() {
        let config = json!({"materialized": "incremental", "unique_key": "id"});
        let config = Config::validate(&raw(config), NodeKind::Model).unwrap();
        assert_eq!(
            (config.strategy, config.unique_key),
            (Strategy::DeleteInsert, vec!["id".to_owned()])
        );
        assert_eq!(
            problem(json!({"incremental_strategy": "merge"})).key,
            "incremental_strategy"
        );
    }

    #[test]
    fn a_key_that_is_unknown_or_has_no_effect_is_refused() {
        let unknown = problem(json!({"materialised": "table"}));
        assert_eq!(unknown.hint.unwrap(), "did you mean `materialized`?");
        assert!(
            problem(json!({"post_hook": "grant select"}))
                .why
                .contains("not supported")
        );
        assert!(
            problem(json!({"materialized": "tabel"}))
                .hint
                .unwrap()
                .contains("`table`")
        );
    }

    #[test]
    fn an_output_is_configured_at_its_model() {
        let model = json!({"materialized": "model", "estimator": "e", "tags": "ml", "alias": "x", "unique_key": "id"});
        let model = Config::validate(&raw(model), NodeKind::Model).unwrap();
        let own = raw(json!({"tags": ["people"], "contract": {"enforced": true}}));
        let output = Config::of_output(&model, &own).unwrap();
        assert_eq!(output.materialization, Materialization::Output);
        assert_eq!(output.tags, ["ml", "people"]);
        assert!(output.contract && output.model.is_none() && output.unique_key.is_empty());
        let problem = Config::of_output(&model, &raw(json!({"schema": "people"}))).unwrap_err();
        assert_eq!(problem.key, "schema");
    }

    #[test]
    fn tags_add_up_and_meta_is_merged() {
        let mut config = raw(json!({"tags": "a", "meta": {"x": 1}, "schema": "old"}));
        merge(
            &mut config,
            raw(json!({"tags": ["b"], "meta": {"y": 2}, "schema": "new"})),
        );
        assert_eq!(
            Value::Object(config),
            json!({"tags": ["a", "b"], "meta": {"x": 1, "y": 2}, "schema": "new"})
        );
    }
}
