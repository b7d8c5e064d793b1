//! Whether the release alone decides what a statement answers, so that its answer may be given again.
//!
//! What is not known here is taken to be different each time: a source of rows that is not a table of the release (a
//! journal, the catalog), a function that depends on the time, the user or chance, a node that another rule made.

use cordada_lake::{PinnedTable, journal};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use crate::policy::shown_plan;

/// Whether every run of the plan gives the same rows. `default_schema` is that of tables that are named without one.
///
/// # Errors
/// The plan is not sound.
pub(crate) fn is_fixed(plan: &LogicalPlan, default_schema: &str) -> Result<bool> {
    let mut fixed = !journal::is_read_by(plan, default_schema)?;
    plan.apply_with_subqueries(|node| {
        fixed = fixed && is_fixed_node(node, default_schema)?;
        Ok(match fixed {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    })?;
    Ok(fixed)
}

fn is_fixed_node(node: &LogicalPlan, default_schema: &str) -> Result<bool> {
    let mut fixed = match node {
        LogicalPlan::TableScan(scan) => {
            let table = source_as_provider(&scan.source)?;
            match shown_plan(&*table) {
                Some(plan) => is_fixed(plan, default_schema)?,
                None => table.downcast_ref::<PinnedTable>().is_some(),
            }
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => true,
        _ => false,
    };
    if fixed {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                fixed = fixed && is_fixed_part(part);
                Ok(match fixed {
                    true => TreeNodeRecursion::Continue,
                    false => TreeNodeRecursion::Stop,
                })
            })
        })?;
    }
    Ok(fixed)
}

/// Whether an expression gives the same for the same input, if its parts do.
fn is_fixed_part(expression: &Expr) -> bool {
    let volatility = match expression {
        Expr::ScalarFunction(call) => call.func.signature().volatility,
        Expr::HigherOrderFunction(call) => call.func.signature().volatility,
        Expr::AggregateFunction(call) => call.func.signature().volatility,
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => function.signature().volatility,
            WindowFunctionDefinition::WindowUDF(function) => function.signature().volatility,
        },
        Expr::ScalarVariable(..) | Expr::Placeholder(_) => return false,
        _ => return true,
    };
    volatility == Volatility::Immutable
}
