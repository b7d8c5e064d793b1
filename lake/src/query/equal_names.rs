//! Filters that are pushed down, and must not be: below what has columns of one name, and those that a join makes of lists.
//!
//! The engine pushes filters down by the names of their columns: where both sides of a join have a `qty`, a condition on
//! the second one becomes one on the first. So a filter that asks for such a column is not pushed any further. While the
//! engine pushes, there is an [`Ambiguous`] above every node that has columns of one name.
//!
//! A hash join tells its other side the least and the greatest of its keys while it runs. Of lists and structs these are not
//! compared as the join compares them, so they are not told.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, replace_children_if_necessary};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs,
};

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rules, of which those that push filters do it soundly.
pub(super) fn told_apart(rules: Vec<Rule>) -> Vec<Rule> {
    let rules = rules.into_iter();
    rules
        .map(|rule| match rule.name().starts_with("FilterPushdown") {
            true => Arc::new(Sound(rule)) as Rule,
            false => rule,
        })
        .collect()
}

/// A rule that pushes filters.
#[derive(Debug)]
struct Sound(Rule);

impl PhysicalOptimizerRule for Sound {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let marked = plan.transform_up(|plan| {
            let plan = untold(plan)?;
            Ok(match Ambiguous::of(&plan.data) {
                Some(marked) => Transformed::yes(Arc::new(marked) as Arc<dyn ExecutionPlan>),
                None => plan,
            })
        });
        let pushed = self.0.optimize(marked.data()?, config)?;
        let plain = pushed.transform_up(|plan| {
            Ok(match plan.downcast_ref::<Ambiguous>() {
                Some(marked) => Transformed::yes(marked.input.clone()),
                None => Transformed::no(plan),
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
    let right = Ambiguous {
        input: join.right().clone(),
        clear: Arc::new([]),
    };
    let sides = vec![join.left().clone(), Arc::new(right) as Arc<dyn ExecutionPlan>];
    replace_children_if_necessary(plan, sides).map(Transformed::yes)
}

/// A node that has columns of one name. It is in a plan only while filters are pushed.
#[derive(Debug, Clone)]
struct Ambiguous {
    input: Arc<dyn ExecutionPlan>,
    /// The places of the columns whose names are theirs alone.
    clear: Arc<[usize]>,
}

impl Ambiguous {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Self> {
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
        (clear.len() < schema.fields().len()).then(|| Self {
            input: plan.clone(),
            clear,
        })
    }
}

impl DisplayAs for Ambiguous {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AmbiguousExec")
    }
}

impl ExecutionPlan for Ambiguous {
    fn name(&self) -> &str {
        "AmbiguousExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
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
            (Some(input), true) => Ok(Arc::new(Self {
                input,
                clear: self.clear.clone(),
            })),
            _ => internal_err!("AmbiguousExec has one input"),
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
            _ => internal_err!("AmbiguousExec has one input"),
        }
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
        let clear = self.clear.iter().copied().collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&filters, clear, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
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
