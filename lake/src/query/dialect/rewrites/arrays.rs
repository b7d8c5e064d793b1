//! `array(select …)`: the rows of a query as a list, in their order; and `array_fill(x, array[2, 3])`, a list of lists of one
//! value. (PostgreSQL, "Array Constructors", "Array Functions and Operators".)

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, Ident, Query, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
};

use super::build;
use super::calls::{call, literal, name_of, plain_args, text};
use super::templates;
use crate::query::walk;

/// Writes the ones as aggregates of the query, the others as calls.
///
/// # Errors
/// Plan: the lengths of the lists are not written.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        let Expr::Function(function) = expr else {
            return Ok(());
        };
        match (&function.args, name_of(&function.name).as_deref()) {
            (FunctionArguments::Subquery(query), Some("array")) => *expr = of_query(query)?,
            (_, Some("array_fill")) => *expr = filled(function)?,
            _ => {}
        }
        Ok(())
    })
}

/// The value, as often as the last length says, as a list; that as often as the length before it says, and so on.
fn filled(function: &Function) -> Result<Expr> {
    let args = match &function.args {
        FunctionArguments::List(list) => plain_args(&list.args),
        _ => None,
    };
    let (value, lengths) = match args.as_deref() {
        Some([value, lengths]) => (value, lengths),
        Some([_, _, _]) => return plan_err!("lists begin with 1: write array_fill(value, lengths)"),
        _ => return plan_err!("array_fill is written array_fill(value, array[length, …])"),
    };
    let Some(lengths) = written_items(lengths).filter(|lengths| !lengths.is_empty()) else {
        return plan_err!("the lengths in array_fill are written as a list: array_fill(value, array[2, 3])");
    };
    let lists = lengths
        .into_iter()
        .rev()
        .fold(value.clone(), |items, length| call("array_repeat", [items, length]));
    Ok(lists)
}

/// The items of a list that is written.
fn written_items(list: &Expr) -> Option<Vec<Expr>> {
    match list {
        Expr::Array(list) => Some(list.elem.clone()),
        Expr::Nested(inner) => written_items(inner),
        Expr::Cast { expr, .. } => {
            let items = literal(expr)?.trim().strip_prefix('{')?.strip_suffix('}')?;
            let number = |item: &str| {
                item.trim()
                    .parse::<i64>()
                    .ok()
                    .map(|item| build::number(&item.to_string()))
            };
            items.split(',').map(number).collect()
        }
        _ => None,
    }
}

fn of_query(query: &Query) -> Result<Expr> {
    let name = |name: &str| Ident::with_quote('"', format!("\u{1}{name}"));
    let mut items = *templates::query("select array_agg(\"\u{1}item\") from (select 1)")?;
    if let SetExpr::Select(select) = &mut *items.body {
        for table in &mut select.from {
            table.relation = TableFactor::Derived {
                lateral: false,
                subquery: Box::new(query.clone()),
                alias: Some(TableAlias {
                    explicit: true,
                    name: name("rows"),
                    columns: vec![TableAliasColumnDef {
                        name: name("item"),
                        data_type: None,
                    }],
                    at: None,
                }),
                sample: None,
            };
        }
    }
    // Of no rows the list is empty.
    Ok(call("coalesce", [Expr::Subquery(Box::new(items)), text("{}")]))
}
