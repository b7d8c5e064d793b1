//! Subqueries of expressions where the engine makes no joins of them: in what is aggregated and grouped by, in an order, in a
//! window, in the condition of a join. They are calculated for each row below, as a column.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;

/// Moves such subqueries into projections.
#[derive(Debug)]
pub(super) struct SubqueriesAsColumns;

impl AnalyzerRule for SubqueriesAsColumns {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "subqueries_as_columns"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !plan.expressions().iter().any(has_subquery) {
        return Ok(Transformed::no(plan));
    }
    match plan {
        LogicalPlan::Aggregate(aggregate) if !has_sets(&aggregate) => {
            let mut below = Below::default();
            let groups = below.named(aggregate.group_expr)?;
            let measures = below.named(aggregate.aggr_expr)?;
            let input = below.over(&aggregate.input)?;
            let aggregate = Aggregate::try_new(Arc::new(input), groups, measures)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
        }
        LogicalPlan::Sort(mut sort) => {
            let shown = columns(sort.input.schema());
            let mut below = Below::default();
            for by in &mut sort.expr {
                by.expr = below.expr(std::mem::take(&mut by.expr))?;
            }
            sort.input = Arc::new(below.over(&sort.input)?);
            let sorted = LogicalPlanBuilder::from(LogicalPlan::Sort(sort)).project(shown)?;
            sorted.build().map(Transformed::yes)
        }
        LogicalPlan::Window(window) => {
            let shown = columns(&window.schema);
            let mut below = Below::default();
            let exprs = below.named(window.window_expr)?;
            let input = below.over(&window.input)?;
            let with = LogicalPlanBuilder::from(input).window(exprs)?.project(shown)?;
            with.build().map(Transformed::yes)
        }
        LogicalPlan::Join(join) => of_join(join),
        plan => Ok(Transformed::no(plan)),
    }
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(subquery(expr).is_some())).unwrap_or_default()
}

/// The subquery that the expression is.
pub(super) fn subquery(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. }) => Some(subquery),
        _ => None,
    }
}

/// The engine knows the columns of grouping sets by names of its own.
fn has_sets(aggregate: &Aggregate) -> bool {
    let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
    aggregate.group_expr.iter().any(is_set)
}

fn columns(schema: &DFSchema) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

/// What is calculated below.
#[derive(Default)]
struct Below {
    subqueries: Vec<Expr>,
    /// How many the other side of a join has.
    first: usize,
}

impl Below {
    /// The expression, which reads columns in the place of subqueries.
    fn expr(&mut self, expr: Expr) -> Result<Expr> {
        let read = expr.transform_down(|expr| {
            if subquery(&expr).is_none() {
                return Ok(Transformed::no(expr));
            }
            let name = format!("__subquery_value_{}", self.first + self.subqueries.len());
            self.subqueries.push(expr.alias(&name));
            let column = Expr::Column(Column::new_unqualified(name));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        Ok(read.data)
    }

    /// The expressions by the names that they had.
    fn named(&mut self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        let names = NamePreserver::new_for_projection();
        let named = exprs.into_iter().map(|expr| {
            let name = names.save(&expr);
            Ok(name.restore(self.expr(expr)?))
        });
        named.collect()
    }

    /// The rows with the columns.
    fn over(self, input: &LogicalPlan) -> Result<LogicalPlan> {
        if self.subqueries.is_empty() {
            return Ok(input.clone());
        }
        let all = columns(input.schema()).into_iter().chain(self.subqueries);
        LogicalPlanBuilder::from(input.clone()).project(all)?.build()
    }
}

/// Of an inner join it is a filter behind it. Else each subquery is calculated for the rows of the side that it reads.
fn of_join(join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some(filter) = join.filter.clone().filter(has_subquery) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let shown = columns(&join.schema);
    let (with, without): (Vec<_>, Vec<_>) = split_conjunction_owned(filter).into_iter().partition(has_subquery);
    let Some(with) = conjunction(with) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    match join.join_type {
        JoinType::Inner => {
            let joined = joined(
                &join,
                join.left.as_ref().clone(),
                join.right.as_ref().clone(),
                conjunction(without),
            )?;
            let filtered = LogicalPlanBuilder::from(joined).filter(with)?;
            filtered.build().map(Transformed::yes)
        }
        JoinType::Left | JoinType::Right | JoinType::Full => {
            let mut left = Below::default();
            let mut right = Below::default();
            let read = with.transform_down(|expr| {
                let Some(within) = subquery(&expr) else {
                    return Ok(Transformed::no(expr));
                };
                let number = left.subqueries.len() + right.subqueries.len();
                let side = match (
                    reads(&expr, within, join.left.schema()),
                    reads(&expr, within, join.right.schema()),
                ) {
                    (_, false) => &mut left,
                    (false, true) => &mut right,
                    (true, true) => return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump)),
                };
                side.first = number - side.subqueries.len();
                let expr = side.expr(expr)?;
                Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump))
            })?;
            if !read.transformed {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            }
            let filter = conjunction(without.into_iter().chain([read.data]));
            let joined = joined(&join, left.over(&join.left)?, right.over(&join.right)?, filter)?;
            let shown = LogicalPlanBuilder::from(joined).project(shown)?;
            shown.build().map(Transformed::yes)
        }
        _ => Ok(Transformed::no(LogicalPlan::Join(join))),
    }
}

/// Whether the expression, or its subquery, reads columns of a side.
fn reads(expr: &Expr, subquery: &Subquery, side: &DFSchema) -> bool {
    let own = expr.column_refs().into_iter().any(|column| side.has_column(column));
    let outer = subquery.outer_ref_columns.iter();
    own || outer
        .into_iter()
        .any(|expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if side.has_column(column)))
}

fn joined(join: &Join, left: LogicalPlan, right: LogicalPlan, filter: Option<Expr>) -> Result<LogicalPlan> {
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        join.on.clone(),
        filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok(LogicalPlan::Join(joined))
}
