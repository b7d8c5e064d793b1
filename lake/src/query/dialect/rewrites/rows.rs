//! Rows in comparisons: `(a, b) = (1, 2)`, `(a, b) < (1, 2)`, `(a, b) in ((1, 2), (3, 4))`, `(a, b) in (select …)`.
//! (PostgreSQL, "Row and Array Comparisons".)

use std::borrow::Cow;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, Ident, Query, Select, SelectItem, SetExpr, Statement, TableAlias,
    TableAliasColumnDef, TableFactor, VisitorMut,
};

use super::build;
use super::calls::{call, name_of, plain_args, text};
use super::templates;
use crate::query::functions::json::records;
use crate::query::walk;

/// Writes comparisons of rows as comparisons of their fields.
///
/// # Errors
/// Plan: rows of different lengths are compared.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Rows)?;
    walk::each(statement, |expr| {
        if let Some(named) = named(expr) {
            *expr = named;
        }
        Ok(())
    })
}

/// `row(a, b)` as a value: its fields are called `f1`, `f2` …
fn named(expr: &Expr) -> Option<Expr> {
    if !matches!(expr, Expr::Function(_)) {
        return None;
    }
    let fields = fields(expr)?;
    let named = (1..).zip(fields.iter());
    let named = named.flat_map(|(place, field)| [text(format!("f{place}")), field.clone()]);
    Some(call(records::NAME, named.collect::<Vec<_>>()))
}

struct Rows;

impl VisitorMut for Rows {
    type Break = DataFusionError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        match select.selection.as_mut().map_or(Ok(()), filter) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        match replacement(expr) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(replaced)) => {
                *expr = replaced;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The fields, if this is a row: `(a, b)` or `row(a, b)`.
fn fields(expr: &Expr) -> Option<Cow<'_, [Expr]>> {
    match expr {
        Expr::Tuple(fields) if fields.len() > 1 => Some(fields.into()),
        Expr::Nested(expr) => fields(expr),
        Expr::Function(call) if name_of(&call.name).is_some_and(|name| name == "row") && call.over.is_none() => {
            match &call.args {
                FunctionArguments::List(list) if !list.args.is_empty() => plain_args(&list.args).map(Cow::from),
                _ => None,
            }
        }
        _ => None,
    }
}

fn replacement(expr: &Expr) -> Result<Option<Expr>> {
    match expr {
        Expr::BinaryOp { left, op, right } => match (fields(left), fields(right), right.as_ref()) {
            (Some(left), Some(right), _) => compared(&left, op, &right),
            (Some(left), None, Expr::Subquery(right)) => compared_with_row(&left, op, right),
            _ => Ok(None),
        },
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => match (fields(left), right.as_ref()) {
            (Some(row), Expr::Subquery(right)) => is_among(&row, right, false).map(Some),
            _ => Ok(None),
        },
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => match (fields(left), right.as_ref()) {
            (Some(row), Expr::Subquery(right)) => is_among(&row, right, true).map(Some),
            _ => Ok(None),
        },
        // A row is null if all of its fields are, and is not null if none is: `(1, null)` is neither.
        Expr::IsNull(row) => Ok(fields(row).and_then(|fields| each(&fields, Expr::IsNull))),
        Expr::IsNotNull(row) => Ok(fields(row).and_then(|fields| each(&fields, Expr::IsNotNull))),
        Expr::IsDistinctFrom(left, right) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => {
                distinct(&left, &right, "($1 is distinct from $2)", BinaryOperator::Or).map(Some)
            }
            _ => Ok(None),
        },
        Expr::IsNotDistinctFrom(left, right) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => {
                distinct(&left, &right, "($1 is not distinct from $2)", BinaryOperator::And).map(Some)
            }
            _ => Ok(None),
        },
        Expr::Between {
            expr: row,
            negated,
            low,
            high,
        } => {
            let (Some(row), Some(low), Some(high)) = (fields(row), fields(low), fields(high)) else {
                return Ok(None);
            };
            let (Some(from), Some(to)) = (
                compared(&row, &BinaryOperator::GtEq, &low)?,
                compared(&row, &BinaryOperator::LtEq, &high)?,
            ) else {
                return Ok(None);
            };
            Ok(Some(negate(build::binary(from, BinaryOperator::And, to), *negated)))
        }
        Expr::InList {
            expr: row,
            list,
            negated,
        } => {
            let Some(row) = fields(row) else {
                return Ok(None);
            };
            let mut alternatives = Vec::with_capacity(list.len());
            for other in list {
                let Some(other) = fields(other) else {
                    return plan_err!("a row of {} fields is looked for among values", row.len());
                };
                alternatives.extend(compared(&row, &BinaryOperator::Eq, &other)?);
            }
            let mut found = joined(alternatives, &BinaryOperator::Or);
            if let Some(Expr::Nested(chain)) = &mut found {
                super::chains::balance(chain);
            }
            Ok(found.map(|found| negate(found, *negated)))
        }
        Expr::InSubquery {
            expr: row,
            subquery,
            negated,
        } => match fields(row) {
            Some(row) => is_among(&row, subquery, *negated).map(Some),
            None => Ok(among_values(row, subquery, *negated)),
        },
        _ => Ok(None),
    }
}

