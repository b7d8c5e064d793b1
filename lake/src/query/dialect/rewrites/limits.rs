//! How many rows come: `top n`, `top (n) percent`, `with ties`, `fetch first n rows only`, made into LIMIT and QUALIFY, and so
//! are `limit (select …)` and `offset (select …)`. (SQL Server, "TOP"; SQL:2016, 7.17, "fetch first clause".)

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CeilFloorKind, DateTimeField, Expr, Fetch, LimitClause, Offset, OrderByExpr, OrderByKind, Query,
    Select, SelectItem, SetExpr, Statement, TopQuantity, Value, ValueWithSpan, VisitorMut, WindowType,
};

use super::build;
use super::calls::{literal, take};
use super::templates;
use crate::query::walk;

/// Writes every such clause in the way that the engine plans.
///
/// # Errors
/// Plan: a clause has no meaning where it stands.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Limits)
}

struct Limits;

impl VisitorMut for Limits {
    type Break = DataFusionError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        match of_query(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn of_query(query: &mut Query) -> Result<()> {
    if !matches!(*query.body, SetExpr::Select(_)) {
        operands(&mut query.body)?;
    }
    let mut wanted = query.fetch.take();
    if let SetExpr::Select(select) = &mut *query.body
        && let Some(top) = select.top.take()
    {
        if wanted.is_some() {
            return plan_err!("a query has TOP or FETCH, not both");
        }
        wanted = Some(Fetch {
            with_ties: top.with_ties,
            percent: top.percent,
            quantity: match top.quantity {
                Some(TopQuantity::Expr(quantity)) => Some(quantity),
                Some(TopQuantity::Constant(quantity)) => Some(build::number(&quantity.to_string())),
                None => None,
            },
        });
    }
    let Some(wanted) = wanted else {
        without_null(query);
        return by_rows(query);
    };
    let offset = match query.limit_clause.take() {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset,
            limit_by,
        }) if limit_by.is_empty() => offset,
        Some(_) => return plan_err!("a query has LIMIT or one of TOP and FETCH, not both"),
    };
    let quantity = wanted.quantity.unwrap_or_else(|| build::number("1"));
    if wanted.with_ties || wanted.percent {
        let last = Last {
            quantity,
            with_ties: wanted.with_ties,
            percent: wanted.percent,
        };
        return by_rank(query, Some(last), offset, "WITH TIES and PERCENT");
    }
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(quantity),
        offset,
        limit_by: Vec::new(),
    });
    Ok(())
}

/// `limit null` and `offset null` are no limit, and `limit '2'` and `limit 2.0` are one of two (PostgreSQL, "LIMIT and OFFSET").
fn without_null(query: &mut Query) {
    let is_null = |expr: &Expr| matches!(expr, Expr::Value(ValueWithSpan { value: Value::Null, .. }));
    let read = |expr: &mut Expr| {
        let number = match &*expr {
            Expr::Value(ValueWithSpan {
                value: Value::Number(digits, _),
                ..
            }) => to_whole(digits),
            expr => literal(expr).and_then(|text| text.trim().parse().ok()),
        };
        if let Some(number) = number {
            *expr = build::number(&number.to_string());
        }
    };
    if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
        limit.take_if(|limit| is_null(limit));
        offset.take_if(|offset| is_null(&offset.value));
        limit.iter_mut().for_each(read);
        offset.iter_mut().map(|offset| &mut offset.value).for_each(read);
    }
}

/// The whole number that a decimal is rounded to, as in a cast.
fn to_whole(digits: &str) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.')?;
    let rounds_up = fraction.starts_with(|digit: char| digit >= '5');
    let is_plain = fraction.bytes().all(|digit| digit.is_ascii_digit());
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    whole.checked_add(rounds_up.into()).filter(|_| is_plain)
}

/// A limit or an offset that is calculated of rows is one of their places.
fn by_rows(query: &mut Query) -> Result<()> {
    let reads = |expr: &Expr| walk::any(expr, reads_rows);
    let Some(LimitClause::LimitOffset {
        limit,
        offset,
        limit_by,
    }) = &mut query.limit_clause
    else {
        return Ok(());
    };
    let is_calculated = limit.as_ref().is_some_and(reads) || offset.as_ref().is_some_and(|offset| reads(&offset.value));
    if !is_calculated || !limit_by.is_empty() {
        return Ok(());
    }
    let or = |expr: Expr, default: i64| {
        let default = build::number(&default.to_string());
        templates::expression("coalesce(cast($1 as bigint), $2)", &[build::nested(expr), default])
    };
    let (limit, mut offset) = (limit.take(), offset.take());
    query.limit_clause = None;
    let limit = limit.map(|limit| or(limit, i64::MAX)).transpose()?;
    if let Some(offset) = &mut offset {
        offset.value = or(take(&mut offset.value), 0)?;
    }
    let last = limit.map(|quantity| Last {
        quantity,
        with_ties: false,
        percent: false,
    });
    by_rank(query, last, offset, "a LIMIT or an OFFSET that is a subquery")
}

