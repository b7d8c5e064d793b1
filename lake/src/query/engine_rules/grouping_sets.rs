//! What is constant in the rows, or orders them, is a null in some rows of an aggregate with grouping sets: `where k = 5 group
//! by rollup(k)`. The engine takes it for a constant there too, or for the order, and then orders nothing by it. So above such
//! an aggregate it is not told.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

use super::pass_through::{Kept, PassThrough};

/// Hides what orders the rows of such aggregates.
#[derive(Debug)]
pub(super) struct NullsBesideGroups;

impl PhysicalOptimizerRule for NullsBesideGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let hidden = plan.transform_up(|plan| {
            let aggregate = plan.downcast_ref::<AggregateExec>();
            let has_sets = aggregate.is_some_and(|aggregate| aggregate.group_expr().has_grouping_set());
            Ok(match has_sets {
                true => Transformed::yes(Arc::new(PassThrough::new(plan, Kept::Order)) as Arc<dyn ExecutionPlan>),
                false => Transformed::no(plan),
            })
        });
        hidden.data()
    }

    fn name(&self) -> &str {
        "nulls_beside_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
