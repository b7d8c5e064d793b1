//! Which columns are unique. The engine knows it of those that are grouped by, and mistakes others for them behind a projection
//! that gives columns other places: it then takes rows that are in the order of `rank` for rows in that of `rank, name`, and
//! does not sort them. So where it decides what is sorted, a projection is not told.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::Physical;
use super::pass_through::{Kept, PassThrough};

/// The rule that decides what is sorted.
#[derive(Debug)]
pub(super) struct Untold(pub(super) Physical);

impl PhysicalOptimizerRule for Untold {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let untold = plan.transform_up(hide)?.data;
        let sorted = self.0.optimize(untold, config)?;
        let shown = sorted.transform_up(|plan| {
            Ok(match plan.downcast_ref::<PassThrough>() {
                Some(hidden) if matches!(hidden.kept(), Kept::Keys) => Transformed::yes(hidden.input().clone()),
                _ => Transformed::no(plan),
            })
        });
        shown.data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn hide(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
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
