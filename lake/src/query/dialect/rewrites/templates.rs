//! SQL that stands for something else, written as SQL.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, Query, Value, ValueWithSpan};
use datafusion::sql::sqlparser::parser::Parser;

use crate::query::dialect::grammar::Grammar;
use crate::query::walk;

/// The query of that text.
///
/// # Errors
/// It is not one.
pub(super) fn query(text: &str) -> Result<Box<Query>> {
    Ok(Parser::new(&Grammar).try_with_sql(text)?.parse_query()?)
}

/// The expression of that text, in which `$1`, `$2` … stand for `arguments`. Parameters within these stay.
///
/// # Errors
/// It is not one.
pub(super) fn expression(text: &str, arguments: &[Expr]) -> Result<Expr> {
    let mut expression = Parser::new(&Grammar).try_with_sql(text)?.parse_expr()?;
    walk::each(&mut expression, |part| {
        if let Expr::Value(ValueWithSpan {
            value: Value::Placeholder(name),
            ..
        }) = part
            && let Some(argument) = name
                .strip_prefix('$')
                .and_then(|number| number.parse::<usize>().ok())
                .and_then(|number| arguments.get(number.checked_sub(1)?))
        {
            *part = argument.clone();
        }
        Ok(())
    })?;
    Ok(expression)
}

/// The text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
