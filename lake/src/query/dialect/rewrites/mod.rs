//! Rewrites of the syntax tree: what the parser reads and the engine does not plan, or plans wrongly. One file a family.

mod exponents;
mod operators;

use datafusion::common::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

/// The statement with all rewrites applied.
///
/// # Errors
/// What it asks for is understood and refused.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(statement) => of_query(statement),
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        _ => Ok(()),
    }
}

fn of_query(statement: &mut ast::Statement) -> Result<()> {
    exponents::rewrite(statement);
    operators::rewrite(statement);
    Ok(())
}
