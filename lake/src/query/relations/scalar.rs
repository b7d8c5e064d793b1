//! Subqueries of expressions that the engine makes no join of: over lists of the row, `(select max(x) from unnest(t.a) u(x))`,
//! with a limit, `(select … order by … limit 1)`, by another comparison than equality. They become dependent joins, which
//! become plain ones.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result, Spans};
use datafusion::logical_expr::{Expr, Limit, LogicalPlan, LogicalPlanBuilder, Subquery, lit};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;

/// The plan with joins in the place of such subqueries: a projection or a filter.
pub(super) fn joined(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let input = match plan {
        LogicalPlan::Projection(projection) => &projection.input,
        LogicalPlan::Filter(filter) => &filter.input,
        _ => return Ok(None),
    };
    let mut with = LogicalPlanBuilder::from(input.as_ref().clone());
    let mut found = 0;
    let mut replace = |expr: Expr| {
        expr.transform_up(|expr| {
            let (subquery, exists) = match &expr {
                Expr::ScalarSubquery(subquery) if is_one_row(&subquery.subquery) => (subquery, None),
                Expr::Exists(exists) => (&exists.subquery, Some(exists.negated)),
                _ => return Ok(Transformed::no(expr)),
            };
            if !reads_lists(&subquery.subquery)? && is_pulled_up(subquery, exists.is_some()) {
                return Ok(Transformed::no(expr));
            }
            let alias = format!("__subquery_{found}");
            found += 1;
            let inner = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
            let (inner, name) = match exists {
                None => {
                    let schema = subquery.subquery.schema();
                    let name = schema
                        .fields()
                        .first()
                        .map(|field| field.name().clone())
                        .unwrap_or_default();
                    (inner.build()?, name)
                }
                Some(_) => {
                    let there = inner.project([lit(true).alias("there")])?.distinct()?.build()?;
                    (there, "there".to_owned())
                }
            };
            let right = LogicalPlan::Subquery(Subquery {
                outer_ref_columns: inner.all_out_ref_exprs(),
                subquery: Arc::new(inner),
                spans: Spans::new(),
            });
            let right = LogicalPlanBuilder::from(right).alias(alias.clone())?.build()?;
            with = with.clone().join_on(right, JoinType::Left, [lit(true)])?;
            let value = Expr::Column(Column::new(Some(alias), name));
            Ok(Transformed::yes(match exists {
                None => value,
                Some(false) => value.is_not_null(),
                Some(true) => value.is_null(),
            }))
        })
    };
    let names: Vec<Column> = plan.schema().iter().map(Column::from).collect();
    let plan = match plan {
        LogicalPlan::Projection(projection) => {
            let exprs = projection
                .expr
                .iter()
                .cloned()
                .map(|expr| Ok(replace(expr.unalias())?.data));
            let exprs = exprs.collect::<Result<Vec<_>>>()?;
            let named = exprs.into_iter().zip(names);
            let named = named.map(|(expr, Column { relation, name, .. })| expr.alias_qualified(relation, name));
            let named = named.collect::<Vec<_>>();
            (found > 0).then(|| with.project(named))
        }
        LogicalPlan::Filter(filter) => {
            let predicate = replace(filter.predicate.clone())?.data;
            let shown: Vec<Expr> = names.into_iter().map(Expr::Column).collect();
            (found > 0).then(|| with.filter(predicate)?.project(shown))
        }
        _ => None,
    };
    plan.transpose()?.map(LogicalPlanBuilder::build).transpose()
}

/// Whether there is one row, whatever there is to read.
fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Limit(Limit { fetch: Some(fetch), .. }) => **fetch == lit(1i64),
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        LogicalPlan::Sort(sort) => is_one_row(&sort.input),
        _ => false,
    }
}

/// Whether the engine makes a join of the subquery.
fn is_pulled_up(subquery: &Subquery, exists: bool) -> bool {
    if subquery.outer_ref_columns.is_empty() {
        return true;
    }
    let mut pull_up = PullUpCorrelatedExpr::new()
        .with_exists_sub_query(exists)
        .with_need_handle_count_bug(!exists);
    let plan = subquery.subquery.as_ref().clone();
    plan.rewrite(&mut pull_up).is_ok() && pull_up.can_pull_up
}

/// Whether lists of the outer row are made into rows, which the engine does not know of a subquery.
fn reads_lists(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= matches!(node, LogicalPlan::Unnest(_)) && !node.all_out_ref_exprs().is_empty();
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found)
}
