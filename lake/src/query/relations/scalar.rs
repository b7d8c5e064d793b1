//! Subqueries of expressions that the engine makes no join of: over lists of the row, `(select max(x) from unnest(t.a) u(x))`,
//! with a limit, `(select … order by … limit 1)`, by another comparison than equality, set operations of what the row has.
//! They become dependent joins, which become plain ones.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, JoinType, Result, ScalarValue, Spans};
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::expr::{InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery, binary_expr, lit, when};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;

use crate::query::correlation::OuterColumns;
use crate::query::scalar_subqueries::{Rows, rows};

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
            let (subquery, asks) = match &expr {
                Expr::ScalarSubquery(subquery) if rows(&subquery.subquery) != Rows::Some => (subquery, Asks::Value),
                Expr::Exists(exists) => (&exists.subquery, Asks::Exists(exists.negated)),
                Expr::InSubquery(within) if !within.expr.is_volatile() => (&within.subquery, Asks::In(within)),
                Expr::SetComparison(comparison) if !comparison.expr.is_volatile() => {
                    (&comparison.subquery, Asks::Compared(comparison))
                }
                _ => return Ok(Transformed::no(expr)),
            };
            if !reads_lists(&subquery.subquery)? && is_pulled_up(subquery, &asks)? {
                return Ok(Transformed::no(expr));
            }
            let alias = format!("__subquery_{found}");
            found += 1;
            let (inner, name) = asks.plan(subquery, with.schema())?;
            let right = LogicalPlan::Subquery(Subquery {
                outer_ref_columns: inner.all_out_ref_exprs(),
                subquery: Arc::new(inner),
                spans: Spans::new(),
            });
            let right = LogicalPlanBuilder::from(right).alias(alias.clone())?.build()?;
            with = with.clone().join_on(right, JoinType::Left, [lit(true)])?;
            asks.answer(Expr::Column(Column::new(Some(alias), name)))
                .map(Transformed::yes)
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

/// What is asked of a subquery.
enum Asks<'a> {
    Value,
    /// Whether it has a row, or has none.
    Exists(bool),
    /// Whether a value is among its own.
    In(&'a InSubquery),
    /// Whether a comparison with any of its values holds, or with all.
    Compared(&'a SetComparison),
}

/// What a comparison with a value of a subquery says, the greatest of all decides.
mod says {
    pub const NOTHING: i64 = 0;
    /// It is null.
    pub const MAYBE: i64 = 1;
    /// It holds, where any has to; it does not hold, where all have to.
    pub const ENOUGH: i64 = 2;
}

impl Asks<'_> {
    /// The comparison with a value, and whether it is enough that it does not hold.
    fn compared(&self, value: Expr, outer: &DFSchema) -> Result<Option<(Expr, bool)>> {
        Ok(match self {
            Self::Value | Self::Exists(_) => None,
            Self::In(within) => Some((read_further_out(&within.expr, outer)?.eq(value), false)),
            Self::Compared(comparison) => {
                let own = read_further_out(&comparison.expr, outer)?;
                let all = comparison.quantifier == SetQuantifier::All;
                Some((binary_expr(own, comparison.op, value), all))
            }
        })
    }

    /// The subquery with one row at most for each outer one, which has the column of that name.
    fn plan(&self, subquery: &Subquery, outer: &DFSchema) -> Result<(LogicalPlan, String)> {
        let plan = subquery.subquery.as_ref().clone();
        let (relation, name) = match plan.schema().iter().next() {
            Some((relation, field)) => (relation.cloned(), field.name().clone()),
            None => (None, String::new()),
        };
        let inner = LogicalPlanBuilder::from(plan);
        let value = Expr::Column(Column::new(relation, name.clone()));
        if let Some((compared, by_failing)) = self.compared(value, outer)? {
            let enough = match by_failing {
                true => compared.clone().is_false(),
                false => compared.clone().is_true(),
            };
            let said = when(enough, lit(says::ENOUGH))
                .when(compared.is_null(), lit(says::MAYBE))
                .otherwise(lit(says::NOTHING))?;
            let said = max(said).alias("said");
            let said = inner.aggregate(Vec::<Expr>::new(), [said])?.build()?;
            return Ok((said, "said".to_owned()));
        }
        match self {
            Self::Exists(_) => {
                let there = inner.project([lit(true).alias("there")])?.distinct()?.build()?;
                Ok((there, "there".to_owned()))
            }
            _ => Ok((inner.build()?, name)),
        }
    }

    /// The answer, from that column.
    fn answer(&self, column: Expr) -> Result<Expr> {
        let by = |column: Expr, enough: bool| {
            when(column.clone().eq(lit(says::ENOUGH)), lit(enough))
                .when(column.eq(lit(says::MAYBE)), lit(ScalarValue::Boolean(None)))
                .otherwise(lit(!enough))
        };
        Ok(match self {
            Self::Value => column,
            Self::Exists(false) => column.is_not_null(),
            Self::Exists(true) => column.is_null(),
            Self::In(InSubquery { negated: false, .. }) => by(column, true)?,
            Self::In(_) => Expr::Not(Box::new(by(column, true)?)),
            Self::Compared(comparison) => by(column, comparison.quantifier == SetQuantifier::Any)?,
        })
    }
}

/// The expression in a subquery of where it stands.
fn read_further_out(expr: &Expr, outer: &DFSchema) -> Result<Expr> {
    let read = expr.clone().transform_up(|expr| {
        Ok(match expr {
            Expr::Column(column) => {
                let field = outer.field_from_column(&column)?.clone();
                Transformed::yes(Expr::OuterReferenceColumn(field, column))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(read.data)
}

/// Whether the engine makes a join of the subquery.
fn is_pulled_up(subquery: &Subquery, asks: &Asks) -> Result<bool> {
    let plan = subquery.subquery.as_ref().clone();
    let read = OuterColumns::of(&plan)?;
    if read.is_empty() {
        return Ok(true);
    }
    if !read.of_subqueries.is_empty() || is_read_in_relation(&plan)? {
        return Ok(false);
    }
    let among = match asks {
        // The engine joins by one key, and a null among the values is one more thing to know.
        Asks::Compared(_) | Asks::In(InSubquery { negated: true, .. }) => return Ok(false),
        // A count of no rows is among the values, which the engine would not find, and of groups it loses columns.
        Asks::In(_) if has_groups(&plan)? => return Ok(false),
        Asks::In(within) => plan.schema().columns().into_iter().next().map(|column| {
            let value = within.expr.as_ref().clone();
            value.eq(Expr::Column(column))
        }),
        Asks::Value | Asks::Exists(_) => None,
    };
    let mut pull_up = PullUpCorrelatedExpr::new()
        .with_in_predicate_opt(among)
        .with_exists_sub_query(matches!(asks, Asks::Exists(_)))
        .with_need_handle_count_bug(matches!(asks, Asks::Value));
    Ok(plan.rewrite(&mut pull_up).is_ok() && pull_up.can_pull_up)
}

/// Whether the outer row is read within a relation of the subquery's own: the engine then looks for columns outside of it that
/// it has by other names, or not at all.
fn is_read_in_relation(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| match node {
        LogicalPlan::SubqueryAlias(alias) => Ok(!OuterColumns::of(&alias.input)?.is_empty()),
        _ => Ok(false),
    })
}

fn has_groups(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Aggregate(_))))
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
