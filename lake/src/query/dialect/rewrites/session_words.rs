//! `current_schema`, `current_role` and `current_database` without parentheses, as the standard writes them; and the
//! variables `@@version` and `@@session.…` of MySQL and SQL Server.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Statement};

use super::templates::{expression, literal};
use crate::query::walk;

/// Calls the function of that name.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        if let Some(call) = call(expr) {
            *expr = expression(&call, &[])?;
        }
        Ok(())
    })
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
