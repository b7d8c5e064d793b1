//! Which columns are unique. The engine knows it of those that are grouped by, and mistakes others for them behind a projection
//! that gives columns other places: it then takes rows that are in the order of `rank` for rows in that of `rank, name`, and
//! does not sort them. So where it decides what is sorted, a projection is not told.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Constraints, Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, replace_children_if_necessary};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rule that decides what is sorted.
const SORTS: &str = "EnsureRequirements";

/// The rules, with the one that decides what is sorted asked about plans that do not tell.
pub(super) fn untold(rules: Vec<Rule>) -> Vec<Rule> {
    let each = |rule: Rule| match rule.name() == SORTS {
        true => Arc::new(Untold(rule)),
        false => rule,
    };
    rules.into_iter().map(each).collect()
}

#[derive(Debug)]
struct Untold(Rule);

impl PhysicalOptimizerRule for Untold {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let untold = plan.transform_up(hide)?.data;
        let sorted = self.0.optimize(untold, config)?;
        sorted.transform_up(show).map(|plan| plan.data)
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
    let hidden: Arc<dyn ExecutionPlan> = Arc::new(Hidden::new(input.clone()));
    replace_children_if_necessary(plan, vec![hidden]).map(Transformed::yes)
}

fn show(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    Ok(match plan.downcast_ref::<Hidden>() {
        Some(hidden) => Transformed::yes(hidden.input.clone()),
        None => Transformed::no(plan),
    })
}

/// The rows of its input, of which nothing is said to be unique.
#[derive(Debug)]
struct Hidden {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Hidden {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let known = input.equivalence_properties().clone();
        let known = known.with_constraints(Constraints::default());
        let properties = PlanProperties::clone(input.properties()).with_eq_properties(known);
        Self {
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for Hidden {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for Hidden {
    fn name(&self) -> &str {
        "HiddenKeysExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::new(input))),
            _ => internal_err!("{} has one input", self.name()),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

#[cfg(test)]
mod tests {
    use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

    use super::SORTS;

    #[test]
    fn the_rule_is_there_under_its_name() {
        let rules = PhysicalOptimizer::new().rules;
        assert!(rules.iter().any(|rule| rule.name() == SORTS));
    }
}
