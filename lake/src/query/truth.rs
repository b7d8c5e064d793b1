//! `x is true` and its kind as what the engine runs for them: `x is not distinct from true`. It plans the former as never
//! null and the latter as maybe null, and then refuses a group by one of them because the two do not agree.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::rewrite;

/// Writes tests of a truth value as comparisons.
#[derive(Debug)]
pub(super) struct AsComparisons;

impl AnalyzerRule for AsComparisons {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let compared = |plan| rewrite(plan, |expr| expr.transform_up(|expr| Ok(compared(expr))));
        plan.transform_up_with_subqueries(compared).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "truth_as_comparisons"
    }
}

fn compared(expr: Expr) -> Transformed<Expr> {
    let (expr, operator, value) = match expr {
        Expr::IsTrue(expr) => (expr, Operator::IsNotDistinctFrom, Some(true)),
        Expr::IsNotTrue(expr) => (expr, Operator::IsDistinctFrom, Some(true)),
        Expr::IsFalse(expr) => (expr, Operator::IsNotDistinctFrom, Some(false)),
        Expr::IsNotFalse(expr) => (expr, Operator::IsDistinctFrom, Some(false)),
        Expr::IsUnknown(expr) => (expr, Operator::IsNotDistinctFrom, None),
        Expr::IsNotUnknown(expr) => (expr, Operator::IsDistinctFrom, None),
        other => return Transformed::no(other),
    };
    let value = Expr::Literal(ScalarValue::Boolean(value), None);
    Transformed::yes(binary_expr(*expr, operator, value))
}
