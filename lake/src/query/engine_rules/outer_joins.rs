//! What is constant in a side of an outer join is a constant or null behind it. The engine takes it for a constant there
//! too, and then orders nothing by it, and begins no new group or window where it changes. So below such a join it is
//! not told.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec, SymmetricHashJoinExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::pass_through::{Kept, PassThrough};

/// Hides constants below outer joins.
#[derive(Debug)]
pub(super) struct NullsBesideConstants;

impl PhysicalOptimizerRule for NullsBesideConstants {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "nulls_beside_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn of_plan(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    // Whether rows of the left and of the right side may be nulls.
    let nulls = match join_type(plan.as_ref()) {
        Some(JoinType::Left) => [false, true],
        Some(JoinType::Right) => [true, false],
        Some(JoinType::Full) => [true, true],
        _ => return Ok(Transformed::no(plan)),
    };
    let mut sides: Vec<_> = plan.children().into_iter().cloned().collect();
    let mut is_changed = false;
    for (side, may_be_null) in sides.iter_mut().zip(nulls) {
        if may_be_null && !side.equivalence_properties().constants().is_empty() {
            *side = Arc::new(PassThrough::new(side.clone(), Kept::Constants));
            is_changed = true;
        }
    }
    match is_changed {
        true => replace_children_if_necessary(plan, sides).map(Transformed::yes),
        false => Ok(Transformed::no(plan)),
    }
}

fn join_type(plan: &dyn ExecutionPlan) -> Option<JoinType> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        Some(*join.join_type())
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        Some(*join.join_type())
    } else if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        Some(join.join_type())
    } else {
        let join = plan.downcast_ref::<SymmetricHashJoinExec>()?;
        Some(*join.join_type())
    }
}
