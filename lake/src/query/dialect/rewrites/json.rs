//! JSON: casts to it, `json_object('a': 1 absent on null)` and paths behind a colon.

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    JsonNullClause, ObjectName, Statement, Value,
};

use super::calls::{argument, call, literal, name_of, take, text};
use super::value_columns;
use crate::query::functions::json::records;
use crate::query::walk;

/// Rewrites what is written of JSON in the statement.
///
/// # Errors
/// Plan: a name of an object without a value.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, of_expression)?;
    value_columns::each(statement, alike);
    Ok(())
}

/// Literals and nulls of VALUES that stand among JSON are JSON.
fn alike(column: &mut [&mut Expr]) {
    let name = column.iter().find_map(|cell| match cell {
        Expr::Function(function) => name_of(&function.name).filter(|name| matches!(name.as_str(), "json" | "jsonb")),
        _ => None,
    });
    let Some(name) = name else {
        return;
    };
    for cell in column {
        let is_null = matches!(&**cell, Expr::Value(value) if value.value == Value::Null);
        if is_null || literal(cell).is_some() {
            **cell = call(&name, [take(cell)]);
        }
    }
}

fn of_expression(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Cast {
            kind,
            expr: value,
            data_type: data_type @ (DataType::JSON | DataType::JSONB),
            ..
        } => {
            let name = match (kind, data_type) {
                (CastKind::TryCast | CastKind::SafeCast, _) => "try_parse_json",
                (_, DataType::JSONB) => "jsonb",
                _ => "json",
            };
            *expr = call(name, [take(value)]);
            Ok(())
        }
        Expr::TypedString(typed) if matches!(typed.data_type, DataType::JSON | DataType::JSONB) => {
            let name = if typed.data_type == DataType::JSONB {
                "jsonb"
            } else {
                "json"
            };
            *expr = call(name, [Expr::Value(typed.value.clone())]);
            Ok(())
        }
        Expr::Function(function) => of_function(function),
        Expr::JsonAccess { value, path } => {
            let path = path.to_string();
            *expr = call(
                "get_path_text",
                [take(value), text(path.strip_prefix(':').unwrap_or(&path))],
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The fields of a row have no names but `f1`, `f2` …
fn name_fields(arg: &mut FunctionArg) {
    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(row)) = arg
        && let Expr::Tuple(fields) = row
    {
        let named = std::mem::take(fields).into_iter().zip(1..);
        let named = named.flat_map(|(field, place)| [text(format!("f{place}")), field]);
        *row = call(records::NAME, named.collect::<Vec<_>>());
    }
}

/// Pairs of `name: value`, `name value value`, `key name value value`, and what is done with nulls.
fn of_function(function: &mut Function) -> Result<()> {
    let Some(name) = name_of(&function.name) else {
        return Ok(());
    };
    let is_object = matches!(
        name.as_str(),
        "json_object" | "jsonb_object" | "json_objectagg" | "json_object_agg"
    );
    let is_array = matches!(name.as_str(), "json_array" | "json_arrayagg");
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(());
    };
    if name.starts_with("json") || matches!(name.as_str(), "to_json" | "to_jsonb" | "row_to_json" | "array_to_json") {
        list.args.iter_mut().for_each(name_fields);
    }
    if !is_object && !is_array {
        return Ok(());
    }
    let mut args = Vec::with_capacity(list.args.len());
    for arg in std::mem::take(&mut list.args) {
        match arg {
            FunctionArg::ExprNamed {
                name,
                arg: FunctionArgExpr::Expr(value),
                ..
            } => {
                args.extend([argument(name), argument(value)]);
            }
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                ..
            } => {
                let name = match name.quote_style {
                    Some('\'') => Expr::value(Value::SingleQuotedString(name.value)),
                    _ => Expr::Identifier(name),
                };
                args.extend([argument(name), argument(value)]);
            }
            FunctionArg::Unnamed(_) => args.push(arg),
            arg => return plan_err!("{arg} is not a pair of a name and a value"),
        }
    }
    list.args = args;
    let mut nulls = None;
    list.clauses.retain(|clause| match clause {
        FunctionArgumentClause::JsonNullClause(clause) => {
            nulls = Some(clause.clone());
            false
        }
        FunctionArgumentClause::JsonReturningClause(_) => false,
        _ => true,
    });
    if nulls == Some(JsonNullClause::AbsentOnNull) {
        function.name = ObjectName::from(vec![Ident::new(format!("{name}_absent_on_null"))]);
    }
    Ok(())
}
