//! Projections of the same expressions on top of each other: `select a + 1 as a from (select a + 1 as a from t)`. The engine
//! takes the second one for a repetition of the first and leaves it out, though its `a` is another.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, lit};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule that puts projections together sees that such projections differ.
pub(super) fn told_apart(
    rule: &dyn OptimizerRule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let apart = plan.transform_up_with_subqueries(apart).data()?;
    let rewritten = rule.rewrite(apart, config)?;
    rewritten.transform_data(|plan| plan.transform_up_with_subqueries(|plan| Ok(together(plan))))
}

/// The projection with a filter that holds always between it and one of the same expressions.
fn apart(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(projection) if repeats(&projection) => {
            let Projection {
                expr, input, schema, ..
            } = projection;
            let between = LogicalPlan::Filter(Filter::try_new(lit(true), input)?);
            Projection::try_new_with_schema(expr, Arc::new(between), schema)
                .map(|projection| Transformed::yes(LogicalPlan::Projection(projection)))
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// The plan without such a filter.
fn together(plan: LogicalPlan) -> Transformed<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(filter) if filter.predicate == lit(true) => {
            Transformed::yes(Arc::unwrap_or_clone(filter.input))
        }
        plan => Transformed::no(plan),
    }
}

/// Whether it has the expressions of its input, and computes anything.
fn repeats(projection: &Projection) -> bool {
    let computes = |expr: &Expr| !matches!(expr, Expr::Column(_));
    match projection.input.as_ref() {
        LogicalPlan::Projection(input) => input.expr == projection.expr && projection.expr.iter().any(computes),
        _ => false,
    }
}
