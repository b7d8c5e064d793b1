//! `array(select …)`: the rows of a query as a list, in their order. (PostgreSQL, "Array Constructors".)

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, Ident, Query, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
};

use super::calls::{call, name_of, text};
use super::templates;
use crate::query::walk;

/// Writes each as an aggregate of the query.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        if let Expr::Function(function) = expr
            && let FunctionArguments::Subquery(query) = &function.args
            && name_of(&function.name).as_deref() == Some("array")
        {
            *expr = of_query(query)?;
        }
        Ok(())
    })
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
