//! What a table was built from: equal fingerprints mean equal rows, so it need not be built again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use cordada_core::{Result, hex};
use cordada_lake::estimator::{Estimator, Parameters, Relations};
use cordada_lake::{Lake, Relation, RelationKind, Release};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::canonical::Canonical;
use crate::compiled::CompiledNode;
use crate::config::Config;
use crate::node::Node;

/// Counts the changes of what functions and statements mean: what was made under another number is made anew.
const SEMANTICS: u32 = 1;

/// How the rows of a table are made, whatever rows they are made of. The table keeps it as its state, in the same
/// commit as the rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) definition: String,
}

impl Made {
    /// How the rows of that version were made, if the build says so.
    pub(super) async fn of(lake: &Lake, path: &str, version: u64) -> Result<Option<Self>> {
        let state = lake.state_at(path, version).await?;
        // The state of a table that ingestion writes says something else.
        Ok(state.and_then(|state| serde_json::from_str(&state).ok()))
    }
}

/// How rows are computed: by the queries, of tables that are made as they are. It changes with whatever is between the
/// rows and the raw tables, and not with rows.
pub(super) async fn of_queries(lake: &Lake, queries: &[Canonical], config: &Config) -> Result<String> {
    let mut parts = vec![
        SEMANTICS.to_string(),
        format!("{:?} {:?}", config.unique_key, config.strategy),
    ];
    for query in queries {
        parts.push(query.text.clone());
        for (_, table) in &query.tables {
            let made = Made::of(lake, &table.path, table.version).await?;
            parts.push(made.map(|made| made.definition).unwrap_or_default());
        }
    }
    Ok(hash(parts.iter().map(String::as_str)))
}

/// The fingerprint of the rows that the queries read.
///
/// `None` if they depend on more: on time, on chance, on what is not a table.
pub(super) fn of_inputs(queries: &[Canonical], release: &Release) -> Option<String> {
    let mut versions = String::new();
    for query in queries {
        if query.is_volatile {
            return None;
        }
        for (name, table) in &query.tables {
            let version = release.rows_version(name, table.version);
            // Writing to a text cannot fail.
            let _ = writeln!(versions, "{name} {} {version}", table.path);
        }
    }
    Some(hash([versions.as_str()]))
}

/// The fingerprint of a model's definition: what is fitted, by what, on inputs of which columns. What is said about the
/// columns does not count.
pub(super) fn of_estimator(
    estimator: &dyn Estimator,
    parameters: &Parameters,
    inputs: &Relations<SchemaRef>,
    queries: &str,
) -> String {
    let parameters: BTreeMap<_, _> = parameters.iter().collect();
    let names = std::iter::once("").chain(inputs.further.keys().map(String::as_str));
    let inputs: Vec<_> = names
        .zip(inputs.iter())
        .map(|(name, schema)| (name, types(schema)))
        .collect();
    hash([
        estimator.name(),
        &estimator.version().to_string(),
        &format!("{parameters:?}"),
        &format!("{inputs:?}"),
        queries,
    ])
}

/// The fingerprint of a seed.
pub(super) fn of_seed(node: &CompiledNode, source: &Node) -> String {
    let config = &source.config;
    let reading = format!(
        "{} {} {:?}",
        config.delimiter, config.quote_columns, config.column_types
    );
    of_nodes([node], config, &reading, &source.file.text)
}

/// The fingerprint of what a node and its further outputs hold, made as `definition` says of inputs with the
/// fingerprint `inputs`.
pub(super) fn of_nodes<'a>(
    nodes: impl IntoIterator<Item = &'a CompiledNode>,
    config: &Config,
    definition: &str,
    inputs: &str,
) -> String {
    let mut parts = vec![
        env!("CARGO_PKG_VERSION").to_owned(),
        definition.to_owned(),
        format!("{:?}", config.on_schema_change),
        format!("{:?}", config.model),
        inputs.to_owned(),
    ];
    for node in nodes {
        parts.push(node.materialization.name().to_owned());
        parts.push(columns(&node.work.schema));
    }
    hash(parts.iter().map(String::as_str))
}

fn types(schema: &Schema) -> Vec<(&str, &DataType)> {
    let fields = schema.fields().iter();
    fields.map(|field| (field.name().as_str(), field.data_type())).collect()
}

/// The columns, with what is said about them.
fn columns(schema: &Schema) -> String {
    let mut columns = String::new();
    for field in schema.fields() {
        // Sorted, because a field's metadata has no order of its own.
        let docs: BTreeMap<_, _> = field.metadata().iter().collect();
        let _ = writeln!(columns, "{:?} {} {docs:?}", field.name(), field.data_type());
    }
    columns
}

/// The SHA-256 of the parts, each after its length, in hexadecimal.
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize())
}

/// The table that `release` publishes for the node, if it has this fingerprint.
pub(super) fn reusable<'a>(
    release: &'a Release,
    node: &CompiledNode,
    fingerprint: Option<&str>,
) -> Option<&'a Relation> {
    let relation = release.relation(&node.table)?;
    let is_table = matches!(relation.kind, RelationKind::Table { .. });
    (is_table && relation.fingerprint.is_some() && relation.fingerprint.as_deref() == fingerprint).then_some(relation)
}
