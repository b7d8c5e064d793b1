//! `count(*) / sum(count(*)) over ()`: a share. In PostgreSQL a sum of what are 64 bits already is a number without bounds, so
//! that what is divided by it is no integer. Here it is a decimal where it is over what has been aggregated.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, Window};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::DIGITS;

/// Makes decimals of such sums.
#[derive(Debug)]
pub(super) struct SumsOfSums;

impl AnalyzerRule for SumsOfSums {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut is_changed = false;
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Window(window) if is_aggregated(&window.input) => {
                let window = of_window(window)?;
                is_changed |= window.transformed;
                Ok(window)
            }
            // What is below has another type now.
            plan if is_changed => plan.recompute_schema().map(Transformed::yes),
            plan => Ok(Transformed::no(plan)),
        })
        .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "sums_of_sums"
    }
}

fn is_aggregated(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Filter(filter) => is_aggregated(&filter.input),
        LogicalPlan::Window(window) => is_aggregated(&window.input),
        _ => false,
    }
}

fn of_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new_for_projection();
    let schema = window.input.schema().clone();
    let mut is_changed = false;
    let exprs = window.window_expr.iter().map(|expr| {
        let name = names.save(expr);
        let expr = expr.clone().transform_down(|expr| Ok(wide(expr, &schema)))?;
        is_changed |= expr.transformed;
        Ok(name.restore(expr.data))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    if !is_changed {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let window = Window::try_new(exprs, Arc::clone(&window.input))?;
    Ok(Transformed::yes(LogicalPlan::Window(window)))
}

fn wide(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::WindowFunction(mut function) = expr else {
        return Transformed::no(expr);
    };
    let is_wide = |arg: &Expr| matches!(arg.get_type(schema), Ok(DataType::Int64 | DataType::UInt64));
    let is_sum = function.fun.name() == "sum" && function.params.args.iter().all(is_wide);
    if is_sum {
        for arg in &mut function.params.args {
            let cast = Cast::new(Box::new(std::mem::take(arg)), DataType::Decimal128(DIGITS, 0));
            *arg = Expr::Cast(cast);
        }
    }
    let expr = Expr::WindowFunction(function);
    match is_sum {
        true => Transformed::yes(expr),
        false => Transformed::no(expr),
    }
}
