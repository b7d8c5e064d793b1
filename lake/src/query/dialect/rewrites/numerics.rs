//! Casts to `numeric` without digits: the digits depend on what is cast, so that they are calls.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Statement};

use super::calls::{call, literal, take};
use crate::query::functions::casts::{OnFailure, numeric};
use crate::query::walk;

/// Writes them as calls. It comes last: until then a cast is seen to be one.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        if let Expr::Cast {
            kind,
            expr: value,
            data_type,
            array: false,
            format: None,
        } = expr
            && is_numeric(data_type)
        {
            let on_failure = match kind {
                CastKind::TryCast | CastKind::SafeCast => OnFailure::Null,
                _ => OnFailure::Error,
            };
            *expr = call(numeric::name(on_failure), [take(value)]);
        }
        Ok(())
    })
}

/// Whether the type is that of decimals of any digits.
pub(super) fn is_numeric(data_type: &DataType) -> bool {
    match data_type {
        DataType::Numeric(ExactNumberInfo::None)
        | DataType::Decimal(ExactNumberInfo::None)
        | DataType::Dec(ExactNumberInfo::None)
        | DataType::BigNumeric(ExactNumberInfo::None)
        | DataType::BigDecimal(ExactNumberInfo::None) => true,
        DataType::Custom(name, modifiers) => modifiers.is_empty() && name.to_string().eq_ignore_ascii_case("number"),
        _ => false,
    }
}

/// The type of a literal of text: a decimal of the digits that are written.
pub(super) fn of_literal(expr: &Expr) -> Option<DataType> {
    let (precision, scale) = numeric::digits(literal(expr)?)?;
    let info = ExactNumberInfo::PrecisionAndScale(precision.into(), scale.into());
    Some(DataType::Numeric(info))
}
