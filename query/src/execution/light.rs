//! Which plans compute so little that they need no turn: `select 1`, and what is asked about the catalog.

use std::sync::Arc;

use arrow::array::Array;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::expressions::Literal;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

/// Rows, or pairs of rows, that any operator of a light plan sees at most.
const ROWS: usize = 1_000_000;
/// Bytes of a constant, and of a row on average: some functions take the square of that in steps.
const BYTES: usize = 4096;

/// Whether the plan reads nothing but rows that are in memory already, and never makes many of them.
pub(super) fn is_light(plan: &Arc<dyn ExecutionPlan>) -> bool {
    rows(plan).is_some()
}

/// How many rows the operator gives at most, if neither it nor any below it sees more than there may be.
fn rows(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    if plan.is::<UnnestExec>() || plan.is::<RecursiveQueryExec>() || has_large_constant(plan).ok()? {
        return None;
    }
    let children = plan.children();
    let rows = match children.as_slice() {
        [] if plan.is::<EmptyExec>() => 0,
        [] if plan.is::<PlaceholderRowExec>() => 1,
        [] => in_memory(plan)?,
        [input] => rows(input)?,
        inputs => {
            let mut of_inputs = Vec::with_capacity(inputs.len());
            for input in inputs {
                of_inputs.push(rows(input)?);
            }
            match plan.is::<UnionExec>() {
                true => of_inputs.iter().sum(),
                // A join that keeps what has no partner gives the rows of one side at least.
                false => of_inputs
                    .iter()
                    .try_fold(1_usize, |product, rows| product.checked_mul((*rows).max(1)))?,
            }
        }
    };
    (rows <= ROWS).then_some(rows)
}

fn in_memory(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let source = plan.downcast_ref::<DataSourceExec>()?.data_source();
    let memory = source.downcast_ref::<MemorySourceConfig>()?;
    let (mut rows, mut bytes) = (0, 0);
    for batch in memory.partitions().iter().flatten() {
        rows += batch.num_rows();
        // What the rows take, and not the buffers that were made for more of them.
        let columns = batch.columns().iter();
        bytes += columns
            .map(|column| column.to_data().get_slice_memory_size().unwrap_or_default())
            .sum::<usize>();
    }
    (bytes <= (rows + 1) * BYTES).then_some(rows)
}

/// Whether an expression of the operator has a constant that is large.
fn has_large_constant(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(&mut |expression: &Arc<dyn PhysicalExpr>| {
        expression.apply(|part| {
            found |= part
                .downcast_ref::<Literal>()
                .is_some_and(|literal| literal.value().size() > BYTES);
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn only_what_reads_next_to_nothing_is_light() {
        let session = SessionContext::new();
        let values: Vec<_> = (0..2000).map(|n| format!("({n})")).collect();
        let values = format!("(values {})", values.join(", "));
        for (sql, light) in [
            ("select 1".to_owned(), true),
            ("select upper('a') union all select 'b' order by 1".to_owned(), true),
            (format!("select count(*) from {values} t(a)"), true),
            ("select 1 where false".to_owned(), true),
            (format!("select * from {values} a(x), (values (1), (2)) b(y)"), true),
            (format!("select sum(x * y) from {values} a(x), {values} b(y)"), false),
            ("select * from generate_series(1, 3)".to_owned(), false),
            ("select unnest([1, 2])".to_owned(), false),
            (
                "select levenshtein(repeat('a', 100000), 'b' || random()::text)".to_owned(),
                false,
            ),
            (
                "select length(a) from (values (repeat('a', 100000))) t(a)".to_owned(),
                false,
            ),
            (
                "with recursive r(n) as (select 1 union all select n + 1 from r) select * from r".to_owned(),
                false,
            ),
        ] {
            let plan = session.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
            assert_eq!(is_light(&plan), light, "{}", &sql[..sql.len().min(80)]);
        }
    }
}
