//! JSON and intervals are compared, grouped and sorted by their value: `1` is `1.0`, and 25 hours are more than a day. As they are
//! kept, their order is another one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::functions_aggregate::min_max::min_udaf;
use datafusion::logical_expr::expr::{InList, InSubquery, WindowFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Between, BinaryExpr, Case, Distinct, Expr, ExprSchemable, Join, LogicalPlan,
    LogicalPlanBuilder, Operator, ScalarUDF,
};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::rewrite;
use super::functions::aggregates;
use super::functions::dates::{Operation, operation};
use super::functions::json::{is_json, nullif, order};

/// Puts what is compared in the place of the values wherever they are compared.
#[derive(Debug)]
pub(super) struct ByValue;

impl AnalyzerRule for ByValue {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "by_value"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let is_sort = matches!(plan, LogicalPlan::Sort(_));
    let plan = rewrite(plan, |expr| {
        let expr = match is_sort.then(|| order_of(&expr, &schema)).flatten() {
            Some(order) => return Ok(Transformed::yes(order.call(vec![expr]))),
            None => expr,
        };
        expr.transform_up(|expr| of_expression(expr, &schema))
    })?;
    plan.transform_data(|plan| match plan {
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let columns: Vec<_> = input.schema().columns().into_iter().map(Expr::Column).collect();
            match columns.iter().any(|column| order_of(column, input.schema()).is_some()) {
                true => grouped(&Aggregate::try_new(input, columns, Vec::new())?),
                false => Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input)))),
            }
        }
        LogicalPlan::Aggregate(aggregate) => {
            let schema = aggregate.input.schema();
            match aggregate.group_expr.iter().any(|key| order_of(key, schema).is_some()) {
                true => grouped(&aggregate),
                false => Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))),
            }
        }
        LogicalPlan::Join(join) => joined(join),
        other => Ok(Transformed::no(other)),
    })
}

/// Whether the expression is JSON.
fn json(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Alias(alias) => json(&alias.expr, schema),
        Expr::Column(_) | Expr::ScalarFunction(_) => expr.to_field(schema).is_ok_and(|(_, field)| is_json(&field)),
        _ => false,
    }
}

/// The function by whose result values are ordered that are not by themselves.
fn order_of(expr: &Expr, schema: &DFSchema) -> Option<Arc<ScalarUDF>> {
    match expr {
        Expr::GroupingSet(_) => None,
        expr if is_interval(expr, schema) => Some(operation(Operation::IntervalOrder)),
        expr if json(expr, schema) => order().ok(),
        _ => None,
    }
}

fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

/// Whether the expression is a text that stands for JSON beside JSON.
fn is_literal(expr: &Expr) -> bool {
    use ScalarValue as V;
    matches!(
        expr,
        Expr::Literal(V::Utf8(_) | V::Utf8View(_) | V::LargeUtf8(_) | V::Null, _)
    )
}

/// Whether all are JSON, or stand for it.
fn all_json<'a>(parts: impl IntoIterator<Item = &'a Expr>, schema: &DFSchema) -> bool {
    let mut is_one = false;
    for part in parts {
        if json(part, schema) {
            is_one = true;
        } else if !is_literal(part) {
            return false;
        }
    }
    is_one
}

fn by_value(expr: Expr) -> Result<Expr> {
    Ok(order()?.call(vec![expr]))
}

fn boxed(mut expr: Box<Expr>) -> Result<Box<Expr>> {
    *expr = by_value(std::mem::take(&mut *expr))?;
    Ok(expr)
}

