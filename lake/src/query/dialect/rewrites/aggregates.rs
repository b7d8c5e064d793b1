//! Aggregates by other names and clauses: `listagg(…) within group (…)`, `group_concat(… separator …)`, `countif(…)`,
//! `count(distinct a, b)`, `json_agg(…)`.

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    CaseWhen, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, OrderByExpr, OrderByOptions, Statement, Value,
    helpers::attached_token::AttachedToken,
};

use super::calls::{argument, call, name_of, plain_args, text};
use crate::query::walk;

/// Rewrites aggregates in the statement.
///
/// # Errors
/// Plan: an aggregate that lacks an argument.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, of_expression)
}

fn of_expression(expr: &mut Expr) -> Result<()> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let Some(name) = name_of(&function.name) else {
        return Ok(());
    };
    if !matches!(function.args, FunctionArguments::List(_)) {
        return Ok(());
    }
    match name.as_str() {
        "listagg" | "group_concat" | "string_agg" | "wm_concat" => texts(function, &name),
        "array_agg" => {
            order_within_group(function)?;
            order_distinct(function)
        }
        "collect_set" | "array_unique_agg" => {
            if let FunctionArguments::List(list) = &mut function.args {
                list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
            }
            rename(function, "array_agg");
            Ok(())
        }
        "countif" | "count_if" => counted(function),
        "count" => distinct_rows(function),
        "mode" => {
            mode(function);
            Ok(())
        }
        "json_agg" | "json_group_array" => {
            *expr = json_array(function.clone(), "json_array_of")?;
            Ok(())
        }
        "jsonb_agg" => {
            *expr = json_array(function.clone(), "jsonb_array_of")?;
            Ok(())
        }
        "json_arrayagg" | "json_arrayagg_absent_on_null" => {
            let keeps_nulls = match &mut function.args {
                FunctionArguments::List(list) => {
                    let clauses = list.clauses.len();
                    list.clauses
                        .retain(|clause| !matches!(clause, FunctionArgumentClause::JsonNullClause(_)));
                    list.clauses.len() < clauses
                }
                _ => false,
            };
            let name = if keeps_nulls {
                "json_array_of"
            } else {
                "json_array_of_values"
            };
            *expr = json_array(function.clone(), name)?;
            Ok(())
        }
        "json_object_agg" | "json_objectagg" | "json_group_object" => {
            *expr = json_object(function.clone(), "json_object_of")?;
            Ok(())
        }
        "jsonb_object_agg" => {
            *expr = json_object(function.clone(), "jsonb_object_of")?;
            Ok(())
        }
        "object_agg" | "json_object_agg_absent_on_null" | "json_objectagg_absent_on_null" => {
            *expr = json_object(function.clone(), "json_object_of_values")?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn rename(function: &mut Function, name: &str) {
    function.name = ObjectName::from(vec![Ident::new(name)]);
}

/// The list of the arguments; an aggregate has one.
fn list_of(function: &mut Function) -> Result<&mut FunctionArgumentList> {
    match &mut function.args {
        FunctionArguments::List(list) => Ok(list),
        _ => plan_err!("an aggregate has arguments"),
    }
}

/// `within group (order by …)` becomes `order by …` behind the arguments.
fn order_within_group(function: &mut Function) -> Result<()> {
    let order = std::mem::take(&mut function.within_group);
    if !order.is_empty() {
        list_of(function)?.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    Ok(())
}

/// Texts of a group, joined: LISTAGG joins them with nothing if no separator is named, GROUP_CONCAT with a comma.
fn texts(function: &mut Function, name: &str) -> Result<()> {
    order_within_group(function)?;
    let list = list_of(function)?;
    let mut separator = None;
    list.clauses.retain(|clause| match clause {
        FunctionArgumentClause::Separator(text) => {
            separator = Some(Expr::Value(text.clone()));
            false
        }
        // A text may be as long as it is.
        FunctionArgumentClause::OnOverflow(_) => false,
        _ => true,
    });
    if list.args.is_empty() {
        return plan_err!("{name} takes a text and a separator");
    }
    if separator.is_some() && list.args.len() > 1 {
        // MySQL joins the arguments first.
        if let Some(args) = plain_args(&list.args) {
            list.args = vec![argument(call("concat", args))];
        }
    }
    if list.args.len() == 1 {
        let default = if name == "listagg" { "" } else { "," };
        list.args.push(argument(separator.unwrap_or_else(|| text(default))));
    }
    rename(function, "string_agg");
    order_distinct(function)
}

/// Distinct values come in their own order where none is written, as in PostgreSQL.
fn order_distinct(function: &mut Function) -> Result<()> {
    let is_over = function.over.is_some();
    let list = list_of(function)?;
    let is_ordered = list
        .clauses
        .iter()
        .any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
        && !is_ordered
        && !is_over
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first()
    {
        let by = OrderByExpr {
            expr: value.clone(),
            options: OrderByOptions {
                asc: None,
                nulls_first: None,
            },
            with_fill: None,
        };
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![by]));
    }
    Ok(())
}

/// `countif(x)` counts the rows where it is true.
fn counted(function: &mut Function) -> Result<()> {
    let list = list_of(function)?;
    let mut args = plain_args(&list.args).unwrap_or_default();
    let (Some(condition), true) = (args.pop(), args.is_empty()) else {
        return plan_err!("countif takes a condition");
    };
    list.args = vec![argument(case(
        condition,
        Expr::Value(Value::Number("1".to_owned(), false).into()),
    ))];
    rename(function, "count");
    Ok(())
}

fn case(condition: Expr, result: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: None,
    }
}

