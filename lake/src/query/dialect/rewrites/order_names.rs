//! Names in ORDER BY: alone, one of the select list; in an expression, a column of FROM. So `select -x as x … order by abs(x)`
//! is by the column. (PostgreSQL, "Sorting Rows".) The engine takes the select list's in both places.
//!
//! Where a column of the select list has the name of one that it is calculated from, what is sorted by is calculated beside
//! it, in a subquery.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    VisitorMut,
};

use super::calls::take;
use super::depth::normal;
use super::{build, templates};
use crate::query::walk;

/// Writes the subqueries.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Orders)
}

struct Orders;

impl VisitorMut for Orders {
    type Break = DataFusionError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        match of_query(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn of_query(query: &mut Query) -> Result<()> {
    let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = &mut query.order_by
    else {
        return Ok(());
    };
    let SetExpr::Select(select) = &mut *query.body else {
        return Ok(());
    };
    let is_column = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if select.distinct.is_some()
        || !select.projection.iter().all(is_column)
        || !keys.iter().any(|key| is_by_column(key, select))
    {
        return Ok(());
    }
    let mut shown = Vec::new();
    let mut names = Vec::new();
    for (place, item) in select.projection.iter_mut().enumerate() {
        let (expr, name) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (take(expr), alias.clone()),
            SelectItem::UnnamedExpr(expr) => {
                let name = own_name(expr);
                (take(expr), name)
            }
            _ => continue,
        };
        let inner = Ident::with_quote('"', format!("\u{1}item {place}"));
        names.push(normal(&name));
        shown.push(SelectItem::ExprWithAlias {
            expr: Expr::Identifier(inner.clone()),
            alias: name,
        });
        *item = SelectItem::ExprWithAlias { expr, alias: inner };
    }
    for (place, key) in keys.iter_mut().enumerate() {
        let is_shown = match &key.expr {
            Expr::Identifier(name) => names.contains(&normal(name)),
            Expr::Value(_) => true,
            _ => false,
        };
        if !is_shown {
            let name = Ident::with_quote('"', format!("\u{1}key {place}"));
            let expr = std::mem::replace(&mut key.expr, Expr::Identifier(name.clone()));
            select.projection.push(SelectItem::ExprWithAlias { expr, alias: name });
        }
    }
    let mut around = *templates::query("select 1 from (select 1) as \"\u{1}ordered\"")?;
    std::mem::swap(&mut query.body, &mut around.body);
    let inner = build::query(*around.body);
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = shown;
        for table in &mut select.from {
            if let TableFactor::Derived { subquery, .. } = &mut table.relation {
                **subquery = inner.clone();
            }
        }
    }
    Ok(())
}

/// Whether a key is calculated of a column that has the name of one that the select list calculates of it, and of no name that
/// is the select list's alone.
fn is_by_column(key: &OrderByExpr, select: &Select) -> bool {
    if matches!(key.expr, Expr::Identifier(_) | Expr::Value(_)) {
        return false;
    }
    let mut is_found = false;
    for item in &select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else {
            continue;
        };
        let name = normal(alias);
        let names = |part: &Expr| matches!(part, Expr::Identifier(own) if normal(own) == name);
        if !walk::any(&key.expr, names) {
            continue;
        }
        let reads = |part: &Expr| match part {
            Expr::Identifier(own) => normal(own) == name,
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|own| normal(own) == name),
            _ => false,
        };
        if !walk::any(expr, reads) {
            return false;
        }
        is_found |= !reads(expr);
    }
    is_found
}

/// What a column without an alias is called.
fn own_name(expr: &Expr) -> Ident {
    match expr {
        Expr::Identifier(name) => name.clone(),
        Expr::CompoundIdentifier(parts) if !parts.is_empty() => parts[parts.len() - 1].clone(),
        other => Ident::with_quote('"', other.to_string()),
    }
}
