//! `concat(a, true)` is `at`: what is put together is shown, where the engine casts it to text.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::rewrite;
use super::functions::casts::shown;

/// The engine's functions that show what they are given.
const SHOWING: [&str; 2] = ["concat", "concat_ws"];

/// Has them show truth values as PostgreSQL does.
#[derive(Debug)]
pub(super) struct ShownValues;

impl AnalyzerRule for ShownValues {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "shown_values"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    rewrite(plan, |expr| expr.transform_up(|expr| Ok(of_expression(expr, &schema))))
}

fn of_expression(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_truth = |value: &Expr| value.get_type(schema).is_ok_and(|own| own == DataType::Boolean);
    match expr {
        Expr::ScalarFunction(mut call) if SHOWING.contains(&call.func.name()) && call.args.iter().any(is_truth) => {
            let args = call.args.into_iter();
            call.args = args
                .map(|arg| match is_truth(&arg) {
                    true => shown::function().call(vec![arg]),
                    false => arg,
                })
                .collect();
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    }
}
