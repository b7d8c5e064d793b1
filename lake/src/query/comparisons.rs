//! Times are compared as the lake stores them, in microseconds, doubles as doubles, and truth values as such: `active = 't'`.
//! Left to itself, the engine compares times that are not of one unit in nanoseconds, which reach from 1677 to 2262: a
//! contract without end, in the year 9999, could not be filtered. And a double with `2.5` as decimals of 15 digits, which NaN
//! is not and others are cut to. And a truth value with no text.

use arrow::datatypes::{DataType, Decimal128Type, DecimalType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::expressions::rewrite;

/// Puts comparisons with a column into the column's own type.
#[derive(Debug)]
pub(super) struct InOwnType;

impl AnalyzerRule for InOwnType {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "in_own_type"
    }
}

/// What has a type of its own before rules are asked, as a column of a select list has.
impl ExprPlanner for InOwnType {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator as O;
        let RawBinaryExpr { op, left, right } = expr;
        let compares = matches!(op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq);
        let is_truth = |expr: &Expr| unit(expr, schema) == Some(DataType::Boolean);
        let (left, right) = match compares {
            true if is_truth(&left) => (left, fitted(right, &DataType::Boolean, schema)),
            true if is_truth(&right) => (fitted(left, &DataType::Boolean, schema), right),
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    rewrite(plan, |expr| expr.transform_up(|expr| Ok(of_expression(expr, &schema))))
}

fn of_expression(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (left, right) = match (unit(&left, schema), unit(&right, schema)) {
                (Some(of_left), None) => (left, Box::new(fitted(*right, &of_left, schema))),
                (None, Some(of_right)) => (Box::new(fitted(*left, &of_right, schema)), right),
                _ => (left, right),
            };
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(between) => {
            let parts = [&between.expr, &between.low, &between.high];
            let Some(of_parts) = parts.into_iter().find_map(|part| unit(part, schema)) else {
                return Transformed::no(Expr::Between(between));
            };
            let part = |part: Box<Expr>| Box::new(beside(*part, &of_parts, schema));
            Transformed::yes(Expr::Between(Between {
                expr: part(between.expr),
                low: part(between.low),
                high: part(between.high),
                negated: between.negated,
            }))
        }
        Expr::InList(list) => {
            let mut parts = std::iter::once(list.expr.as_ref()).chain(&list.list);
            let Some(of_parts) = parts.find_map(|part| unit(part, schema)) else {
                return Transformed::no(Expr::InList(list));
            };
            let items = list.list.into_iter();
            Transformed::yes(Expr::InList(InList {
                expr: Box::new(beside(*list.expr, &of_parts, schema)),
                list: items.map(|item| beside(item, &of_parts, schema)).collect(),
                negated: list.negated,
            }))
        }
        other => Transformed::no(other),
    }
}

fn compares(op: Operator) -> bool {
    use Operator as O;
    matches!(
        op,
        O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq | O::IsDistinctFrom | O::IsNotDistinctFrom
    )
}

/// The type that the expression is compared in, if it is a time in microseconds, a float or a truth value.
fn unit(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    match expr.get_type(schema).ok()? {
        time @ DataType::Timestamp(TimeUnit::Microsecond, _) => Some(time),
        DataType::Float32 | DataType::Float64 => Some(DataType::Float64),
        DataType::Boolean => Some(DataType::Boolean),
        _ => None,
    }
}

/// One of the parts of a comparison of which one has the type `unit`: in that type, unless it has one of its own.
fn beside(expr: Expr, of_parts: &DataType, schema: &DFSchema) -> Expr {
    match unit(&expr, schema) {
        Some(_) => expr,
        None => fitted(expr, of_parts, schema),
    }
}

/// What is compared with a value of the type `unit`, in that type: a decimal with a float, a text that is written with a truth
/// value, and with a time what is one or may stand for one.
fn fitted(expr: Expr, unit: &DataType, schema: &DFSchema) -> Expr {
    if *unit == DataType::Float64 {
        return match expr.get_type(schema) {
            Ok(DataType::Decimal128(..)) => {
                double(&expr).unwrap_or_else(|| Expr::Cast(Cast::new(Box::new(expr), unit.clone())))
            }
            // A `real` has fewer digits than most integers.
            Ok(integer) if integer.is_integer() => Expr::Cast(Cast::new(Box::new(expr), unit.clone())),
            _ => expr,
        };
    }
    if *unit == DataType::Boolean {
        return match expr {
            Expr::Literal(ScalarValue::Utf8(Some(_)), _) => Expr::Cast(Cast::new(Box::new(expr), unit.clone())),
            _ => expr,
        };
    }
    let stands_for_a_time = |expr: &Expr| {
        use DataType as T;
        let data_type = expr.get_type(schema);
        let text_or_time = |own: &DataType| {
            matches!(
                own,
                T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Date32 | T::Date64 | T::Timestamp(..)
            )
        };
        data_type.is_ok_and(|own| own != *unit && text_or_time(&own))
    };
    // `timestamp '9999-12-31'` is a text that is turned into nanoseconds.
    let expr = match expr {
        Expr::Cast(cast) if is_nanoseconds(&cast) && stands_for_a_time(&cast.expr) => *cast.expr,
        other => other,
    };
    match stands_for_a_time(&expr) {
        true => Expr::Cast(Cast::new(Box::new(expr), unit.clone())),
        false => expr,
    }
}

/// The double that a decimal literal is written as: the engine's cast divides by a power of ten, which is not exact.
fn double(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Negative(inner) => Some(Expr::Negative(Box::new(double(inner)?))),
        Expr::Literal(ScalarValue::Decimal128(Some(value), precision, scale), metadata) => {
            let text = Decimal128Type::format_decimal(*value, *precision, *scale);
            let value = ScalarValue::Float64(Some(text.parse().ok()?));
            Some(Expr::Literal(value, metadata.clone()))
        }
        _ => None,
    }
}

fn is_nanoseconds(cast: &Cast) -> bool {
    matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _))
}
