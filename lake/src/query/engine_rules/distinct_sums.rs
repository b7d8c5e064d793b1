//! `sum` beside `count(distinct …)`: the engine sums by the distinct values first and then sums these sums. A sum of decimals
//! has ten digits more than they have, and so a sum of sums has twenty: another type than the plan says. So aggregates that
//! sum decimals stay as they were written.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::group_names;

/// The rule that makes groups of distinct values makes none where decimals are summed.
pub(super) fn none_of_decimals(
    rule: &dyn OptimizerRule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    match &plan {
        LogicalPlan::Aggregate(aggregate) if sums_decimals(aggregate) => Ok(Transformed::no(plan)),
        _ => group_names::none_of_one_name(rule, plan, config),
    }
}

fn sums_decimals(aggregate: &Aggregate) -> bool {
    let schema = aggregate.input.schema();
    aggregate.aggr_expr.iter().any(|expr| {
        let is_sum = matches!(expr, Expr::AggregateFunction(call) if call.func.name() == "sum");
        is_sum && expr.get_type(schema).is_ok_and(|data_type| data_type.is_decimal())
    })
}
