//! What a snapshot's configuration says: when a row is another one, and what becomes of rows that are gone.

use cordada_core::suggest::did_you_mean;
use serde_json::Value;

use crate::config::{self, ConfigProblem, RawConfig};
use crate::node::NodeKind;

/// How a snapshot keeps former rows beside the current ones, as dbt does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SnapshotConfig {
    /// Columns or expressions that identify a row.
    pub(crate) key: Vec<String>,
    pub(crate) changes: Changes,
    pub(crate) gone: Gone,
    /// What the end of current rows is, in SQL; null if it is not said.
    pub(crate) current_until: Option<String>,
    pub(crate) names: MetaNames,
}

/// What makes a row another one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Changes {
    /// A later time in that column (or expression).
    Timestamp(String),
    /// Another value in one of these columns; in any if there are none.
    Check(Vec<String>),
}

/// What becomes of current rows that the query has no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// They stay current.
    Ignore,
    /// They end.
    Invalidate,
    /// They end, and a row that says that they are gone begins.
    NewRecord,
}

/// The names of the columns that a snapshot adds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetaNames {
    pub(crate) scd_id: String,
    pub(crate) updated_at: String,
    pub(crate) valid_from: String,
    pub(crate) valid_to: String,
    pub(crate) is_deleted: String,
}

impl SnapshotConfig {
    /// Reads it from a node's configuration.
    pub(crate) fn read(raw: &RawConfig, kind: NodeKind) -> Result<Option<Self>, ConfigProblem> {
        if kind != NodeKind::Snapshot {
            return Ok(None);
        }
        let key = raw.get("unique_key").map(config::strings).unwrap_or_default();
        if key.is_empty() {
            let hint = "name the columns that identify a row".to_owned();
            return Err(ConfigProblem::new(
                "unique_key",
                "a snapshot needs a `unique_key`",
                hint,
            ));
        }
        Ok(Some(Self {
            key,
            changes: changes(raw)?,
            gone: gone(raw)?,
            current_until: config::text(raw, "dbt_valid_to_current")?,
            names: names(raw)?,
        }))
    }
}

fn changes(raw: &RawConfig) -> Result<Changes, ConfigProblem> {
    match config::text(raw, "strategy")?.as_deref() {
        Some("timestamp") => config::text(raw, "updated_at")?.map(Changes::Timestamp).ok_or_else(|| {
            let hint = "name the column that says when a row changed".to_owned();
            ConfigProblem::new("strategy", "the strategy `timestamp` needs `updated_at`", hint)
        }),
        Some("check") => match raw.get("check_cols") {
            Some(Value::String(all)) if all == "all" => Ok(Changes::Check(Vec::new())),
            Some(columns @ Value::Array(_)) if !config::strings(columns).is_empty() => {
                Ok(Changes::Check(config::strings(columns)))
            }
            _ => {
                let hint = "write `check_cols: all`, or a list of columns".to_owned();
                Err(ConfigProblem::new(
                    "strategy",
                    "the strategy `check` needs `check_cols`",
                    hint,
                ))
            }
        },
        other => {
            let why = match other {
                Some(other) => format!("unknown strategy `{other}` of a snapshot"),
                None => "a snapshot needs a `strategy`".to_owned(),
            };
            let hint = did_you_mean(other.unwrap_or_default(), "strategies", ["timestamp", "check"]);
            Err(ConfigProblem::new("strategy", why, hint))
        }
    }
}

fn gone(raw: &RawConfig) -> Result<Gone, ConfigProblem> {
    match config::text(raw, "hard_deletes")?.as_deref() {
        Some("ignore") => Ok(Gone::Ignore),
        Some("invalidate") => Ok(Gone::Invalidate),
        Some("new_record") => Ok(Gone::NewRecord),
        Some(other) => {
            let hint = did_you_mean(other, "values", ["ignore", "invalidate", "new_record"]);
            Err(ConfigProblem::new(
                "hard_deletes",
                format!("unknown value `{other}`"),
                hint,
            ))
        }
        None => Ok(match config::boolean(raw, "invalidate_hard_deletes")? {
            Some(true) => Gone::Invalidate,
            _ => Gone::Ignore,
        }),
    }
}

fn names(raw: &RawConfig) -> Result<MetaNames, ConfigProblem> {
    const KEY: &str = "snapshot_meta_column_names";
    const NAMES: [&str; 5] = [
        "dbt_scd_id",
        "dbt_updated_at",
        "dbt_valid_from",
        "dbt_valid_to",
        "dbt_is_deleted",
    ];
    let given = match raw.get(KEY) {
        None | Some(Value::Null) => RawConfig::new(),
        Some(Value::Object(given)) => given.clone(),
        Some(_) => return Err(ConfigProblem::new(KEY, "it maps dbt's names to those wanted", None)),
    };
    if let Some(unknown) = given.keys().find(|name| !NAMES.contains(&name.as_str())) {
        let hint = did_you_mean(unknown, "columns", NAMES);
        return Err(ConfigProblem::new(
            KEY,
            format!("a snapshot adds no column `{unknown}`"),
            hint,
        ));
    }
    let name = |name: &str| Ok(config::text(&given, name)?.unwrap_or_else(|| name.to_owned()));
    let [scd_id, updated_at, valid_from, valid_to, is_deleted] = NAMES.map(name);
    Ok(MetaNames {
        scd_id: scd_id?,
        updated_at: updated_at?,
        valid_from: valid_from?,
        valid_to: valid_to?,
        is_deleted: is_deleted?,
    })
}
