//! What a table was built from: equal fingerprints mean equal rows, so it need not be built again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use cordada_core::{TableName, hex};
use cordada_lake::estimator::{Estimator, Parameters, Relations};
use cordada_lake::{PinnedReference, Relation, RelationKind, Release};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use sha2::{Digest, Sha256};

use crate::compile::scanned;
use crate::compiled::CompiledNode;
use crate::config::Config;
use crate::node::Node;

/// The fingerprint of the rows that `plans` read from tables of `release`, those of `own` left out.
///
/// `None` if they depend on more: on time, chance, or relations that no release pins.
pub(super) fn of_inputs<'a>(
    plans: impl IntoIterator<Item = &'a LogicalPlan>,
    own: &TableName,
    release: &Release,
) -> DataFusionResult<Option<String>> {
    let mut versions = String::new();
    for plan in plans {
        if is_volatile(plan)? {
            return Ok(None);
        }
        for (table, pinned) in scanned(plan)?.into_iter().filter(|(table, _)| table != own) {
            // As the plan has it: a view may read another version than the release's.
            match pinned.filter(|_| release.relation(&table).is_some()) {
                Some(PinnedReference { path, version }) => {
                    let version = release.rows_version(&table, version);
                    // Writing to a text cannot fail.
                    let _ = writeln!(versions, "{table} {path} {version}");
                }
                // A journal, or a table of another release.
                None => return Ok(None),
            }
        }
    }
    Ok(Some(hash([versions.as_str()])))
}

/// The fingerprint of a model's definition: what is fitted, by what, on inputs of which columns. What is said about the
/// columns does not count.
pub(super) fn of_definition(
    estimator: &dyn Estimator,
    parameters: &Parameters,
    queries: &Relations<(&str, SchemaRef)>,
) -> String {
    let parameters: BTreeMap<_, _> = parameters.iter().collect();
    let names = std::iter::once("").chain(queries.further.keys().map(String::as_str));
    let queries: Vec<_> = names
        .zip(queries.iter())
        .map(|(name, (sql, schema))| (name, *sql, types(schema)))
        .collect();
    hash([
        estimator.name(),
        &estimator.version().to_string(),
        &format!("{parameters:?}"),
        &format!("{queries:?}"),
    ])
}

/// The fingerprint of a seed.
pub(super) fn of_seed(node: &CompiledNode, source: &Node) -> String {
    of_nodes([node], &source.config, "", &source.file.text)
}

/// The fingerprint of what a node and its further outputs hold, made of inputs with the fingerprint `inputs`.
/// `definition` is that of its estimator, if it has one.
pub(super) fn of_nodes<'a>(
    nodes: impl IntoIterator<Item = &'a CompiledNode>,
    config: &Config,
    definition: &str,
    inputs: &str,
) -> String {
    let mut parts = vec![
        env!("CARGO_PKG_VERSION").to_owned(),
        definition.to_owned(),
        format!(
            "{:?} {:?} {:?}",
            config.unique_key, config.strategy, config.on_schema_change
        ),
        format!("{:?}", config.model),
        inputs.to_owned(),
    ];
    for node in nodes {
        let work = &node.work;
        parts.push(node.materialization.name().to_owned());
        parts.push(work.full.clone());
        parts.push(work.incremental.clone().unwrap_or_default());
        parts.push(columns(&work.schema));
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
fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize())
}

/// Whether running the query again may give other rows: `now()`, `random()`, `current_date` and the like, and reading
/// another release by `version as of`.
fn is_volatile(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= scan
                .table_name
                .catalog()
                .is_some_and(|catalog| catalog != cordada_lake::query::session::CATALOG);
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part {
                    found |= call.func.signature().volatility != Volatility::Immutable;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn time_and_chance_are_volatile() {
        for (sql, expected) in [
            ("select 1 + 1 as x", false),
            ("select upper('a') as x", false),
            ("select now() as x", true),
            ("select 1 as x where random() > 2", true),
            (
                "select 1 as x where 2 in (select extract(year from current_date))",
                true,
            ),
        ] {
            let session = SessionContext::new();
            let plan = session.state().create_logical_plan(sql).await.unwrap();
            assert_eq!(is_volatile(&plan).unwrap(), expected, "{sql}");
        }
    }
}