fn of_expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if compares(op) && all_json([left.as_ref(), right.as_ref()], schema) =>
        {
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(boxed(left)?, op, boxed(right)?)))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) if all_json([expr.as_ref(), low.as_ref(), high.as_ref()], schema) => Transformed::yes(Expr::Between(
            Between::new(boxed(expr)?, negated, boxed(low)?, boxed(high)?),
        )),
        Expr::InList(InList { expr, list, negated })
            if all_json(std::iter::once(expr.as_ref()).chain(&list), schema) =>
        {
            let list = list.into_iter().map(by_value).collect::<Result<_>>()?;
            Transformed::yes(Expr::InList(InList::new(boxed(expr)?, list, negated)))
        }
        Expr::InSubquery(InSubquery {
            expr,
            mut subquery,
            negated,
        }) if json(&expr, schema) && subquery.subquery.schema().fields().iter().all(|field| is_json(field)) => {
            let rows = subquery.subquery.as_ref().clone();
            let columns = rows.schema().columns().into_iter().map(Expr::Column);
            let columns = columns.map(by_value).collect::<Result<Vec<_>>>()?;
            subquery.subquery = Arc::new(LogicalPlanBuilder::from(rows).project(columns)?.build()?);
            Transformed::yes(Expr::InSubquery(InSubquery::new(boxed(expr)?, subquery, negated)))
        }
        Expr::Case(Case {
            expr: Some(expr),
            when_then_expr,
            else_expr,
        }) if all_json(
            std::iter::once(expr.as_ref()).chain(when_then_expr.iter().map(|(when, _)| when.as_ref())),
            schema,
        ) =>
        {
            let cases = when_then_expr.into_iter().map(|(when, then)| Ok((boxed(when)?, then)));
            Transformed::yes(Expr::Case(Case::new(
                Some(boxed(expr)?),
                cases.collect::<Result<_>>()?,
                else_expr,
            )))
        }
        Expr::AggregateFunction(mut call) if call.params.distinct && call.func.name() == "count" => {
            let args = std::mem::take(&mut call.params.args).into_iter();
            call.params.args = args
                .map(|arg| match order_of(&arg, schema) {
                    Some(order) => order.call(vec![arg]),
                    None => arg,
                })
                .collect();
            Transformed::yes(Expr::AggregateFunction(call))
        }
        Expr::AggregateFunction(mut call) => match (call.params.args.as_slice(), by_key(call.func.name())) {
            ([value], Some(function)) if is_interval(value, schema) => {
                let key = operation(Operation::IntervalOrder).call(vec![value.clone()]);
                call.params.args.push(key);
                call.params.distinct = false;
                call.func = function;
                Transformed::yes(Expr::AggregateFunction(call))
            }
            _ => Transformed::no(Expr::AggregateFunction(call)),
        },
        Expr::ScalarFunction(mut call) if call.func.name() == "nullif" && all_json(&call.args, schema) => {
            call.func = nullif()?;
            Transformed::yes(Expr::ScalarFunction(call))
        }
        Expr::WindowFunction(call) => of_window(call, schema)?,
        other => Transformed::no(other),
    })
}

fn of_window(mut call: Box<WindowFunction>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let params = &mut call.params;
    let keys = params.partition_by.iter_mut();
    let keys = keys.chain(params.order_by.iter_mut().map(|sort| &mut sort.expr));
    let mut changes = false;
    for key in keys {
        if let Some(order) = order_of(key, schema) {
            *key = order.call(vec![std::mem::take(key)]);
            changes = true;
        }
    }
    let expr = Expr::WindowFunction(call);
    Ok(if changes {
        Transformed::yes(expr)
    } else {
        Transformed::no(expr)
    })
}

fn compares(op: Operator) -> bool {
    use Operator as O;
    matches!(
        op,
        O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq | O::IsDistinctFrom | O::IsNotDistinctFrom
    )
}

/// The aggregate of the value whose key is the greatest, or the least.
fn by_key(aggregate: &str) -> Option<Arc<AggregateUDF>> {
    match aggregate {
        "max" => aggregates::by("max_by"),
        "min" => aggregates::by("min_by"),
        _ => None,
    }
}

/// Keys of a join that are ordered the same way on both sides.
fn joined(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changes = false;
    for (left, right) in &mut join.on {
        let orders = (order_of(left, join.left.schema()), order_of(right, join.right.schema()));
        if let (Some(order), Some(of_right)) = orders
            && order == of_right
        {
            *left = order.call(vec![std::mem::take(left)]);
            *right = order.call(vec![std::mem::take(right)]);
            changes = true;
        }
    }
    let plan = LogicalPlan::Join(join);
    Ok(if changes {
        Transformed::yes(plan)
    } else {
        Transformed::no(plan)
    })
}

/// Groups by values, of which each shows the first of those that are equal.
fn grouped(aggregate: &Aggregate) -> Result<Transformed<LogicalPlan>> {
    let schema = aggregate.input.schema();
    let mut keys = Vec::with_capacity(aggregate.group_expr.len());
    let mut values = aggregate.aggr_expr.clone();
    // Where what a key shows is among the columns that are made.
    let mut shown = BTreeMap::new();
    let columns = aggregate.group_expr.len() + aggregate.aggr_expr.len();
    for (place, key) in aggregate.group_expr.iter().enumerate() {
        match order_of(key, schema) {
            Some(order) => {
                let value = key.clone().unalias();
                shown.insert(place, columns + shown.len());
                values.push(min_udaf().call(vec![value.clone()]).alias(format!("__shown_{place}")));
                keys.push(order.call(vec![value]));
            }
            None => keys.push(key.clone()),
        }
    }
    let grouped = Aggregate::try_new(aggregate.input.clone(), keys, values)?;
    let made = grouped.schema.columns();
    let named: Vec<(Option<TableReference>, FieldRef)> = (aggregate.schema.iter())
        .map(|(table, field)| (table.cloned(), Arc::clone(field)))
        .collect();
    let columns = named.into_iter().enumerate().filter_map(|(place, (table, field))| {
        let from: &Column = made.get(shown.get(&place).copied().unwrap_or(place))?;
        let metadata = shown.contains_key(&place).then(|| FieldMetadata::from(field.as_ref()));
        let column = Expr::Column(from.clone());
        Some(column.alias_qualified_with_metadata(table, field.name(), metadata))
    });
    let columns: Vec<_> = columns.collect();
    let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(grouped)).project(columns)?;
    plan.build().map(Transformed::yes)
}
