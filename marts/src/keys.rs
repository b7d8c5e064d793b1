//! The keys of configurations: dbt's and those of estimators. What nothing is done with is told, what would make other rows
//! is refused.

use cordada_core::suggest::nearest;
use serde_json::Value;

use crate::config::{ConfigProblem, RawConfig};

/// Keys that do something here.
pub(crate) const EFFECTIVE: [&str; 36] = [
    "materialized",
    "schema",
    "alias",
    "tags",
    "enabled",
    "meta",
    "unique_key",
    "incremental_strategy",
    "partition_by",
    "on_schema_change",
    "full_refresh",
    "contract",
    "column_types",
    "delimiter",
    "quote_columns",
    "estimator",
    "inputs",
    "outputs",
    "refit",
    "description",
    "persist_docs",
    // Of snapshots.
    "strategy",
    "updated_at",
    "check_cols",
    "hard_deletes",
    "invalidate_hard_deletes",
    "dbt_valid_to_current",
    "snapshot_meta_column_names",
    "target_schema",
    // Of tests.
    "severity",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    // For people.
    "docs",
];

/// dbt's keys that change nothing about the rows and that nothing is done with here, and why: they are told.
const WITHOUT_EFFECT: [(&str, &[&str]); 4] = [
    (
        "how tables are stored is the lake's",
        &[
            "auto_refresh",
            "backup",
            "bind",
            "buckets",
            "cluster_by",
            "clustered_by",
            "copy_partitions",
            "dist",
            "engine",
            "file_format",
            "indexes",
            "kms_key_name",
            "liquid_clustered_by",
            "location",
            "location_root",
            "on_configuration_change",
            "order_by",
            "partition_expiration_days",
            "partitioned_by",
            "primary_key",
            "require_partition_filter",
            "secure",
            "snowflake_warehouse",
            "sort",
            "sort_type",
            "table_format",
            "table_properties",
            "table_type",
            "target_lag",
            "tblproperties",
            "tmp_relation_type",
            "transient",
            "unlogged",
            "zorder",
            "hours_to_expiration",
            "labels",
            "resource_tags",
        ],
    ),
    (
        "roles in cordada.yml say who may read what",
        &[
            "access",
            "copy_grants",
            "grant_access_to",
            "grants",
            "group",
            "policy_tags",
        ],
    ),
    (
        "everything is in one catalog, and names are quoted where SQL needs it",
        &["database", "target_database", "quoting"],
    ),
    (
        "it is for what dbt does besides building",
        &[
            "batch_size",
            "begin",
            "concurrent_batches",
            "deprecation_date",
            "event_time",
            "freshness",
            "loaded_at_field",
            "loaded_at_query",
            "lookback",
            "node_color",
            "static_analysis",
            "store_failures",
            "store_failures_as",
        ],
    ),
];

/// dbt's keys that would change what happens and cannot be honoured: an error rather than a surprise.
const REFUSED: [(&str, &str); 8] = [
    ("pre-hook", NO_HOOKS),
    ("post-hook", NO_HOOKS),
    ("pre_hook", NO_HOOKS),
    ("post_hook", NO_HOOKS),
    ("sql_header", "put the statement into the model"),
    ("incremental_predicates", "filter in the model's own WHERE"),
    ("merge_update_columns", "select all columns as they are to be"),
    ("merge_exclude_columns", "select all columns as they are to be"),
];

const NO_HOOKS: &str = "make a model of what the hook does, so that it is part of the release";

/// Why nothing is done with `key` that is configured to `value`, if nothing is.
pub(crate) fn without_effect(key: &str, value: &Value) -> Option<&'static str> {
    let says_something = match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    };
    let found = WITHOUT_EFFECT.iter().find(|(_, keys)| keys.contains(&key));
    found.filter(|_| says_something).map(|(why, _)| *why)
}

/// Whether `key` is a configuration's name (and not a folder's).
pub(crate) fn is_known(key: &str) -> bool {
    EFFECTIVE.contains(&key)
        || WITHOUT_EFFECT.iter().any(|(_, keys)| keys.contains(&key))
        || REFUSED.iter().any(|(refused, _)| *refused == key)
}

/// Whether `key` may stand in a configuration whose other keys are `config`.
pub(crate) fn check(key: &str, config: &RawConfig) -> Result<(), ConfigProblem> {
    if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| *refused == key) {
        let empty = config
            .get(key)
            .is_some_and(|value| matches!(value, Value::Array(hooks) if hooks.is_empty()));
        if !empty {
            return Err(ConfigProblem::new(
                key,
                format!("`{key}` is not supported"),
                (*hint).to_owned(),
            ));
        }
    } else if !is_known(key) && config.get("materialized").and_then(Value::as_str) != Some("model") {
        return Err(ConfigProblem::new(
            key,
            format!("unknown configuration `{key}`"),
            match nearest(key, EFFECTIVE) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "what is for people or other tools goes under `meta`".to_owned(),
            },
        ));
    }
    Ok(())
}
