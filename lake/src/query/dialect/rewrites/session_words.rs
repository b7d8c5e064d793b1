//! `current_schema`, `current_role` and `current_database` without parentheses, as the standard writes them; and the
//! variables `@@version` and `@@session.…` of MySQL and SQL Server.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Statement, visit_expressions_mut};

use super::templates::{expression, literal};

/// Calls the function of that name.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    let rewritten = visit_expressions_mut(statement, |expr| {
        let Some(call) = call(expr) else {
            return ControlFlow::Continue(());
        };
        match expression(&call, &[]) {
            Ok(call) => *expr = call,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    });
    match rewritten {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The call that stands for the word, if it is one of these.
fn call(expr: &Expr) -> Option<String> {
    let name = match expr {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [scope, name] if ["@@session", "@@global", "@@local"].iter().any(|word| is(scope, word)) => {
                return Some(setting(&name.value));
            }
            _ => return None,
        },
        _ => return None,
    };
    let words = ["current_schema", "current_role", "current_database"];
    if words.iter().any(|word| is(name, word)) {
        return Some(format!("{}()", name.value));
    }
    let variable = name.value.strip_prefix("@@").filter(|_| name.quote_style.is_none())?;
    Some(setting(variable))
}

fn setting(variable: &str) -> String {
    match variable.eq_ignore_ascii_case("version") {
        true => "version()".to_owned(),
        false => format!("current_setting({})", literal(variable)),
    }
}

fn is(name: &Ident, word: &str) -> bool {
    name.quote_style.is_none() && name.value.eq_ignore_ascii_case(word)
}