/// `a in (values (1), (2))`, of which the engine makes no join, as a list.
fn among_values(value: &Expr, subquery: &Query, negated: bool) -> Option<Expr> {
    let Query {
        with: None,
        body,
        order_by: None,
        limit_clause: None,
        fetch: None,
        ..
    } = subquery
    else {
        return None;
    };
    let SetExpr::Values(values) = body.as_ref() else {
        return None;
    };
    let single = values.rows.iter().map(|row| match row.content.as_slice() {
        [value] => Some(value.clone()),
        _ => None,
    });
    Some(Expr::InList {
        expr: Box::new(value.clone()),
        list: single.collect::<Option<_>>()?,
        negated,
    })
}

/// `(a, b) = (select …)`: with the only row of the subquery, and null if there is none.
fn compared_with_row(row: &[Expr], op: &BinaryOperator, subquery: &Query) -> Result<Option<Expr>> {
    let others: Vec<_> = (0..row.len()).map(|field| Expr::Identifier(name(field))).collect();
    let Some(condition) = compared(row, op, &others)? else {
        return Ok(None);
    };
    let mut found = *templates::query("select 1 from (select 1) t")?;
    if let SetExpr::Select(select) = &mut *found.body {
        select.projection = vec![SelectItem::UnnamedExpr(condition)];
        for table in &mut select.from {
            table.relation = rows_of(subquery, row.len());
        }
    }
    Ok(Some(Expr::Subquery(Box::new(found))))
}

/// A field of a subquery's rows. No column has that name, so that those of a row mean what they meant outside of it.
fn name(field: usize) -> Ident {
    Ident::with_quote('"', format!("\u{1}field {field}"))
}

/// The rows of a subquery, whose fields have those names.
fn rows_of(subquery: &Query, fields: usize) -> TableFactor {
    TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery.clone()),
        alias: Some(TableAlias {
            explicit: true,
            name: Ident::with_quote('"', "\u{1}rows"),
            columns: (0..fields)
                .map(|field| TableAliasColumnDef {
                    name: name(field),
                    data_type: None,
                })
                .collect(),
            at: None,
        }),
        sample: None,
    }
}

fn negate(expr: Expr, negated: bool) -> Expr {
    let expr = build::nested(expr);
    match negated {
        true => Expr::UnaryOp {
            op: datafusion::sql::sqlparser::ast::UnaryOperator::Not,
            expr: Box::new(expr),
        },
        false => expr,
    }
}

/// The expressions in one chain of the operator, in parentheses.
fn joined(exprs: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    exprs
        .into_iter()
        .reduce(|left, right| build::binary(left, op.clone(), right))
        .map(build::nested)
}

/// A test that all fields pass.
fn each(fields: &[Expr], test: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    let tests = fields.iter().map(|field| test(Box::new(build::nested(field.clone()))));
    joined(tests.collect(), &BinaryOperator::And)
}