/// `count(distinct a, b)` counts the rows of values that are not null.
fn distinct_rows(function: &mut Function) -> Result<()> {
    let list = list_of(function)?;
    if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) || list.args.len() < 2 {
        return Ok(());
    }
    let Some(args) = plain_args(&list.args) else {
        return Ok(());
    };
    let not_null = |arg: &Expr| Expr::IsNotNull(Box::new(Expr::Nested(Box::new(arg.clone()))));
    let all = args.iter().map(not_null).reduce(|a, b| Expr::BinaryOp {
        left: Box::new(a),
        op: datafusion::sql::sqlparser::ast::BinaryOperator::And,
        right: Box::new(b),
    });
    if let Some(all) = all {
        list.args = vec![argument(case(all, call("struct", args)))];
    }
    Ok(())
}

/// `mode() within group (order by x)` is `mode(x)`, unless its order is the other way round.
fn mode(function: &mut Function) {
    if let [order] = function.within_group.as_slice()
        && order.options.asc != Some(false)
        && let FunctionArguments::List(list) = &mut function.args
        && list.args.is_empty()
    {
        list.args = vec![argument(order.expr.clone())];
        function.within_group.clear();
    }
}

/// The values as a list, in their order, which a function writes as an array of JSON.
fn json_array(mut function: Function, name: &str) -> Result<Expr> {
    order_within_group(&mut function)?;
    let list = list_of(&mut function)?;
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if distinct {
        order_distinct(&mut function)?;
    } else {
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_mut_slice() else {
            return plan_err!("an array of JSON is made of one value a row");
        };
        let inner = std::mem::replace(value, text(""));
        *value = call("to_json", [inner]);
    }
    rename(&mut function, "array_agg");
    // Distinct values are ordered by themselves, and written afterwards.
    let name = match (distinct, name) {
        (false, name) => name,
        (true, "jsonb_array_of") => "to_jsonb",
        (true, _) => "to_json",
    };
    Ok(call(name, [Expr::Function(function)]))
}

/// Pairs of names and values as a list, in their order, which a function writes as an object of JSON.
fn json_object(mut function: Function, name: &str) -> Result<Expr> {
    order_within_group(&mut function)?;
    let list = list_of(&mut function)?;
    let args = plain_args(&list.args).unwrap_or_default();
    let [key, value] = args.as_slice() else {
        return plan_err!("an object of JSON is made of a name and a value a row");
    };
    let pair = [
        text("key"),
        call("concat", [key.clone()]),
        text("value"),
        call("to_json", [value.clone()]),
    ];
    list.args = vec![argument(call("named_struct", pair))];
    rename(&mut function, "array_agg");
    Ok(call(name, [Expr::Function(function)]))
}
