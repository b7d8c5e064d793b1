//! Rewriting the expressions of a plan so that its columns keep their names.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Rewrites each expression of one node of a plan. What is in a grouping set keeps its own name: the engine would name the
/// set anew, and find its columns no more.
///
/// # Errors
/// Those of `each`.
pub(super) fn rewrite(
    plan: LogicalPlan,
    mut each: impl FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    let mut named = |expr: Expr| {
        let name = names.save(&expr);
        Ok(each(expr)?.update_data(|expr| name.restore(expr)))
    };
    plan.map_expressions(|expr| match expr {
        set @ Expr::GroupingSet(_) => set.map_children(&mut named),
        expr => named(expr),
    })
}