fn same_length(left: &[Expr], right: &[Expr]) -> Result<()> {
    if left.len() != right.len() {
        return plan_err!("rows of {} and {} fields are compared", left.len(), right.len());
    }
    Ok(())
}

fn distinct(left: &[Expr], right: &[Expr], template: &str, op: BinaryOperator) -> Result<Expr> {
    same_length(left, right)?;
    let pairs = left
        .iter()
        .zip(right)
        .map(|(left, right)| {
            templates::expression(template, &[build::nested(left.clone()), build::nested(right.clone())])
        })
        .collect::<Result<Vec<_>>>()?;
    joined(pairs, &op).ok_or_else(|| DataFusionError::Plan("a row has fields".to_owned()))
}

/// The comparison, field by field; none if the operator is not one of comparison.
fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Option<Expr>> {
    let pair = |op: &BinaryOperator, left: &Expr, right: &Expr| {
        build::nested(build::binary(
            build::nested(left.clone()),
            op.clone(),
            build::nested(right.clone()),
        ))
    };
    let all = |by: BinaryOperator| {
        let pairs = left.iter().zip(right).map(|(left, right)| pair(op, left, right));
        joined(pairs.collect(), &by)
    };
    let strict = match op {
        BinaryOperator::Eq | BinaryOperator::Spaceship => {
            same_length(left, right)?;
            return Ok(all(BinaryOperator::And));
        }
        BinaryOperator::NotEq => {
            same_length(left, right)?;
            return Ok(all(BinaryOperator::Or));
        }
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
        BinaryOperator::Gt | BinaryOperator::GtEq => BinaryOperator::Gt,
        _ => return Ok(None),
    };
    same_length(left, right)?;
    // a < x or (a = x and (b < y or …)), from the last field on, which alone may be equal.
    let mut pairs = left.iter().zip(right).rev();
    let Some((last_left, last_right)) = pairs.next() else {
        return Ok(None);
    };
    let mut found = pair(op, last_left, last_right);
    for (left, right) in pairs {
        let equal = build::binary(pair(&BinaryOperator::Eq, left, right), BinaryOperator::And, found);
        found = build::nested(build::binary(
            pair(&strict, left, right),
            BinaryOperator::Or,
            build::nested(equal),
        ));
    }
    Ok(Some(found))
}

/// Where rows are filtered, null is as good as false, so that the engine can join.
fn filter(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            filter(left)?;
            filter(right)
        }
        Expr::Nested(within) => filter(within),
        Expr::InSubquery {
            expr: row,
            subquery,
            negated,
        } => {
            if let Some(row) = fields(row) {
                *expr = match negated {
                    false => among(&row, subquery, "$1")?,
                    true => negate(among(&row, subquery, "(($1) is not false)")?, true),
                };
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `(a, b) in (select …)`: true if a row of the subquery has equal fields, null if one might have.
fn is_among(row: &[Expr], subquery: &Query, negated: bool) -> Result<Expr> {
    let found = templates::expression(
        "(case when $1 then true when $2 then null else false end)",
        &[among(row, subquery, "$1")?, among(row, subquery, "(($1) is null)")?],
    )?;
    Ok(negate(found, negated))
}

/// Whether a row of the subquery compares so with this one; `$1` in the condition is that all fields are equal.
fn among(row: &[Expr], subquery: &Query, condition: &str) -> Result<Expr> {
    let pairs = row.iter().enumerate().map(|(field, value)| {
        build::binary(
            Expr::Identifier(name(field)),
            BinaryOperator::Eq,
            build::nested(value.clone()),
        )
    });
    let Some(equal) = joined(pairs.map(build::nested).collect(), &BinaryOperator::And) else {
        return plan_err!("a row has fields");
    };
    let mut exists = *templates::query("select 1 from (select 1) t")?;
    if let SetExpr::Select(select) = &mut *exists.body {
        select.selection = Some(templates::expression(condition, &[equal])?);
        for table in &mut select.from {
            table.relation = rows_of(subquery, row.len());
        }
    }
    Ok(Expr::Exists {
        subquery: Box::new(exists),
        negated: false,
    })
}
