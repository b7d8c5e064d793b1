//! PostgreSQL's operators before a number, which the engine knows as functions: `~ 5`, `|/ 16`, `||/ 27`, `@ -5`; slices of
//! lists without a bound, `a[:2]`; and `decode(x, value, result, …)` of Oracle and Snowflake, which is another function than
//! PostgreSQL's `decode(text, format)`.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Statement, Subscript, UnaryOperator,
};

use super::build;
use crate::query::walk;

/// Writes them as calls.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        if let Expr::Function(call) = expr
            && let FunctionArguments::List(list) = &call.args
            && list.args.len() > 2
            && let [ObjectNamePart::Identifier(name)] = call.name.0.as_mut_slice()
            && name.value.eq_ignore_ascii_case("decode")
        {
            "decode_values".clone_into(&mut name.value);
        }
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            for access in access_chain {
                if let AccessExpr::Subscript(Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    ..
                }) = access
                {
                    lower_bound.get_or_insert_with(|| build::number("1"));
                    upper_bound.get_or_insert_with(last);
                }
            }
        }
        if let Expr::UnaryOp { op, expr: operand } = expr
            && let Some(name) = function(*op)
        {
            let argument = FunctionArg::Unnamed(FunctionArgExpr::Expr((**operand).clone()));
            *expr = Expr::Function(Function {
                name: ObjectName::from(vec![Ident::new(name)]),
                uses_odbc_syntax: false,
                parameters: FunctionArguments::None,
                args: FunctionArguments::List(FunctionArgumentList {
                    duplicate_treatment: None,
                    args: vec![argument],
                    clauses: Vec::new(),
                }),
                filter: None,
                null_treatment: None,
                over: None,
                within_group: Vec::new(),
            });
        }
        Ok(())
    })
}

/// The place of the last item.
fn last() -> Expr {
    Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: Box::new(build::number("1")),
    }
}

fn function(operator: UnaryOperator) -> Option<&'static str> {
    match operator {
        UnaryOperator::BitwiseNot => Some("bitnot"),
        UnaryOperator::PGSquareRoot => Some("sqrt"),
        UnaryOperator::PGCubeRoot => Some("cbrt"),
        UnaryOperator::PGAbs => Some("abs"),
        UnaryOperator::PGPrefixFactorial | UnaryOperator::PGPostfixFactorial => Some("factorial"),
        _ => None,
    }
}
