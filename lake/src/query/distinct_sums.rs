//! `sum` beside `count(distinct …)`: the engine sums by the distinct values first and then sums these sums. A sum of decimals
//! has ten digits more than they have, and so a sum of sums has twenty: another type than the plan says. So aggregates that
//! sum decimals stay as they were written.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, of which the one that makes groups of distinct values does not sum sums of decimals.
pub(super) fn of_one_type(rules: Vec<Rule>) -> Vec<Rule> {
    let rules = rules.into_iter();
    rules
        .map(|rule| match rule.name() {
            "single_distinct_aggregation_to_group_by" => Arc::new(WithoutDecimals(rule)) as Rule,
            _ => rule,
        })
        .collect()
}

/// The rule that makes groups of distinct values.
#[derive(Debug)]
struct WithoutDecimals(Rule);

impl OptimizerRule for WithoutDecimals {
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
            LogicalPlan::Aggregate(aggregate) if sums_decimals(aggregate) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

fn sums_decimals(aggregate: &Aggregate) -> bool {
    let schema = aggregate.input.schema();
    aggregate.aggr_expr.iter().any(|expr| {
        let is_sum = matches!(expr, Expr::AggregateFunction(call) if call.func.name() == "sum");
        is_sum && expr.get_type(schema).is_ok_and(|data_type| data_type.is_decimal())
    })
}
