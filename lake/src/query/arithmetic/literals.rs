//! A text that is written beside a number stands for a number: `'5' + i`.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Cast, Expr};

use super::types::is_number;

/// The text literal in the type of what it is calculated with; anything else as it is.
pub(super) fn beside(expr: Expr, other: &DataType) -> Expr {
    let is_text = matches!(
        expr,
        Expr::Literal(
            ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_)) | ScalarValue::LargeUtf8(Some(_)),
            _
        )
    );
    if !is_text || !is_number(other) {
        return expr;
    }
    let data_type = match other {
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        other if other.is_integer() => DataType::Int64,
        _ => DataType::Decimal128(super::types::DIGITS, 10),
    };
    Expr::Cast(Cast::new(Box::new(expr), data_type))
}
