//! A text that is written beside a number stands for a number: `'5' + i`.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Cast, Expr};

use super::types::is_number;
use crate::query::functions::casts::numeric;

/// The text literal in the type of what it is calculated with; anything else as it is.
pub(super) fn beside(expr: Expr, other: &DataType) -> Expr {
    let text = match &expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    let (Some(text), true) = (text, is_number(other)) else {
        return expr;
    };
    let data_type = match other {
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        other if other.is_integer() => DataType::Int64,
        _ => match numeric::digits(text) {
            Some((precision, scale)) => DataType::Decimal128(precision, scale),
            None => numeric::UNKNOWN,
        },
    };
    Expr::Cast(Cast::new(Box::new(expr), data_type))
}
