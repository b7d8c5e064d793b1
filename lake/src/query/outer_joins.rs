//! What is constant in a side of an outer join is a constant or null behind it. The engine takes it for a constant there
//! too, and then orders nothing by it, and begins no new group or window where it changes. So below such a join it is
//! not told.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, replace_children_if_necessary};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec, SymmetricHashJoinExec};
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, StatisticsArgs,
};

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The engine's rules, with ours behind those that choose joins.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules = PhysicalOptimizer::new().rules;
    let chosen = rules.iter().position(|rule| rule.name() == "join_selection");
    rules.insert(chosen.map_or(0, |place| place + 1), Arc::new(NullsBesideConstants));
    rules
}

/// Hides constants below outer joins.
#[derive(Debug)]
struct NullsBesideConstants;

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
            *side = Arc::new(Varying::new(side.clone()));
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

/// The rows of its input, of which nothing is said to be constant.
#[derive(Debug, Clone)]
struct Varying {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Varying {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let known = input.equivalence_properties();
        let orderings = known.oeq_class().iter().cloned();
        let properties = EquivalenceProperties::new_with_orderings(input.schema(), orderings);
        let properties = PlanProperties::clone(input.properties()).with_eq_properties(properties);
        Self {
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for Varying {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaryingExec")
    }
}

impl ExecutionPlan for Varying {
    fn name(&self) -> &str {
        "VaryingExec"
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
            _ => internal_err!("VaryingExec has one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match inputs {
            [input] => Ok(input.clone()),
            _ => internal_err!("VaryingExec has one input"),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
