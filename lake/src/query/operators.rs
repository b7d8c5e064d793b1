//! Operators of JSON, of lists, and of texts where the engine has others' meaning.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::string::expr_fn::starts_with;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, GetFieldAccess, Operator, ScalarUDF, binary_expr, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator as Op;

use crate::query::functions::json::{self, is_json};
use crate::query::functions::{lists, text};

/// Plans operators by the types of their operands.
#[derive(Debug)]
pub(super) struct TextOperators {
    /// The functions that operators call, by their names.
    functions: Vec<Arc<ScalarUDF>>,
}

impl TextOperators {
    pub fn new() -> Self {
        Self {
            functions: [json::all().scalar, text::all().scalar].concat(),
        }
    }

    fn call(&self, name: &str, args: Vec<Expr>) -> Option<Expr> {
        let function = self.functions.iter().find(|function| function.name() == name)?;
        Some(function.call(args))
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

/// A text that is written beside a list is one: `tags @> '{a}'`.
fn beside(expr: Expr, list: Option<DataType>) -> Expr {
    match (&expr, list) {
        (Expr::Literal(ScalarValue::Utf8(Some(_)), _), Some(list)) => Expr::Cast(Cast::new(Box::new(expr), list)),
        _ => expr,
    }
}

fn without_nulls(list: Expr) -> Expr {
    let null = Expr::Literal(ScalarValue::Null, None);
    lists::remove::function().call(vec![list, null])
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Null, _))
}

/// Operators between two lists.
fn is_of_lists(op: &Op) -> bool {
    let compares = matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq);
    compares || matches!(op, Op::AtArrow | Op::ArrowAt | Op::PGOverlap)
}

/// The engine's operator of an order.
fn order(op: &Op) -> Option<Operator> {
    Some(match op {
        Op::Lt => Operator::Lt,
        Op::LtEq => Operator::LtEq,
        Op::Gt => Operator::Gt,
        Op::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A literal that is JSON: beside a value of JSON it is one.
fn is_literal_json(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(text)), _) if json::scan::Value::read(text).is_some())
}

/// A pattern that the engine matches as PostgreSQL does. Without a point no new line can be meant.
fn is_plain_pattern(pattern: &Expr) -> bool {
    match pattern {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => !text.contains(['.', '\\', '[']) && !text.contains("(?"),
        _ => false,
    }
}

impl ExprPlanner for TextOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let list = |expr: &Expr| expr.get_type(schema).ok().filter(is_list);
        let expr = match (list(&expr.left), list(&expr.right)) {
            (None, None) => expr,
            (left, right) if is_of_lists(&expr.op) => RawBinaryExpr {
                left: beside(expr.left, right),
                right: beside(expr.right, left),
                op: expr.op,
            },
            _ => expr,
        };
        let RawBinaryExpr { op, left, right } = &expr;
        if let (Some(op), Some(_), Some(_)) = (order(op), list(left), list(right)) {
            let compared = lists::order::function().call(vec![left.clone(), right.clone()]);
            return Ok(PlannerResult::Planned(binary_expr(compared, op, lit(0_i32))));
        }
        // What has no type yet is made into something else later.
        let is_text = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| is_text(&data_type));
        let is_json = |expr: &Expr| expr.to_field(schema).is_ok_and(|(_, field)| is_json(&field));
        let name = match op {
            Op::Arrow => "json_get",
            Op::LongArrow => "json_get_text",
            Op::HashArrow => "json_get_at",
            Op::HashLongArrow => "json_get_at_text",
            Op::AtQuestion => "json_exists",
            Op::Question => "jsonb_exists",
            Op::QuestionPipe => "jsonb_exists_any",
            Op::QuestionAnd => "jsonb_exists_all",
            Op::HashMinus => "jsonb_delete_path",
            Op::AtArrow if is_text(left) => "jsonb_contains",
            Op::ArrowAt if is_text(left) => "jsonb_contained",
            Op::StringConcat
                if (is_json(left) && (is_json(right) || is_literal_json(right)))
                    || (is_literal_json(left) && is_json(right)) =>
            {
                "jsonb_concat"
            }
            // Of the items that are looked for a null is none that is there.
            Op::AtArrow | Op::ArrowAt if list(left).is_some() && list(right).is_some() => {
                let (whole, part) = match op {
                    Op::AtArrow => (left, right),
                    _ => (right, left),
                };
                let args = vec![without_nulls(whole.clone()), part.clone()];
                return Ok(PlannerResult::Planned(
                    datafusion::functions_nested::array_has::array_has_all_udf().call(args),
                ));
            }
            // A null that is nothing else is a list of which nothing is added.
            Op::StringConcat if list(left).is_some() && is_null(right) => {
                return Ok(PlannerResult::Planned(left.clone()));
            }
            Op::StringConcat if list(right).is_some() && is_null(left) => {
                return Ok(PlannerResult::Planned(right.clone()));
            }
            Op::Minus if is_json(left) => "jsonb_delete",
            Op::Plus if is_text(left) && is_text(right) => {
                return Ok(PlannerResult::Original(RawBinaryExpr {
                    op: Op::StringConcat,
                    ..expr
                }));
            }
            Op::PGRegexMatch | Op::PGRegexIMatch | Op::PGRegexNotMatch | Op::PGRegexNotIMatch
                if !is_plain_pattern(right) && is_text(left) =>
            {
                let mut args = vec![left.clone(), right.clone()];
                if matches!(op, Op::PGRegexIMatch | Op::PGRegexNotIMatch) {
                    args.push(Expr::Literal(ScalarValue::from("i"), None));
                }
                let negated = matches!(op, Op::PGRegexNotMatch | Op::PGRegexNotIMatch);
                return Ok(match self.call("regexp_like", args) {
                    Some(call) if negated => PlannerResult::Planned(Expr::Not(Box::new(call))),
                    Some(call) => PlannerResult::Planned(call),
                    None => PlannerResult::Original(expr),
                });
            }
            Op::PGStartsWith => {
                let starts = starts_with(left.clone(), right.clone());
                return Ok(PlannerResult::Planned(starts));
            }
            // `[…] && […]`: whether lists have an item in common. A null is not one.
            Op::PGOverlap if !is_text(left) => {
                let args = vec![left.clone(), without_nulls(right.clone())];
                return Ok(PlannerResult::Planned(
                    datafusion::functions_nested::array_has::array_has_any_udf().call(args),
                ));
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(match self.call(name, vec![left.clone(), right.clone()]) {
            Some(call) => PlannerResult::Planned(call),
            None => PlannerResult::Original(expr),
        })
    }

    /// A place in a list that is of a type without a sign, as `row_number()` has.
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = access;
        let field_access = match field_access {
            GetFieldAccess::ListIndex { key } if matches!(key.get_type(schema), Ok(DataType::UInt64)) => {
                GetFieldAccess::ListIndex {
                    key: Box::new(Expr::Cast(Cast::new(key, DataType::Int64))),
                }
            }
            other => other,
        };
        Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(match self.call(text::substring::NAME, args.clone()) {
            Some(call) => PlannerResult::Planned(call),
            None => PlannerResult::Original(args),
        })
    }
}
