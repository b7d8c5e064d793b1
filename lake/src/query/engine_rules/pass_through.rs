//! A node of a plan that hands on the rows of its input, and keeps to itself some of what the engine would know by it.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Constraints, Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, StatisticsArgs,
};

/// What the node keeps.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// From those above it: that anything in the rows is constant.
    Constants,
    /// From those above it: that anything in the rows is constant, or in an order.
    Order,
    /// From those above it: that any columns are unique.
    Keys,
    /// From its input: filters that ask for other columns than those in these places.
    ColumnsBut(Arc<[usize]>),
}

/// The node.
#[derive(Debug)]
pub(super) struct PassThrough {
    input: Arc<dyn ExecutionPlan>,
    kept: Kept,
    properties: Arc<PlanProperties>,
}

impl PassThrough {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, kept: Kept) -> Self {
        let properties = match kept {
            Kept::Constants => Arc::new(without_constants(&input)),
            Kept::Order => Arc::new(without_order(&input)),
            Kept::Keys => Arc::new(without_keys(&input)),
            Kept::ColumnsBut(_) => input.properties().clone(),
        };
        Self {
            input,
            kept,
            properties,
        }
    }

    pub(super) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }
}

/// What is known of the plan's rows but for constants.
fn without_constants(plan: &Arc<dyn ExecutionPlan>) -> PlanProperties {
    let orderings = plan.equivalence_properties().oeq_class().iter().cloned();
    let known = EquivalenceProperties::new_with_orderings(plan.schema(), orderings);
    PlanProperties::clone(plan.properties()).with_eq_properties(known)
}

/// What is known of the plan's rows but for constants and orders.
fn without_order(plan: &Arc<dyn ExecutionPlan>) -> PlanProperties {
    PlanProperties::clone(plan.properties()).with_eq_properties(EquivalenceProperties::new(plan.schema()))
}

/// What is known of the plan's rows but for columns that are unique.
fn without_keys(plan: &Arc<dyn ExecutionPlan>) -> PlanProperties {
    let known = plan.equivalence_properties().clone();
    PlanProperties::clone(plan.properties()).with_eq_properties(known.with_constraints(Constraints::default()))
}

impl DisplayAs for PassThrough {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for PassThrough {
    fn name(&self) -> &str {
        "PassThroughExec"
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
            (Some(input), true) => Ok(Arc::new(Self::new(input, self.kept.clone()))),
            _ => internal_err!("{} has one input", self.name()),
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
            _ => internal_err!("{} has one input", self.name()),
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
        let child = match &self.kept {
            Kept::Constants | Kept::Order | Kept::Keys => ChildFilterDescription::from_child(&filters, &self.input),
            Kept::ColumnsBut(clear) => {
                let clear = clear.iter().copied().collect();
                ChildFilterDescription::from_child_with_allowed_indices(&filters, clear, &self.input)
            }
        };
        Ok(FilterDescription::new().with_child(child?))
    }
}
