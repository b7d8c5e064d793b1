//! EXISTS and IN with a subquery where the engine does not plan them, or without nulls: in a select list and in
//! aggregates, and wherever the difference between false and null shows (`not (a in (…))`, `a not in (…) or b`).

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, Operator, Subquery, lit, when};
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Makes joins of subqueries in select lists and aggregates, and gives IN its null.
///
/// It stands before the engine's own rule for filters, [`DecorrelatePredicateSubquery`].
#[derive(Debug, Default)]
pub(super) struct PredicateSubqueries;

impl OptimizerRule for PredicateSubqueries {
    fn name(&self) -> &str {
        "predicate_subqueries"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) => in_filter(filter),
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => in_list(plan, config),
            plan => Ok(Transformed::no(plan)),
        }
    }
}

fn is_predicate(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists(_) | Expr::InSubquery(_))
}

fn has_predicate(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(is_predicate(expr)))
}

/// The engine joins what a filter is made of, for which null is as good as false. Elsewhere IN gets its null.
fn in_filter(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    if !has_predicate(&filter.predicate)? {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let input = Arc::clone(&filter.input);
    let predicate = where_null_is_false(filter.predicate, true, &input)?;
    match predicate.transformed {
        true => Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(
            predicate.data,
            input,
        )?))),
        false => Ok(Transformed::no(LogicalPlan::Filter(Filter::new(predicate.data, input)))),
    }
}

fn where_null_is_false(expr: Expr, is_conjunct: bool, input: &LogicalPlan) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let is_conjunct = is_conjunct && op == Operator::And;
            let left = where_null_is_false(*left, is_conjunct, input)?;
            let right = where_null_is_false(*right, is_conjunct, input)?;
            let changed = left.transformed || right.transformed;
            let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.data), op, Box::new(right.data)));
            Ok(Transformed::new_transformed(expr, changed))
        }
        Expr::InSubquery(InSubquery { negated: false, .. }) | Expr::Exists(_) => Ok(Transformed::no(expr)),
        Expr::InSubquery(ref within) if is_conjunct && is_anti_join(within, input) => Ok(Transformed::no(expr)),
        Expr::Not(within) if is_conjunct && matches!(&*within, Expr::Exists(_)) => {
            Ok(Transformed::no(Expr::Not(within)))
        }
        expr => with_nulls(expr, input),
    }
}

/// Whether `x not in (…)` as a conjunct becomes an anti join that knows of nulls: one by an equality alone, of a value of the
/// row with what the subquery has for all rows.
fn is_anti_join(within: &InSubquery, input: &LogicalPlan) -> bool {
    let mut columns = within.expr.column_refs().into_iter();
    within.subquery.outer_ref_columns.is_empty() && columns.any(|column| input.schema().has_column(column))
}

/// Writes every IN of the expression so that it is null where it has to be.
fn with_nulls(expr: Expr, input: &LogicalPlan) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| match expr {
        Expr::InSubquery(within) => match with_null(&within, input)? {
            Some(expr) => Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(Expr::InSubquery(within))),
        },
        expr => Ok(Transformed::no(expr)),
    })
}

/// True if a value is equal, else null if the sought value or one that it is compared with is null, else false.
/// None if there is no null to think of.
fn with_null(within: &InSubquery, input: &LogicalPlan) -> Result<Option<Expr>> {
    let subquery = &within.subquery;
    let values = &subquery.subquery;
    let Some(value) = values.schema().columns().into_iter().next() else {
        return Ok(None);
    };
    // A correlated value comes from further out, whose nullability is not known here.
    let sought_nullable = within.expr.nullable(input.schema()).unwrap_or(true);
    let value_nullable = values.schema().field(0).is_nullable();
    // NOT IN of what belongs to the row is a join that the engine makes only for one key.
    let is_anti_join = within.negated && !subquery.outer_ref_columns.is_empty();
    if !sought_nullable && !value_nullable && !is_anti_join {
        return Ok(None);
    }
    let exists = |plan: Arc<LogicalPlan>| {
        Expr::Exists(Exists {
            subquery: Subquery {
                subquery: plan,
                ..subquery.clone()
            },
            negated: false,
        })
    };
    let mut unknown = lit(false);
    if sought_nullable {
        unknown = within.expr.as_ref().clone().is_null().and(exists(Arc::clone(values)));
    }
    if value_nullable {
        let nulls = Filter::try_new(Expr::Column(value).is_null(), Arc::clone(values))?;
        unknown = unknown.or(exists(Arc::new(LogicalPlan::Filter(nulls))));
    }
    let found = Expr::InSubquery(InSubquery {
        negated: false,
        ..within.clone()
    });
    let answer = when(found, lit(true))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    Ok(Some(match within.negated {
        true => Expr::Not(Box::new(answer)),
        false => answer,
    }))
}