/// Whether the expression is a subquery with a FROM; one without is a value.
fn reads_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Subquery(query) => match &*query.body {
            SetExpr::Select(select) => !select.from.is_empty(),
            _ => true,
        },
        _ => false,
    }
}

/// `top` within an operand of a set operation concerns that operand alone.
fn operands(set: &mut SetExpr) -> Result<()> {
    match set {
        SetExpr::SetOperation { left, right, .. } => {
            operands(left)?;
            operands(right)
        }
        SetExpr::Select(select) if select.top.is_some() => {
            let body = std::mem::replace(set, SetExpr::Values(build::no_values()));
            let mut query = build::query(body);
            of_query(&mut query)?;
            *set = SetExpr::Query(Box::new(query));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Which row is the last.
struct Last {
    quantity: Expr,
    with_ties: bool,
    percent: bool,
}

/// Keeps the rows by their place in the order. `what` asks for that.
fn by_rank(query: &mut Query, last: Option<Last>, offset: Option<Offset>, what: &str) -> Result<()> {
    let order = query.order_by.as_ref().map(|order| &order.kind);
    if order.is_none() && last.as_ref().is_some_and(|last| last.with_ties) {
        return plan_err!("WITH TIES needs ORDER BY, which says what a tie is");
    }
    let SetExpr::Select(select) = &mut *query.body else {
        return plan_err!("{what} of a set operation need it in a subquery: select * from (…) order by …");
    };
    if select.distinct.is_some() {
        return plan_err!("{what} of SELECT DISTINCT need it in a subquery: select * from (…) order by …");
    }
    let keys = match order {
        None => Vec::new(),
        Some(OrderByKind::Expressions(keys)) => keys.iter().map(|key| resolved(key, select)).collect::<Result<_>>()?,
        Some(OrderByKind::All(_)) => return plan_err!("{what} need the keys of ORDER BY by name"),
    };
    let place = |function: &str| over(function, &keys);
    let mut conditions = Vec::new();
    let skipped = offset.map(|offset| build::nested(offset.value));
    if let Some(skipped) = skipped.clone() {
        conditions.push(build::binary(place("row_number()")?, BinaryOperator::Gt, skipped));
    }
    if let Some(Last {
        quantity,
        with_ties,
        percent,
    }) = last
    {
        let quantity = build::nested(quantity);
        let quantity = match percent {
            true => ceil(build::binary(
                build::binary(over("count(*)", &[])?, BinaryOperator::Multiply, quantity),
                BinaryOperator::Divide,
                build::number("100.0"),
            )),
            false => quantity,
        };
        let place = place(if with_ties { "rank()" } else { "row_number()" })?;
        conditions.push(match skipped {
            // Not added to what may be the greatest number.
            Some(skipped) => build::binary(
                build::nested(build::binary(place, BinaryOperator::Minus, skipped)),
                BinaryOperator::LtEq,
                quantity,
            ),
            None => build::binary(place, BinaryOperator::LtEq, quantity),
        });
    }
    for condition in conditions {
        select.qualify = Some(match select.qualify.take() {
            None => condition,
            Some(other) => build::binary(build::nested(other), BinaryOperator::And, condition),
        });
    }
    Ok(())
}

fn ceil(expr: Expr) -> Expr {
    Expr::Ceil {
        expr: Box::new(expr),
        field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
    }
}

/// A window function over all rows in that order.
fn over(function: &str, keys: &[OrderByExpr]) -> Result<Expr> {
    let mut call = templates::expression(&format!("{function} over ()"), &[])?;
    if let Expr::Function(function) = &mut call
        && let Some(WindowType::WindowSpec(window)) = &mut function.over
    {
        window.order_by = keys.to_vec();
    }
    Ok(call)
}

/// A key of ORDER BY as an expression of the select's input: positions and aliases resolved.
fn resolved(key: &OrderByExpr, select: &Select) -> Result<OrderByExpr> {
    let mut key = key.clone();
    match &key.expr {
        Expr::Value(ValueWithSpan {
            value: Value::Number(position, _),
            ..
        }) => {
            let item = position
                .to_string()
                .parse::<usize>()
                .ok()
                .and_then(|position| select.projection.get(position.checked_sub(1)?));
            key.expr = match item {
                Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => expr.clone(),
                _ => return plan_err!("ORDER BY {position} is not the position of an expression of the select list"),
            };
        }
        Expr::Identifier(name) => {
            let aliased = select.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(&name.value) => {
                    Some(expr.clone())
                }
                _ => None,
            });
            key.expr = aliased.unwrap_or(key.expr);
        }
        _ => {}
    }
    Ok(key)
}
