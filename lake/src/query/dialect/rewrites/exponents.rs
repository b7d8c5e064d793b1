//! `1e300`, which is no decimal of 38 digits, is a double, and so is what stands among doubles in VALUES.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Statement, UnaryOperator, Value,
};

use super::{build, value_columns};
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
    value_columns::each(statement, among_floats);
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

/// Makes floats of numbers that are written among floats in a column of VALUES: of 32 bits, if all of those are.
fn among_floats(column: &mut [&mut Expr]) {
    let floats: Vec<DataType> = column.iter().filter_map(|cell| float(cell)).collect();
    let Some(data_type) = floats.iter().find(|float| !is_real(float)).or(floats.first()) else {
        return;
    };
    for cell in column {
        if is_number(cell) {
            **cell = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(build::nested((**cell).clone())),
                data_type: data_type.clone(),
                array: false,
                format: None,
            };
        }
    }
}

/// The type of what is cast to a float, or calculated with one.
fn float(expr: &Expr) -> Option<DataType> {
    use DataType as T;
    match expr {
        Expr::Cast {
            data_type:
                data_type @ (T::Double(_)
                | T::DoublePrecision
                | T::Float64
                | T::Float8
                | T::Float(_)
                | T::Float32
                | T::Float4
                | T::Real),
            ..
        } => Some(data_type.clone()),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => float(expr),
        Expr::BinaryOp { left, op, right } if calculates(op) => float(left)
            .or_else(|| float(right))
            .map(|_| T::Double(ExactNumberInfo::None)),
        _ => None,
    }
}

fn is_real(float: &DataType) -> bool {
    matches!(float, DataType::Real | DataType::Float4 | DataType::Float32)
}

fn calculates(op: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(op, Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo)
}

/// Whether it is a number that is written, or calculated of such.
fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        }
        | Expr::Nested(expr) => is_number(expr),
        Expr::BinaryOp { left, op, right } => calculates(op) && is_number(left) && is_number(right),
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
