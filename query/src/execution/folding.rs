//! Which statements may take long to plan: what is constant is computed then, and one call of a function may take any time,
//! as `levenshtein(repeat('a', 100000), …)` does.

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Bytes of a statement that cannot say much.
const SHORT: usize = 4096;

/// Whether the statement is planned in next to no time: it is short, and calls no function.
pub(super) fn is_quick(sql: &str, plan: &LogicalPlan) -> bool {
    sql.len() <= SHORT && calls_functions(plan).is_ok_and(|calls| !calls)
}

fn calls_functions(plan: &LogicalPlan) -> Result<bool> {
    let mut calls = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                calls |= matches!(part, Expr::ScalarFunction(_) | Expr::HigherOrderFunction(_));
                Ok(match calls {
                    false => TreeNodeRecursion::Continue,
                    true => TreeNodeRecursion::Stop,
                })
            })
        })
    })?;
    Ok(calls)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn what_calls_no_function_is_quick() {
        let session = SessionContext::new();
        let long = format!("select '{}'", "x".repeat(SHORT));
        for (sql, quick) in [
            ("select 1", true),
            ("select count(*), max(a) from (values (1), (2)) t(a) where a > 1", true),
            ("select upper('a')", false),
            ("select 1 where 1 in (select length('a'))", false),
            (long.as_str(), false),
        ] {
            let plan = session.sql(sql).await.unwrap().into_unoptimized_plan();
            assert_eq!(is_quick(sql, &plan), quick, "{}", &sql[..sql.len().min(80)]);
        }
    }
}
