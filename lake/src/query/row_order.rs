//! The order of a subquery's rows is the order in which an aggregate over them takes its values, where it does not say one of
//! its own: `select string_agg(x, ',') from (select x from t order by x) t`. (PostgreSQL, "Aggregate Functions".)
//!
//! The engine keeps the order of rows up to an aggregate only where the aggregate asks for it, and sorts them for one that does:
//! one beside it that says no order is to have them as they come.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection, Sort, SortExpr, SubqueryAlias,
};
use datafusion::optimizer::AnalyzerRule;

use super::functions::aggregates::leaving_rows;

/// Aggregates whose answer depends on the order of the rows.
const ORDERED: [&str; 5] = ["array_agg", "string_agg", "first_value", "last_value", "nth_value"];

/// Has aggregates take the order of the rows below them.
#[derive(Debug)]
pub(super) struct OrderOfRows;

impl AnalyzerRule for OrderOfRows {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(takes_order) => of_aggregate(aggregate),
            plan => Ok(Transformed::no(plan)),
        })
        .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "order_of_rows"
    }
}

/// Whether the order of the rows is the order of the aggregate's values.
fn takes_order(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => takes_order(&alias.expr),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            params.order_by.is_empty() && !params.distinct && ORDERED.contains(&func.name())
        }
        _ => false,
    }
}

fn of_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let Some((input, order)) = with_keys(&aggregate.input)? else {
        return beside_unordered(aggregate);
    };
    let names = NamePreserver::new_for_projection();
    let ordered = |expr: Expr| {
        if !takes_order(&expr) {
            return Ok(expr);
        }
        let name = names.save(&expr);
        let ordered = expr.transform_up(|expr| {
            Ok(match expr {
                Expr::AggregateFunction(mut function) => {
                    function.params.order_by.clone_from(&order);
                    Transformed::yes(Expr::AggregateFunction(function))
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(name.restore(ordered.data))
    };
    let measures = aggregate.aggr_expr.into_iter().map(ordered);
    let measures = measures.collect::<Result<Vec<_>>>()?;
    let aggregate = Aggregate::try_new(Arc::new(input), aggregate.group_expr, measures)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// Has the aggregates that say an order sort their own values.
fn beside_unordered(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let measures = aggregate.aggr_expr.into_iter().map(|expr| {
        expr.transform_up(|expr| {
            Ok(match expr {
                Expr::AggregateFunction(mut call) if !call.params.order_by.is_empty() => match leaving_rows(&call.func)
                {
                    Some(function) => {
                        call.func = function;
                        Transformed::yes(Expr::AggregateFunction(call))
                    }
                    None => Transformed::no(Expr::AggregateFunction(call)),
                },
                other => Transformed::no(other),
            })
        })
        .map(|measure| measure.data)
    });
    let measures = measures.collect::<Result<Vec<_>>>()?;
    let aggregate = Aggregate::try_new(aggregate.input, aggregate.group_expr, measures)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// The plan with the keys of the order that its rows have as columns behind its own. None: they have none.
fn with_keys(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Vec<SortExpr>)>> {
    match plan {
        LogicalPlan::Sort(sort) if !sort.expr.iter().any(|by| by.expr.is_volatile()) => of_sort(sort).map(Some),
        LogicalPlan::Projection(projection) => {
            let Some((input, order)) = with_keys(&projection.input)? else {
                return Ok(None);
            };
            let keys = order.iter().map(|by| by.expr.clone());
            let exprs = projection.expr.iter().cloned().chain(keys).collect();
            let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?);
            Ok(Some((plan, order)))
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let Some((input, order)) = with_keys(input)? else {
                return Ok(None);
            };
            let plan = SubqueryAlias::try_new(Arc::new(input), alias.clone())?;
            let qualified = |by: SortExpr| match &by.expr {
                Expr::Column(key) => by.with_expr(Expr::Column(Column::new(Some(alias.clone()), &key.name))),
                _ => by,
            };
            let order = order.into_iter().map(qualified).collect();
            Ok(Some((LogicalPlan::SubqueryAlias(plan), order)))
        }
        LogicalPlan::Filter(_) | LogicalPlan::Limit(_) => {
            let inputs = plan.inputs();
            let [input] = inputs.as_slice() else {
                return Ok(None);
            };
            let Some((input, order)) = with_keys(input)? else {
                return Ok(None);
            };
            let plan = plan.with_new_exprs(plan.expressions(), vec![input])?;
            Ok(Some((plan, order)))
        }
        _ => Ok(None),
    }
}

fn of_sort(sort: &Sort) -> Result<(LogicalPlan, Vec<SortExpr>)> {
    let name = |place: usize| format!("\u{1}key {place}");
    let own = sort
        .input
        .schema()
        .iter()
        .map(|field| Expr::Column(Column::from(field)));
    let keys = sort.expr.iter().enumerate();
    let keys = keys.map(|(place, by)| by.expr.clone().unalias().alias(name(place)));
    let shown = own.chain(keys).collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(LogicalPlan::Sort(sort.clone())).project(shown)?;
    let order = sort.expr.iter().enumerate();
    let order = order.map(|(place, by)| by.with_expr(Expr::Column(Column::new_unqualified(name(place)))));
    Ok((plan.build()?, order.collect()))
}
