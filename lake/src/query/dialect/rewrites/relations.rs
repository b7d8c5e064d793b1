//! What FROM holds besides tables: functions that give rows become UNNEST of those that give lists, APPLY and LATERAL VIEW
//! become joins.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join,
    JoinConstraint, JoinOperator, LateralView, ObjectName, Query, Select, SelectItem, SetExpr, Statement, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, Value, ValueWithSpan, VisitorMut,
};

use super::calls::{call, literal, name_of, plain_args, take};
use super::records;
use crate::query::walk;

/// Rewrites what FROM holds in the statement.
///
/// # Errors
/// Plan: a function that gives rows lacks an argument.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Relations)
}

struct Relations;

impl VisitorMut for Relations {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        match of_body(&mut query.body) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn of_body(body: &mut SetExpr) -> Result<()> {
    // With a stack of its own, for a chain of unions may be long.
    let mut waiting = vec![body];
    while let Some(body) = waiting.pop() {
        match body {
            SetExpr::Select(select) => of_select(select)?,
            SetExpr::SetOperation { left, right, .. } => waiting.extend([left.as_mut(), right.as_mut()]),
            _ => {}
        }
    }
    Ok(())
}

fn of_select(select: &mut Select) -> Result<()> {
    for view in std::mem::take(&mut select.lateral_views) {
        let Some(last) = select.from.last_mut() else {
            return plan_err!("LATERAL VIEW is behind a table");
        };
        last.joins.push(of_view(view)?);
    }
    for TableWithJoins { relation, joins } in &mut select.from {
        of_factor(relation)?;
        for join in joins {
            let operator = match &join.join_operator {
                JoinOperator::CrossApply => Some(JoinOperator::CrossJoin(JoinConstraint::None)),
                JoinOperator::OuterApply => Some(left_on_true()),
                _ => None,
            };
            if let Some(operator) = operator {
                join.join_operator = operator;
                if let TableFactor::Derived { lateral, .. } = &mut join.relation {
                    *lateral = true;
                }
            }
            of_factor(&mut join.relation)?;
        }
    }
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        of_item(expr)?;
    }
    Ok(())
}

fn left_on_true() -> JoinOperator {
    JoinOperator::LeftOuter(JoinConstraint::On(Expr::Value(Value::Boolean(true).into())))
}

/// `lateral view [outer] explode(a) t as x` is a join.
fn of_view(view: LateralView) -> Result<Join> {
    let LateralView {
        lateral_view,
        lateral_view_name,
        lateral_col_alias,
        outer,
    } = view;
    let Expr::Function(function) = lateral_view else {
        return plan_err!("LATERAL VIEW takes a function");
    };
    let args = match function.args {
        FunctionArguments::List(list) => list.args,
        _ => Vec::new(),
    };
    let name = lateral_view_name.0.last().and_then(|part| part.as_ident()).cloned();
    let alias = name.map(|name| TableAlias {
        explicit: true,
        name,
        columns: lateral_col_alias.into_iter().map(column).collect(),
        at: None,
    });
    let name = name_of(&function.name).unwrap_or_default();
    let counted = name.starts_with("pos");
    let Some(mut relation) = of_function(&name, args, false, alias.clone())? else {
        return plan_err!("the function {name} does not give rows");
    };
    // POSEXPLODE has the place, from 0 on, before the item.
    if let (
        true,
        TableFactor::UNNEST {
            array_exprs,
            with_offset,
            alias,
            ..
        },
    ) = (counted, &mut relation)
    {
        let places = call("list_offsets", array_exprs.clone());
        array_exprs.insert(0, places);
        *with_offset = false;
        if let Some(alias) = alias
            && alias.columns.is_empty()
        {
            alias.columns = vec![column(Ident::new("pos")), column(Ident::new("col"))];
        }
    }
    Ok(Join {
        relation,
        global: false,
        join_operator: if outer {
            left_on_true()
        } else {
            JoinOperator::CrossJoin(JoinConstraint::None)
        },
    })
}

fn column(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name, data_type: None }
}

