//! SQL that stands for something else, written as SQL.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, Query, visit_expressions_mut};
use datafusion::sql::sqlparser::parser::Parser;

use crate::query::dialect::grammar::Grammar;

/// The query of that text.
///
/// # Errors
/// It is not one.
pub(super) fn query(text: &str) -> Result<Box<Query>> {
    Ok(Parser::new(&Grammar).try_with_sql(text)?.parse_query()?)
}

/// The expression of that text, in which the identifiers `arg_1`, `arg_2` … stand for `arguments`.
///
/// # Errors
/// It is not one.
pub(super) fn expression(text: &str, arguments: &[Expr]) -> Result<Expr> {
    let mut expression = Parser::new(&Grammar).try_with_sql(text)?.parse_expr()?;
    let _: ControlFlow<()> = visit_expressions_mut(&mut expression, |part| {
        if let Expr::Identifier(name) = part
            && let Some(number) = name.value.strip_prefix("arg_")
            && let Some(argument) = number
                .parse::<usize>()
                .ok()
                .and_then(|n| arguments.get(n.checked_sub(1)?))
        {
            *part = argument.clone();
        }
        ControlFlow::Continue(())
    });
    Ok(expression)
}

/// The text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
