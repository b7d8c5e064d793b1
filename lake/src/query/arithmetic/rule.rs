//! Arithmetic that no [`super::Planner`] saw: with parameters, minus before an expression, plans that are not from SQL.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::Operation;
use super::function::Arithmetic;
use super::types::{is_number, operands};
use crate::query::expressions::rewrite;

/// Functions whose second argument is a number of places.
const ROUNDING: [&str; 4] = ["ceil", "floor", "round", "trunc"];

/// Puts checked operations in place of the engine's, of the same types.
#[derive(Debug)]
pub(in crate::query) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "checked_arithmetic"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    rewrite(plan, |expr| expr.transform_up(|expr| of_expression(expr, &schema)))
}

fn of_expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Negative(inner) => {
            let number = inner.get_type(schema).ok().filter(is_number);
            Ok(match number {
                Some(data_type) => Transformed::yes(negative(*inner, &data_type)?),
                None => Transformed::no(Expr::Negative(inner)),
            })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let types = (left.get_type(schema), right.get_type(schema));
            if let (Some(operation), (Ok(of_left), Ok(of_right))) = (Operation::of_engine(op), types)
                && (is_number(&of_left) || is_number(&of_right))
                && operands(operation, &of_left, &of_right).is_some()
            {
                let planned = Expr::BinaryExpr(BinaryExpr { left, op, right });
                let data_type = planned.get_type(schema)?;
                let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = planned else {
                    return Ok(Transformed::no(planned));
                };
                return checked(Arithmetic::of(operation), vec![*left, *right], data_type, schema);
            }
            Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        Expr::ScalarFunction(call) => places(call),
        other => Ok(Transformed::no(other)),
    }
}

/// The type of `round(x, 1 + 1)` depends on the sum, so it is calculated before types are told.
fn places(mut call: ScalarFunction) -> Result<Transformed<Expr>> {
    let is_constant = |places: &Expr| {
        !matches!(places, Expr::Literal(..)) && places.column_refs().is_empty() && !places.is_volatile()
    };
    let changes = match call.args.get_mut(1) {
        Some(places) if ROUNDING.contains(&call.func.name()) && is_constant(places) => {
            let simplifier = ExprSimplifier::new(SimplifyContext::default());
            *places = simplifier.simplify(places.clone())?;
            true
        }
        _ => false,
    };
    Ok(Transformed::new(
        Expr::ScalarFunction(call),
        changes,
        TreeNodeRecursion::Continue,
    ))
}

/// What was planned has been told a type: it stays.
fn checked(
    function: Arc<ScalarUDF>,
    args: Vec<Expr>,
    data_type: DataType,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let call = function.call(args);
    Ok(Transformed::yes(match call.get_type(schema)? == data_type {
        true => call,
        false => Expr::Cast(Cast::new(Box::new(call), data_type)),
    }))
}

/// `0 - expr`, of the same type.
fn negative(expr: Expr, data_type: &DataType) -> Result<Expr> {
    let zero = Expr::Literal(ScalarValue::new_zero(data_type)?, None);
    let call = Arithmetic::of(Operation::Subtract).call(vec![zero, expr]);
    Ok(match data_type {
        DataType::Decimal128(..) => Expr::Cast(Cast::new(Box::new(call), data_type.clone())),
        _ => call,
    })
}
