//! Filters that are pushed down, and must not be: below what has columns of one name, and those that a join makes of lists.
//!
//! The engine pushes filters down by the names of their columns: where both sides of a join have a `qty`, a condition on
//! the second one becomes one on the first. So a filter that asks for such a column is not pushed any further. While the
//! engine pushes, there is a [`PassThrough`] above every node that has columns of one name.
//!
//! A hash join tells its other side the least and the greatest of its keys while it runs. Of lists and structs these are not
//! compared as the join compares them, so they are not told.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::HashJoinExec;

use super::Physical;
use super::pass_through::{Kept, PassThrough};

/// A rule that pushes filters.
#[derive(Debug)]
pub(super) struct Sound(pub(super) Physical);

impl PhysicalOptimizerRule for Sound {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let marked = plan.transform_up(|plan| {
            let plan = untold(plan)?;
            Ok(match clear(&plan.data) {
                Some(clear) => Transformed::yes(only(plan.data, clear)),
                None => plan,
            })
        });
        let pushed = self.0.optimize(marked.data()?, config)?;
        let plain = pushed.transform_up(|plan| {
            Ok(match plan.downcast_ref::<PassThrough>() {
                Some(marked) if matches!(marked.kept(), Kept::ColumnsBut(_)) => {
                    Transformed::yes(marked.input().clone())
                }
                _ => Transformed::no(plan),
            })
        });
        plain.data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// The join, whose other side is not told of its keys where they are lists or structs.
fn untold(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
        return Ok(Transformed::no(plan));
    };
    let left = join.left().schema();
    let mut keys = join.on().iter();
    if !keys.any(|(key, _)| key.data_type(&left).is_ok_and(|key| key.is_nested())) {
        return Ok(Transformed::no(plan));
    }
    let sides = vec![join.left().clone(), only(join.right().clone(), Arc::new([]))];
    replace_children_if_necessary(plan, sides).map(Transformed::yes)
}

/// The node, which takes filters of no other columns.
fn only(plan: Arc<dyn ExecutionPlan>, clear: Arc<[usize]>) -> Arc<dyn ExecutionPlan> {
    Arc::new(PassThrough::new(plan, Kept::ColumnsBut(clear)))
}

/// The places of the columns whose names are theirs alone, if not all are.
fn clear(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<[usize]>> {
    let schema = plan.schema();
    let mut times = HashMap::new();
    for field in schema.fields() {
        *times.entry(field.name()).or_insert(0) += 1;
    }
    let is_clear = |field: &FieldRef| times.get(field.name()) == Some(&1);
    let fields = schema.fields().iter().enumerate();
    let clear: Arc<[usize]> = fields
        .filter(|(_, field)| is_clear(field))
        .map(|(place, _)| place)
        .collect();
    (clear.len() < schema.fields().len()).then_some(clear)
}