fn of_factor(factor: &mut TableFactor) -> Result<()> {
    let (name, args, with_ordinality, alias) = match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => {
            of_factor(&mut table_with_joins.relation)?;
            return table_with_joins
                .joins
                .iter_mut()
                .try_for_each(|join| of_factor(&mut join.relation));
        }
        TableFactor::Pivot { table, .. } | TableFactor::Unpivot { table, .. } => return of_factor(table),
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            with_ordinality,
            ..
        } => (name_of(name), args.args.clone(), *with_ordinality, alias.clone()),
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality,
            ..
        } => (name_of(name), args.clone(), *with_ordinality, alias.clone()),
        // `table(function(…))`
        TableFactor::TableFunction {
            expr: Expr::Function(function),
            alias,
        } => match &function.args {
            FunctionArguments::List(list) => (name_of(&function.name), list.args.clone(), false, alias.clone()),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let Some(name) = name else { return Ok(()) };
    if let Some(records) = records::relation(&name, &args, alias.as_ref())? {
        *factor = records;
        return Ok(());
    }
    // The engine makes series of whole numbers as they are read, if nothing in them depends on a row.
    if matches!(name.as_str(), "generate_series" | "range")
        && !with_ordinality
        && !args.iter().any(|arg| depends(arg) || is_decimal(arg))
    {
        return series(factor, &name, &args, alias);
    }
    if let Some(relation) = of_function(&name, args, with_ordinality, alias)? {
        *factor = relation;
    }
    Ok(())
}

/// A series of the engine, whose column has the name of the relation.
fn series(factor: &mut TableFactor, name: &str, args: &[FunctionArg], alias: Option<TableAlias>) -> Result<()> {
    let mut alias = alias.unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(name),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns = vec![column(alias.name.clone())];
    }
    *factor = TableFactor::Table {
        name: ObjectName::from(vec![Ident::new(name)]),
        alias: Some(alias),
        args: Some(datafusion::sql::sqlparser::ast::TableFunctionArgs {
            args: args.to_vec(),
            settings: None,
        }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    Ok(())
}

/// Whether there is a column, or a query, in the argument.
fn depends(arg: &FunctionArg) -> bool {
    walk::any(arg, |expr| {
        matches!(
            expr,
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_)
        )
    })
}

/// Whether a decimal is written in the argument.
fn is_decimal(arg: &FunctionArg) -> bool {
    walk::any(arg, |expr| match expr {
        Expr::Value(ValueWithSpan {
            value: Value::Number(digits, _),
            ..
        }) => digits.contains('.'),
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_)
        ),
        _ => false,
    })
}

/// The function that gives as a list what a function gives as rows.
fn list_function(name: &str) -> Option<&'static str> {
    Some(match name {
        "unnest" | "explode" | "explode_outer" | "posexplode" | "posexplode_outer" => "",
        "generate_series" => "generate_series",
        "range" => "range",
        "json_array_elements" | "jsonb_array_elements" => "json_array_elements",
        "json_array_elements_text" | "jsonb_array_elements_text" => "json_array_elements_text",
        "json_object_keys" | "jsonb_object_keys" => "json_object_keys",
        "json_each" | "jsonb_each" => "json_each",
        "json_each_text" | "jsonb_each_text" => "json_each_text",
        "regexp_split_to_table" => "regexp_split_to_array",
        "regexp_matches" => "regexp_match_groups",
        "generate_subscripts" => "list_ordinals",
        "string_to_table" => "string_to_array",
        "string_split" | "split_to_table" | "strsplit_to_table" => "split",
        _ => return None,
    })
}

/// Functions whose column is `value`: of SQL Server and Snowflake, and PostgreSQL's of JSON.
const HAVE_VALUES: [&str; 6] = [
    "string_split",
    "split_to_table",
    "json_array_elements",
    "jsonb_array_elements",
    "json_array_elements_text",
    "jsonb_array_elements_text",
];

/// The arguments of a function as its list takes them: the step of a series of times is an interval, and a list has one
/// dimension.
fn arguments(name: &str, mut args: Vec<Expr>) -> Vec<Expr> {
    match (name, args.as_mut_slice()) {
        ("generate_series" | "range", [_, _, step]) if literal(step).is_some() => {
            *step = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(take(step)),
                data_type: DataType::Interval {
                    fields: None,
                    precision: None,
                },
                array: false,
                format: None,
            };
        }
        ("generate_subscripts", [_, _]) => args.truncate(1),
        // Names are there once, and in order.
        (
            "jsonb_object_keys"
            | "jsonb_each"
            | "jsonb_each_text"
            | "jsonb_array_elements"
            | "jsonb_array_elements_text",
            [document],
        ) => {
            *document = call("jsonb", [take(document)]);
        }
        _ => {}
    }
    args
}

