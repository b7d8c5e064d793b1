//! Joins that take nulls for equal, made of `is not distinct from`: all of their keys are compared so. The engine's rules
//! add keys to a join, or put joins together, without asking how its other keys are compared; these are kept from it.

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule that makes keys of a join's conditions adds none to such a join.
pub(super) fn none_added(
    rule: &dyn OptimizerRule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    match &plan {
        LogicalPlan::Join(join) if equals_nulls(join) => Ok(Transformed::no(plan)),
        _ => rule.rewrite(plan, config),
    }
}

/// The rule that puts inner joins together leaves a plan that has such a one alone.
pub(super) fn none_put_together(
    rule: &dyn OptimizerRule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found = matches!(node, LogicalPlan::Join(join) if join.join_type == JoinType::Inner && equals_nulls(join));
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    match found {
        true => Ok(Transformed::no(plan)),
        false => rule.rewrite(plan, config),
    }
}

/// Whether the join takes nulls for equal.
fn equals_nulls(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty()
}
