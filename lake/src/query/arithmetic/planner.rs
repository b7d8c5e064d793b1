//! Arithmetic where a statement is planned.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::function::Arithmetic;
use super::types::{DIGITS, is_number, operands};
use super::{Operation, literals};

/// Plans operators on numbers.
#[derive(Debug)]
pub(in crate::query) struct Planner {
    /// What `^` is.
    pub power: Arc<ScalarUDF>,
}

impl ExprPlanner for Planner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        // PostgreSQL's power; `#` is its exclusive or.
        if matches!(op, BinaryOperator::BitwiseXor | BinaryOperator::PGExp) {
            return Ok(PlannerResult::Planned(self.power.call(vec![left, right])));
        }
        let Some(operation) = Operation::of_sql(&op) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        let (left, right) = (exact(left), exact(right));
        // A parameter whose type is not known yet: the rule sees it when it is.
        let (Ok(of_left), Ok(of_right)) = (left.get_type(schema), right.get_type(schema)) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        let is_parameter = |expr: &Expr| matches!(expr, Expr::Placeholder(place) if place.field.is_none());
        if is_parameter(&left) || is_parameter(&right) {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let (left, right) = (literals::beside(left, &of_right), literals::beside(right, &of_left));
        let number = |data_type: &DataType| is_number(data_type) || data_type.is_null();
        let (Ok(of_left), Ok(of_right)) = (left.get_type(schema), right.get_type(schema)) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        if (number(&of_left) || number(&of_right)) && operands(operation, &of_left, &of_right).is_some() {
            let planned = Arithmetic::of(operation).call(vec![left, right]);
            return Ok(PlannerResult::Planned(planned));
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// An integer that is written and is no `bigint` is a decimal.
fn exact(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(ScalarValue::UInt64(Some(value)), metadata) if value > i64::MAX as u64 => {
            let digits = u8::try_from(value.to_string().len()).unwrap_or(DIGITS);
            Expr::Literal(ScalarValue::Decimal128(Some(value.into()), digits, 0), metadata)
        }
        other => other,
    }
}