fn of_function(
    name: &str,
    args: Vec<FunctionArg>,
    with_ordinality: bool,
    alias: Option<TableAlias>,
) -> Result<Option<TableFactor>> {
    let (lists, own) = if name == "flatten" {
        (vec![flatten(args)?], "flatten")
    } else if name == "jsonb_path_query" {
        let Some(args) = plain_args(&args) else {
            return plan_err!("the arguments of {name} have no names");
        };
        let found = call("jsonb_path_query_array", args);
        (vec![call("json_array_elements", [found])], name)
    } else {
        let Some(function) = list_function(name) else {
            return Ok(None);
        };
        let Some(args) = plain_args(&args) else {
            return plan_err!("the arguments of {name} have no names");
        };
        match function {
            "" => (args, ""),
            function => (vec![call(function, arguments(name, args))], name),
        }
    };
    let alias = alias.or_else(|| {
        (!own.is_empty()).then(|| TableAlias {
            explicit: true,
            name: Ident::new(own),
            columns: Vec::new(),
            at: None,
        })
    });
    let alias = alias.map(|mut alias| {
        // Others are called as the relation is.
        if alias.columns.is_empty() && HAVE_VALUES.contains(&name) {
            alias.columns = vec![column(Ident::new("value"))];
        }
        alias
    });
    Ok(Some(TableFactor::UNNEST {
        alias,
        array_exprs: lists,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality,
    }))
}

/// `flatten(input => list, path => 'a.b', outer => true)`.
fn flatten(args: Vec<FunctionArg>) -> Result<Expr> {
    let mut input = None;
    let mut path = None;
    let mut outer = Expr::Value(Value::Boolean(false).into());
    for arg in args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if input.is_none() => input = Some(value),
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                ..
            }
            | FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg: FunctionArgExpr::Expr(value),
                ..
            } => match name.value.to_ascii_lowercase().as_str() {
                "input" => input = Some(value),
                "path" => path = Some(value),
                "outer" => outer = value,
                "mode" => {}
                other => return plan_err!("flatten knows input, path and outer, not {other}"),
            },
            other => return plan_err!("flatten knows input, path and outer, not {other}"),
        }
    }
    let Some(input) = input else {
        return plan_err!("flatten lacks its input");
    };
    let input = match path {
        Some(path) => call("get_path", [input, path]),
        None => input,
    };
    Ok(call("flatten_rows", [input, outer]))
}

/// A function that gives rows in a column of a select list: alone, as a part of what it gives, `(regexp_matches(a, 'x'))[1]`,
/// cast, or calculated with; and wherever it stands in the column, if it has no other meaning.
fn of_item(expr: &mut Expr) -> Result<()> {
    let is_query = |expr: &Expr| {
        matches!(
            expr,
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. }
        )
    };
    if !walk::any(expr, is_query) {
        walk::each(expr, |part| {
            if let Expr::Function(function) = part
                && name_of(&function.name).is_some_and(|name| ONLY_ROWS.contains(&name.as_str()))
            {
                of_rows(part);
            }
            Ok(())
        })?;
    }
    of_part(expr);
    Ok(())
}

/// The functions that the column is, is a part of, or is calculated from.
fn of_part(expr: &mut Expr) {
    match expr {
        Expr::CompoundFieldAccess { root: inner, .. } | Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => {
            of_part(inner);
        }
        Expr::BinaryOp {
            left,
            op:
                BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
                | BinaryOperator::StringConcat,
            right,
        } => {
            of_part(left);
            of_part(right);
        }
        expr => of_rows(expr),
    }
}

/// Functions that give rows wherever they stand. Others of these names give lists elsewhere, or a condition.
const ONLY_ROWS: [&str; 10] = [
    "json_array_elements",
    "jsonb_array_elements",
    "json_array_elements_text",
    "jsonb_array_elements_text",
    "json_object_keys",
    "jsonb_object_keys",
    "jsonb_path_query",
    "regexp_split_to_table",
    "string_to_table",
    "explode",
];

fn of_rows(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let Some(name) = name_of(&function.name) else { return };
    let FunctionArguments::List(list) = &function.args else {
        return;
    };
    if function.over.is_some() || matches!(name.as_str(), "unnest" | "range" | "string_split" | "split_to_table") {
        return;
    }
    let Some(args) = plain_args(&list.args) else { return };
    if name == "jsonb_path_query" {
        let found = call("jsonb_path_query_array", args);
        *expr = call("unnest", [call("json_array_elements", [found])]);
        return;
    }
    let Some(of_list) = list_function(&name) else { return };
    *expr = match (of_list, args.as_slice()) {
        ("", [one]) if name.ends_with("_outer") => call("unnest_outer", [one.clone()]),
        ("", [one]) if name == "explode" => call("unnest", [one.clone()]),
        ("", _) => take(expr),
        (of_list, _) => call("unnest", [call(of_list, arguments(&name, args))]),
    };
}
