//! Columns of one name: `select a, a`, `select count(*), count(*)`.
//!
//! The engine wants every column to have a name of its own. Within a statement the second gets another: `a_1`, as in
//! DuckDB. What a client gets may have the same name more than once: there the name carries a mark until the statement is
//! planned, and [`shown`] takes it away.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::Result;
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr, Ident, Select, SelectItem};

use super::normal;

/// What comes between a name and its number, in names that a client sees without.
const MARK: char = '\u{1}';

/// Gives every column of the list a name of its own.
pub(super) fn make_distinct(select: &mut Select, is_outermost: bool) {
    if select.projection.len() < 2 {
        return;
    }
    let mut taken: BTreeSet<String> = select.projection.iter().filter_map(given).collect();
    let mut seen = BTreeSet::new();
    for item in &mut select.projection {
        let name = match &*item {
            SelectItem::UnnamedExpr(expr) => match given(item) {
                Some(name) => name,
                None if expands(expr) => continue,
                None => text(expr),
            },
            item => match given(item) {
                Some(name) => name,
                None => continue,
            },
        };
        let is_first = seen.insert(name.clone());
        let wanted = match is_first {
            true => name,
            false => other(&name, is_outermost, &mut taken),
        };
        name_it(item, wanted, is_first);
    }
}

/// The name that an item has without one being made: its alias, or its column's.
pub(super) fn given(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(normal(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(normal),
        _ => None,
    }
}

/// Whether the expression may become more than one column.
fn expands(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(call) if call.name.to_string().to_lowercase().starts_with("unnest"))
}

/// A name for an expression that has none: its text, as in DuckDB.
pub(super) fn text(expr: &Expr) -> String {
    match expr {
        Expr::Function(call) => {
            let text = call.to_string();
            let name = call.name.to_string();
            match text.strip_prefix(&name) {
                Some(rest) => format!("{}{rest}", name.to_lowercase()),
                None => text,
            }
        }
        expr => expr.to_string(),
    }
}

/// Another name for a column whose name is taken.
fn other(name: &str, is_outermost: bool, taken: &mut BTreeSet<String>) -> String {
    let separator = if is_outermost { MARK } else { '_' };
    (1..)
        .map(|number: u64| format!("{name}{separator}{number}"))
        .find(|name| taken.insert(name.clone()))
        .unwrap_or_default()
}

fn name_it(item: &mut SelectItem, name: String, is_first: bool) {
    let alias = Ident::with_quote('"', name);
    match item {
        SelectItem::ExprWithAlias { alias: old, .. } if !is_first => *old = alias,
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) if is_first => {}
        SelectItem::UnnamedExpr(expr) => {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        }
        _ => {}
    }
}

/// The plan with the names that a client sees: columns of one name are told apart by a qualifier, which clients do not
/// see.
///
/// # Errors
/// Plan: never, unless the engine's rules change.
pub(in crate::query) fn shown(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_marked = |name: &str| name.contains(MARK);
    if !plan.schema().fields().iter().any(|field| is_marked(field.name())) {
        return Ok(plan);
    }
    let without = |name: &str| name.split_once(MARK).map_or(name, |(name, _)| name).to_owned();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for field in plan.schema().fields() {
        *count.entry(without(field.name())).or_default() += 1;
    }
    let columns = plan.schema().columns().into_iter().enumerate().map(|(place, column)| {
        let name = without(column.name());
        let is_one_of_many = count.get(&name).is_some_and(|&count| count > 1);
        let column = PlanExpr::Column(column);
        match is_one_of_many {
            true => column.alias_qualified(Some(format!("{MARK}{place}")), name),
            false => column,
        }
    });
    let columns: Vec<_> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
