//! Rewrites of the syntax tree: what the parser reads and the engine does not plan, or plans wrongly. One file a family.

mod absent;
mod aggregates;
mod arrays;
mod build;
pub(super) mod calls;
mod chains;
mod clauses;
mod dates;
pub(super) mod depth;
mod exponents;
mod grouping;
mod groupings;
mod hypothetical;
mod json;
mod limits;
mod nested_names;
mod numerics;
mod operators;
mod order_names;
mod patterns;
mod postgresql_catalog;
mod quantified;
mod records;
mod relations;
mod rows;
mod session_words;
mod show;
mod templates;
#[cfg(test)]
mod tests;
mod types;
mod value_columns;
mod whole_rows;
mod windows;

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

/// The statement with what comes last: what rewrites of select lists look for is gone then.
///
/// # Errors
/// None that a statement causes.
pub(super) fn finish(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(statement) => numerics::rewrite(statement),
        Statement::Explain(explain) => finish(&mut explain.statement),
        _ => Ok(()),
    }
}

fn of_query(statement: &mut ast::Statement) -> Result<()> {
    absent::refuse(statement)?;
    show::rewrite(statement)?;
    depth::flatten(statement)?;
    nested_names::rewrite(statement)?;
    session_words::rewrite(statement)?;
    postgresql_catalog::rewrite(statement)?;
    json::rewrite(statement)?;
    patterns::rewrite(statement)?;
    quantified::rewrite(statement)?;
    whole_rows::rewrite(statement)?;
    hypothetical::rewrite(statement)?;
    aggregates::rewrite(statement)?;
    arrays::rewrite(statement)?;
    relations::rewrite(statement)?;
    clauses::rewrite(statement)?;
    limits::rewrite(statement)?;
    windows::rewrite(statement)?;
    order_names::rewrite(statement)?;
    rows::rewrite(statement)?;
    types::rewrite(statement)?;
    dates::rewrite(statement)?;
    exponents::rewrite(statement)?;
    operators::rewrite(statement)?;
    Ok(())
}
