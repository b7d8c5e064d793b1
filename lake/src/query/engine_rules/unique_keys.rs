//! Which columns are unique. The engine knows it of those that are grouped by, and mistakes others for them behind a projection
//! that gives columns other places: it then takes rows that are in the order of `rank` for rows in that of `rank, name`, and
//! does not sort them, neither when it plans nor when it runs. So a projection is not told.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::pass_through::{Kept, PassThrough};

/// Hides unique columns below projections.
#[derive(Debug)]
pub(super) struct KeysBesideProjections;

impl PhysicalOptimizerRule for KeysBesideProjections {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "keys_beside_projections"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn of_plan(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(projection) = plan.downcast_ref::<ProjectionExec>() else {
        return Ok(Transformed::no(plan));
    };
    let input = projection.input();
    if input.equivalence_properties().constraints().is_empty() {
        return Ok(Transformed::no(plan));
    }
    let hidden: Arc<dyn ExecutionPlan> = Arc::new(PassThrough::new(input.clone(), Kept::Keys));
    replace_children_if_necessary(plan, vec![hidden]).map(Transformed::yes)
}
