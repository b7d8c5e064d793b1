//! Large constants: a column that is one has it once a row, so that batches beside it must be short.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::query::session::ResultLimit;

/// Makes batches so short that a batch of the plan's largest constant is no larger than any result may be.
pub(super) fn fit_batches(state: &mut SessionState, plan: &LogicalPlan) -> Result<()> {
    let most = ResultLimit::of(state.config_options());
    let rows = state.config().batch_size();
    let fitting = (most / largest(plan)?.max(1)).clamp(1, rows);
    if fitting < rows {
        let config = state.config().clone().with_batch_size(fitting);
        *state.config_mut() = config;
    }
    Ok(())
}

/// Bytes of the largest constant.
fn largest(plan: &LogicalPlan) -> Result<usize> {
    let mut largest = 0;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::Literal(value, _) = expression {
                    largest = largest.max(size(value));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(largest)
}

fn size(value: &ScalarValue) -> usize {
    value.size().saturating_sub(size_of::<ScalarValue>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::query::session::limit_results;

    async fn batch_rows(sql: &str) -> usize {
        let session = SessionContext::new();
        let plan = session.sql(sql).await.unwrap().into_optimized_plan().unwrap();
        let mut state = session.state();
        // A sixteenth of it, or as much as is left to a small machine: 16 MiB.
        limit_results(&mut state, 0);
        fit_batches(&mut state, &plan).unwrap();
        state.config().batch_size()
    }

    #[tokio::test]
    async fn batches_beside_a_large_constant_are_short() {
        assert_eq!(
            batch_rows("select 'abc', x from generate_series(1, 3) t(x)").await,
            8192
        );
        let rows = batch_rows("select repeat('x', 1048576), x from generate_series(1, 3) t(x)").await;
        assert!((8..=16).contains(&rows), "{rows}");
        assert_eq!(
            batch_rows("select x from generate_series(1, 3) t(x) where repeat('x', 99999999) > x::text").await,
            1
        );
    }
}
