//! PostgreSQL's operators before a number, which the engine knows as functions: `~ 5`, `|/ 16`, `||/ 27`, `@ -5`; slices of
//! lists without a bound, `a[:2]`, and fields of records, `(a).b`; lists of columns, `array[a, b]`; and functions that are
//! others elsewhere, or are made of others: `decode(x, value, result, …)` of Oracle and Snowflake, `num_nulls(a, b)`.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, ObjectNamePart, Statement, Subscript, UnaryOperator,
};

use super::{build, calls, templates};
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
        if let Expr::Function(call) = expr
            && let Some(made) = made_of_others(call)?
        {
            *expr = made;
        }
        if let Expr::Array(list) = expr
            && walk::any(list, |item| !matches!(item, Expr::Value(_) | Expr::UnaryOp { .. }))
        {
            // The engine reads the items of a list as if nothing were around it.
            *expr = calls::call("make_array", std::mem::take(&mut list.elem));
        }
        if let Some(compared) = distinct_from_text(expr)? {
            *expr = compared;
        }
        fields(expr);
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

/// Fields of records, each as a call.
fn fields(expr: &mut Expr) {
    let is_field = |access: &AccessExpr| matches!(access, AccessExpr::Dot(Expr::Identifier(_)));
    let Expr::CompoundFieldAccess { root, access_chain } = expr else {
        return;
    };
    if !access_chain.iter().any(is_field) {
        return;
    }
    let mut value = calls::take(root);
    let mut chain = Vec::new();
    let access = |root: Expr, chain: Vec<AccessExpr>| match chain.is_empty() {
        true => root,
        false => Expr::CompoundFieldAccess {
            root: Box::new(root),
            access_chain: chain,
        },
    };
    for part in std::mem::take(access_chain) {
        match part {
            AccessExpr::Dot(Expr::Identifier(name)) => {
                let name = match name.quote_style {
                    Some(_) => name.value,
                    None => name.value.to_lowercase(),
                };
                let record = access(value, std::mem::take(&mut chain));
                value = calls::call("get_field", [record, calls::text(name)]);
            }
            part => chain.push(part),
        }
    }
    *expr = access(value, chain);
}

/// `a is distinct from 'on'` is `(a = 'on') is not true`: what a text stands for beside a value is known of `=`.
fn distinct_from_text(expr: &Expr) -> Result<Option<Expr>> {
    let (left, right, template) = match expr {
        Expr::IsDistinctFrom(left, right) => (left, right, "(($1 = $2) is not true)"),
        Expr::IsNotDistinctFrom(left, right) => (left, right, "(($1 = $2) is true)"),
        _ => return Ok(None),
    };
    let is_text = |side: &Expr| calls::literal(side).is_some();
    if is_text(left) == is_text(right) {
        return Ok(None);
    }
    let sides = [left, right].map(|side| build::nested(side.as_ref().clone()));
    templates::expression(template, &sides).map(Some)
}

/// PostgreSQL's functions that are expressions of others.
fn made_of_others(call: &Function) -> Result<Option<Expr>> {
    let (Some(name), FunctionArguments::List(list)) = (calls::name_of(&call.name), &call.args) else {
        return Ok(None);
    };
    let count = |template: &str| -> Result<Option<Expr>> {
        let args = calls::plain_args(&list.args).unwrap_or_default();
        let counted = args
            .into_iter()
            .map(|arg| templates::expression(template, &[build::nested(arg)]));
        let counted = counted.collect::<Result<Vec<_>>>()?;
        let sum = counted
            .into_iter()
            .reduce(|left, right| build::binary(left, BinaryOperator::Plus, right));
        Ok(sum.map(build::nested))
    };
    match name.as_str() {
        "num_nulls" => count("(case when $1 is null then 1 else 0 end)"),
        "num_nonnulls" => count("(case when $1 is null then 0 else 1 end)"),
        _ => Ok(None),
    }
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
