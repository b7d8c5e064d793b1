//! `1e300`, which is no decimal of 38 digits, is a double, and so is what stands among doubles in VALUES.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Statement, UnaryOperator, Value};

use super::value_columns;
use crate::query::arithmetic::DIGITS;
use crate::query::walk;

/// Writes them as casts to a double.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Number(text, _) = &value.value
            && is_no_decimal(text)
            && text.parse::<f64>().is_ok_and(f64::is_finite)
        {
            *expr = double(Expr::value(Value::SingleQuotedString(text.clone())));
        }
        Ok(())
    })?;
    value_columns::each(statement, among_doubles);
    Ok(())
}

fn double(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    }
}

/// Makes doubles of numbers that are written among doubles in a column of VALUES.
fn among_doubles(column: &mut [&mut Expr]) {
    if !column.iter().any(|cell| is_double(cell)) {
        return;
    }
    for cell in column {
        if is_number(cell) {
            **cell = double((**cell).clone());
        }
    }
}

fn is_double(expr: &Expr) -> bool {
    use DataType as T;
    match expr {
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            T::Double(_) | T::DoublePrecision | T::Float64 | T::Float8 | T::Float(_) | T::Float32 | T::Float4 | T::Real
        ),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => is_double(expr),
        _ => false,
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        } => is_number(expr),
        _ => false,
    }
}

/// Whether a number has an exponent and, written without, more digits than a decimal.
fn is_no_decimal(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return false;
    };
    let Ok(exponent) = exponent.parse::<i64>() else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let before = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent);
    let after = i64::try_from(fraction.len())
        .unwrap_or(i64::MAX)
        .saturating_sub(exponent);
    before.max(0).saturating_add(after.max(0)) > i64::from(DIGITS)
}
