//! Operators by name, and those that answer something where the operator has no answer: `safe_divide`, `div0`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and, concat, is_not_null, is_null, nullif, or, prep_null_mask_filter};
use arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::define::{documentation, of_rows};
use crate::query::arithmetic::{Operation, calculate, operands, outcome};

/// What is answered where an operator fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Otherwise {
    Error,
    Null,
    /// Zero where the divisor is zero.
    Zero,
    /// Zero where the divisor is zero or null.
    ZeroOfNull,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    name: &'static str,
    aliases: Vec<String>,
    operation: Operation,
    otherwise: Otherwise,
    signature: Signature,
    documentation: Documentation,
}

pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    use {Operation as O, Otherwise as E};
    let empty: &[&str] = &[];
    [
        (
            "mod",
            empty,
            O::Modulo,
            E::Error,
            "What a division leaves, with the sign of the dividend.",
            "select mod(7, 3), mod(-7, 3) -- 1, -1",
        ),
        (
            "div",
            empty,
            O::DivideWhole,
            E::Error,
            "The whole part of a quotient.",
            "select div(7, 2), div(-7, 2) -- 3, -3",
        ),
        ("add", empty, O::Add, E::Error, "The sum.", "select add(1, 2) -- 3"),
        (
            "subtract",
            empty,
            O::Subtract,
            E::Error,
            "The difference.",
            "select subtract(3, 2) -- 1",
        ),
        (
            "multiply",
            empty,
            O::Multiply,
            E::Error,
            "The product.",
            "select multiply(2, 3) -- 6",
        ),
        (
            "divide",
            empty,
            O::Divide,
            E::Error,
            "The quotient, whole of whole numbers.",
            "select divide(7, 2) -- 3",
        ),
        (
            "safe_add",
            &["try_add"],
            O::Add,
            E::Null,
            "The sum, or null if it is out of range.",
            "select safe_add(9223372036854775807, 1) -- null",
        ),
        (
            "safe_subtract",
            &["try_subtract"],
            O::Subtract,
            E::Null,
            "The difference, or null if it is out of range.",
            "select safe_subtract(3, 2) -- 1",
        ),
        (
            "safe_multiply",
            &["try_multiply"],
            O::Multiply,
            E::Null,
            "The product, or null if it is out of range.",
            "select safe_multiply(2, 3) -- 6",
        ),
        (
            "safe_divide",
            &["try_divide"],
            O::Divide,
            E::Null,
            "The quotient with its fraction, or null if the divisor is zero.",
            "select safe_divide(1, 2), safe_divide(1, 0) -- 0.5, null",
        ),
        (
            "div0",
            empty,
            O::Divide,
            E::Zero,
            "The quotient with its fraction, or zero if the divisor is zero.",
            "select div0(1, 2), div0(1, 0) -- 0.5, 0",
        ),
        (
            "div0null",
            empty,
            O::Divide,
            E::ZeroOfNull,
            "The quotient with its fraction, or zero if the divisor is zero or null.",
            "select div0null(1, null) -- 0",
        ),
    ]
    .into_iter()
    .map(|(name, aliases, operation, otherwise, about, example)| {
        Arc::new(ScalarUDF::from(Named {
            name,
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            operation,
            otherwise,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation(about, &format!("{name}(a, b)"), example),
        }))
    })
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = take_function_args(self.name, arg_types)?;
        // A text that is written stands for a number.
        let number = |own: &DataType| match own {
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => DataType::Float64,
            // Other dialects divide whole numbers with a fraction.
            own if own.is_integer() && self.operation == Operation::Divide && self.otherwise != Otherwise::Error => {
                DataType::Decimal128(19, 0)
            }
            own => own.clone(),
        };
        match operands(self.operation, &number(left), &number(right)) {
            Some((left, right)) => Ok(vec![left, right]),
            None => plan_err!("{} takes numbers, and not {left} and {right}", self.name),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [left, right] = take_function_args(self.name, arg_types)?;
        outcome(self.operation, left, right)
    }

    fn is_strict(&self) -> bool {
        self.otherwise != Otherwise::ZeroOfNull
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_field.data_type();
        if self.otherwise == Otherwise::Error {
            let [left, right] = take_function_args(self.name, &args.args)?;
            return calculate(self.operation, left, right, data_type);
        }
        of_rows(&args.args, |arrays| {
            let [left, right] = take_function_args(self.name, arrays)?;
            let zero = ScalarValue::new_zero(right.data_type())?.to_scalar()?;
            let by_zero = match self.operation {
                Operation::Divide => eq(right, &zero)?,
                _ => BooleanArray::from(vec![false; right.len()]),
            };
            let quotients = self.or_null(left, &nullif(right, &by_zero)?, data_type)?;
            let by_zero = certain(by_zero);
            let nothing = match self.otherwise {
                Otherwise::Zero => by_zero,
                Otherwise::ZeroOfNull => or(&by_zero, &is_null(right)?)?,
                _ => return Ok(quotients),
            };
            // Zero of a null dividend is null.
            let nothing = and(&nothing, &is_not_null(left)?)?;
            Ok(zip(
                &nothing,
                &ScalarValue::new_zero(data_type)?.to_scalar()?,
                &quotients,
            )?)
        })
    }
}

/// A condition that is false where it was null.
fn certain(condition: BooleanArray) -> BooleanArray {
    match condition.null_count() {
        0 => condition,
        _ => prep_null_mask_filter(&condition),
    }
}

impl Named {
    /// The results, and null for each that is an error.
    fn or_null(&self, left: &ArrayRef, right: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
        let all = |left: &ArrayRef, right: &ArrayRef| {
            let (left, right) = (ColumnarValue::Array(left.clone()), ColumnarValue::Array(right.clone()));
            calculate(self.operation, &left, &right, data_type)?.into_array(1)
        };
        if let Ok(answers) = all(left, right) {
            return Ok(answers);
        }
        let one = |row| all(&left.slice(row, 1), &right.slice(row, 1)).unwrap_or_else(|_| new_null_array(data_type, 1));
        let answers: Vec<ArrayRef> = (0..left.len()).map(one).collect();
        let answers: Vec<&dyn Array> = answers.iter().map(AsRef::as_ref).collect();
        Ok(concat(&answers)?)
    }
}
