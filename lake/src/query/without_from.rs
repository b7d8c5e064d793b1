//! Subqueries that read no relation: `(select c.a = 'x')`, `exists (select 1 where c.a > 1)`, `c.a in (select c.b)`. The
//! engine makes no join of them. They are expressions of the row around them. And an aggregate of all rows always has a row,
//! which the engine's join for EXISTS does not find where there is nothing to aggregate.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, Subquery, binary_expr, lit, when};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::rewrite;
use super::scalar_subqueries::{Rows, rows};

/// Puts the expression in the place of each such subquery.
#[derive(Debug)]
pub(super) struct WithoutFrom;

impl AnalyzerRule for WithoutFrom {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            rewrite(plan, |expr| expr.transform_up(|expr| of_expression(expr, &schema)))
        })
        .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "without_from"
    }
}

fn of_expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let found = match &expr {
        Expr::ScalarSubquery(subquery) => match Row::of(subquery, schema)? {
            Some(Row { value, condition }) => Some(match condition {
                Some(condition) => when(condition, value).end()?,
                None => value,
            }),
            None => None,
        },
        Expr::Exists(exists) if rows(&exists.subquery.subquery) == Rows::One => Some(lit(!exists.negated)),
        Expr::Exists(exists) => Row::of(&exists.subquery, schema)?.map(|row| {
            let found = row.condition.map_or_else(|| lit(true), Expr::is_true);
            negated(found, exists.negated)
        }),
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated: is_negated,
        }) => {
            let row = Row::of(subquery, schema)?;
            let found = row.map(|row| row.compared(expr, Operator::Eq, false)).transpose()?;
            found.map(|found| negated(found, *is_negated))
        }
        Expr::SetComparison(SetComparison {
            expr,
            subquery,
            op,
            quantifier,
        }) => {
            let of_none = *quantifier == SetQuantifier::All;
            let row = Row::of(subquery, schema)?;
            row.map(|row| row.compared(expr, *op, of_none)).transpose()?
        }
        _ => None,
    };
    Ok(found.map_or_else(|| Transformed::no(expr), Transformed::yes))
}

fn negated(expr: Expr, is_negated: bool) -> Expr {
    match is_negated {
        true => Expr::Not(Box::new(expr)),
        false => expr,
    }
}

/// The only row of a subquery.
struct Row {
    value: Expr,
    /// Whether it is there.
    condition: Option<Expr>,
}

impl Row {
    /// None if the subquery reads a relation, or has another value each time: then it is calculated once.
    fn of(subquery: &Subquery, schema: &DFSchema) -> Result<Option<Self>> {
        let LogicalPlan::Projection(projection) = subquery.subquery.as_ref() else {
            return Ok(None);
        };
        let (input, condition) = match projection.input.as_ref() {
            LogicalPlan::Filter(filter) => (filter.input.as_ref(), Some(&filter.predicate)),
            input => (input, None),
        };
        let Some(value) = projection.expr.first() else {
            return Ok(None);
        };
        let is_one = matches!(input, LogicalPlan::EmptyRelation(empty) if empty.produce_one_row);
        if !is_one || value.is_volatile() || condition.is_some_and(Expr::is_volatile) {
            return Ok(None);
        }
        Ok(Some(Self {
            value: read_here(value, schema)?.unalias(),
            condition: condition.map(|condition| read_here(condition, schema)).transpose()?,
        }))
    }

    /// The comparison with the value; of no row, `of_none`.
    fn compared(self, expr: &Expr, op: Operator, of_none: bool) -> Result<Expr> {
        let compared = binary_expr(expr.clone(), op, self.value);
        match self.condition {
            Some(condition) => when(condition, compared).otherwise(lit(of_none)),
            None => Ok(compared),
        }
    }
}

/// The expression where the subquery stood: columns of the row around it are columns.
fn read_here(expr: &Expr, schema: &DFSchema) -> Result<Expr> {
    let read = expr.clone().transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) if schema.has_column(&column) => {
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(read.data)
}