/// Joins the input with every subquery of the list, and puts the join's mark in the place of the subquery.
fn in_list(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let exprs = plan.expressions();
    let mut any = false;
    for expr in &exprs {
        any = any || has_predicate(expr)?;
    }
    let Some(mut input) = plan.inputs().first().map(|&input| input.clone()).filter(|_| any) else {
        return Ok(Transformed::no(plan));
    };
    let names = NamePreserver::new_for_projection();
    let mut replaced = Vec::with_capacity(exprs.len());
    let shown: Vec<Column> = plan.schema().columns();
    for (place, expr) in exprs.into_iter().enumerate() {
        let name = names.save(&expr);
        let expr = with_nulls(sound_within(expr, config)?, &input)?.data;
        let expr = expr.transform_up(|expr| match is_predicate(&expr) {
            true => match marked(&input, expr, config)? {
                (Some(joined), expr) => {
                    input = joined;
                    Ok(Transformed::yes(expr))
                }
                (None, expr) => Ok(Transformed::no(expr)),
            },
            false => Ok(Transformed::no(expr)),
        })?;
        // What ANY and ALL have become has lost its name, which the columns of a projection still have.
        replaced.push(match (&plan, shown.get(place)) {
            (LogicalPlan::Projection(_), Some(column)) if expr.transformed => {
                let Column { relation, name, .. } = column.clone();
                expr.data.unalias().alias_qualified(relation, name)
            }
            _ => name.restore(expr.data),
        });
    }
    Ok(Transformed::yes(plan.with_new_exprs(replaced, vec![input])?))
}

/// The expression with this rule applied to its subqueries: the engine's makes joins of what is within them at once.
fn sound_within(expr: Expr, config: &dyn OptimizerConfig) -> Result<Expr> {
    let sound = |subquery: Subquery| -> Result<_> {
        let plan = Arc::unwrap_or_clone(subquery.subquery);
        let plan = plan.transform_down_with_subqueries(|plan| PredicateSubqueries.rewrite(plan, config))?;
        Ok(Subquery {
            subquery: Arc::new(plan.data),
            ..subquery
        })
    };
    let expr = expr.transform_down(|expr| {
        Ok(match expr {
            Expr::Exists(Exists { subquery, negated }) => {
                let subquery = sound(subquery)?;
                Transformed::yes(Expr::Exists(Exists { subquery, negated }))
            }
            Expr::InSubquery(within) => {
                let subquery = sound(within.subquery)?;
                Transformed::yes(Expr::InSubquery(InSubquery { subquery, ..within }))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(expr.data)
}

/// The input joined with the subquery, and what says whether the predicate holds: made of what the engine's rule makes
/// of a filter in which the predicate is part of a larger expression.
fn marked(input: &LogicalPlan, predicate: Expr, config: &dyn OptimizerConfig) -> Result<(Option<LogicalPlan>, Expr)> {
    let filter = Filter::try_new(predicate.clone().is_true(), Arc::new(input.clone()))?;
    let mut joined = DecorrelatePredicateSubquery::new()
        .rewrite(LogicalPlan::Filter(filter), config)?
        .data;
    if let LogicalPlan::Projection(projection) = joined {
        joined = Arc::unwrap_or_clone(projection.input);
    }
    match joined {
        LogicalPlan::Filter(Filter {
            predicate: Expr::IsTrue(mark),
            input,
            ..
        }) if !is_predicate(&mark) => Ok((Some(Arc::unwrap_or_clone(input)), *mark)),
        _ => Ok((None, predicate)),
    }
}
