//! `current_schema`, `current_role` and `current_database` without parentheses, as the standard writes them.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, Statement, visit_expressions_mut};

use super::templates::expression;

/// Calls the function of that name.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    let rewritten = visit_expressions_mut(statement, |expr| {
        if let Expr::Identifier(name) = expr
            && name.quote_style.is_none()
            && ["current_schema", "current_role", "current_database"]
                .iter()
                .any(|word| name.value.eq_ignore_ascii_case(word))
        {
            match expression(&format!("{}()", name.value), &[]) {
                Ok(call) => *expr = call,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    });
    match rewritten {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}
