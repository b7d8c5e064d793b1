//! Groups by a column and by a cast of it: `group by cast(a as date), a`. The engine calls a cast as what is cast, and the rules
//! that make columns of a projection of such keys fail for their names. So such groups stay as they were written.

use std::collections::HashSet;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// A rule that makes a projection of the keys of groups makes none of keys that have one name.
pub(super) fn none_of_one_name(
    rule: &dyn OptimizerRule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    match &plan {
        LogicalPlan::Aggregate(aggregate) if has_one_name_twice(aggregate) => Ok(Transformed::no(plan)),
        _ => rule.rewrite(plan, config),
    }
}

fn has_one_name_twice(aggregate: &Aggregate) -> bool {
    let mut names = HashSet::new();
    let mut keys = aggregate.group_expr.iter().map(Expr::schema_name);
    !keys.all(|name| names.insert(name.to_string()))
}
