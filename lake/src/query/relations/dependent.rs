//! Joins whose right side reads columns of the left: LATERAL, UNNEST of a column, APPLY.
//!
//! A dependent join is made into a plain one by taking the rows of the left into the right side, down to where nothing
//! depends on them (T. Neumann, A. Kemper, "Unnesting Arbitrary Queries", BTW 2015). Where the right side works row by
//! row, the left's rows go through it with all their columns, and nothing is joined. Otherwise the distinct values that
//! the right side reads go through it, and the left is joined with what comes out.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, NullHandling, Result, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Operator, SubqueryAlias, binary_expr};
use datafusion::optimizer::AnalyzerRule;

use super::push::{Domain, is_by_row, push};
use super::scalar::joined;
use crate::query::correlation::OuterColumns;

/// Makes dependent joins into plain ones.
#[derive(Debug)]
pub(in super::super) struct DependentJoins;

impl AnalyzerRule for DependentJoins {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut number = 0;
        let mut one = |plan: LogicalPlan| match plan {
            LogicalPlan::Join(join) => {
                number += 1;
                of_join(join, number)
            }
            other => Ok(Transformed::no(other)),
        };
        let plan = plan.transform_up_with_subqueries(|plan| match joined(&plan)? {
            Some(joined) => joined.transform_up(&mut one),
            None => one(plan),
        });
        plan.map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "dependent_joins"
    }
}

/// The right side of what may be a dependent join: the plan, and how its columns are named.
fn dependent(right: &LogicalPlan) -> Result<Option<(&LogicalPlan, Option<&TableReference>)>> {
    match right {
        LogicalPlan::Subquery(subquery) => return Ok(Some((&subquery.subquery, None))),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            if let LogicalPlan::Subquery(subquery) = input.as_ref() {
                return Ok(Some((&subquery.subquery, Some(alias))));
            }
        }
        _ => {}
    }
    // `t, unnest(t.a) u join v on …`: the dependent relation is within.
    let within = right.exists(|plan| Ok(matches!(plan, LogicalPlan::Subquery(_))))?;
    Ok(within.then_some((right, None)))
}

fn of_join(join: Join, number: usize) -> Result<Transformed<LogicalPlan>> {
    let Some((inner, alias)) = dependent(&join.right)? else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let left = join.left.as_ref();
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) || !join.on.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let read = OuterColumns::of(inner)?.all();
    let read: Vec<Column> = read.filter(|column| left.schema().has_column(column)).collect();
    if read.is_empty() {
        // It depends on a query that is further out, or on nothing.
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let always = join
        .filter
        .as_ref()
        .is_none_or(|filter| matches!(filter, Expr::Literal(value, _) if value == &true.into()));
    let through = match join.join_type {
        JoinType::Inner if is_by_row(inner)? => Some(inner.clone()),
        JoinType::Left if always => keeping_rows(inner)?,
        _ => None,
    };
    let plan = match through {
        Some(inner) => row_by_row(left, &inner, alias, join.filter.as_ref().filter(|_| !always), number)?,
        None => by_values(&join, inner, alias, read, number)?,
    };
    Ok(match plan {
        Some(plan) => Transformed::yes(plan),
        None => Transformed::no(LogicalPlan::Join(join)),
    })
}

/// The right side of a left join such that it gives a row, of nulls, for a list that is empty, if it is of that kind.
fn keeping_rows(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Some(plan.clone()),
        LogicalPlan::Unnest(unnest) if is_one_row(&unnest.input) => {
            let mut unnest = unnest.clone();
            unnest.options.null_handling = NullHandling::PreserveAndExpandEmpty;
            Some(LogicalPlan::Unnest(unnest))
        }
        LogicalPlan::Projection(_) if is_one_row(plan) => Some(plan.clone()),
        LogicalPlan::Projection(projection) if projection.expr.iter().all(is_null_of_null) => {
            let input = keeping_rows(&projection.input)?;
            let with = |input| plan.with_new_exprs(projection.expr.clone(), vec![input]);
            input.map(with).transpose()?
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = keeping_rows(&alias.input)?;
            let with = |input| SubqueryAlias::try_new(Arc::new(input), alias.alias.clone());
            input.map(with).transpose()?.map(LogicalPlan::SubqueryAlias)
        }
        _ => None,
    })
}

fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        _ => false,
    }
}

fn is_null_of_null(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_null_of_null(&alias.expr),
        Expr::ScalarFunction(call) => call.name() == "get_field" && call.args.first().is_some_and(is_null_of_null),
        _ => false,
    }
}

/// The columns of a plan, each by a name of a relation and by its own.
fn columns(plan: &LogicalPlan) -> Vec<Column> {
    plan.schema().iter().map(Column::from).collect()
}

/// All columns of the left go through the right side.
fn row_by_row(
    left: &LogicalPlan,
    inner: &LogicalPlan,
    alias: Option<&TableReference>,
    filter: Option<&Expr>,
    number: usize,
) -> Result<Option<LogicalPlan>> {
    let domain = Domain::new(left, columns(left), false, number)?;
    let Some(pushed) = push(inner, &domain)? else {
        return Ok(None);
    };
    let outer = domain.restored();
    let shown = outer.into_iter().chain(renamed(inner, alias)).collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(pushed).project(shown)?;
    let plan = match filter {
        Some(filter) => plan.filter(filter.clone())?,
        None => plan,
    };
    plan.build().map(Some)
}

/// The columns of the right side, by the name that the join knows.
fn renamed(inner: &LogicalPlan, alias: Option<&TableReference>) -> Vec<Expr> {
    let renamed = |column: Column| {
        let name = column.name.clone();
        let relation = alias.cloned().or(column.relation.clone());
        Expr::Column(column).alias_qualified(relation, name)
    };
    columns(inner).into_iter().map(renamed).collect()
}

/// The distinct values that the right side reads go through it, and the left is joined with what comes out.
fn by_values(
    join: &Join,
    inner: &LogicalPlan,
    alias: Option<&TableReference>,
    read: Vec<Column>,
    number: usize,
) -> Result<Option<LogicalPlan>> {
    let mut distinct: Vec<Column> = Vec::new();
    for column in read {
        if !distinct.contains(&column) {
            distinct.push(column);
        }
    }
    let domain = Domain::new(&join.left, distinct.clone(), true, number)?;
    let Some(pushed) = push(inner, &domain)? else {
        return Ok(None);
    };
    let keys = domain.keys().iter().cloned().map(Expr::Column);
    let right = renamed(inner, alias).into_iter().chain(keys).collect::<Vec<_>>();
    let right = LogicalPlanBuilder::from(pushed).project(right)?.build()?;
    let same = distinct
        .into_iter()
        .zip(domain.keys().iter().cloned())
        .map(|(outer, key)| binary_expr(Expr::Column(outer), Operator::IsNotDistinctFrom, Expr::Column(key)));
    let on = conjunction(same.chain(join.filter.clone()));
    let shown = join
        .schema
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(join.left.as_ref().clone()).join_on(right, join.join_type, on)?;
    plan.project(shown)?.build().map(Some)
}
