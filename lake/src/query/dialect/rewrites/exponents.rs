//! `1e300`, which is no decimal of 38 digits, is a double.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Statement, Value};

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
            *expr = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::value(Value::SingleQuotedString(text.clone()))),
                data_type: DataType::Double(ExactNumberInfo::None),
                array: false,
                format: None,
            };
        }
        Ok(())
    })
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
