//! `json_agg(t.*)` and `count(t.*)`: the row as a value, which is what `t` alone is too. (PostgreSQL, "Using Composite Types in
//! Queries".)

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Statement};

use crate::query::walk;

/// Writes the name of the relation alone.
///
/// # Errors
/// None.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        if let Expr::Function(call) = expr
            && let FunctionArguments::List(list) = &mut call.args
        {
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(ObjectName(parts))) = arg
                    && let [part] = parts.as_slice()
                    && let Some(name) = part.as_ident()
                {
                    *arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name.clone())));
                }
            }
        }
        Ok(())
    })
}
