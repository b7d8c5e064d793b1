//! Joins that take nulls for equal, made of `is not distinct from`: all of their keys are compared so. The engine's rules
//! add keys to a join, or put joins together, without asking how its other keys are compared; these are kept from it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, of which those that make keys of conditions leave such joins alone.
pub(super) fn kept_apart(rules: Vec<Rule>) -> Vec<Rule> {
    let rules = rules.into_iter();
    rules
        .map(|rule| match rule.name() {
            "extract_equijoin_predicate" => Arc::new(OfOneKind(rule)) as Rule,
            "eliminate_cross_join" => Arc::new(WithoutThem(rule)),
            _ => rule,
        })
        .collect()
}

/// Whether the join takes nulls for equal.
fn equals_nulls(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty()
}

/// A rule that makes keys of a join's conditions.
#[derive(Debug)]
struct OfOneKind(Rule);

impl OptimizerRule for OfOneKind {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Join(join) if equals_nulls(join) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// A rule that puts inner joins together.
#[derive(Debug)]
struct WithoutThem(Rule);

impl OptimizerRule for WithoutThem {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
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
            false => self.0.rewrite(plan, config),
        }
    }
}
