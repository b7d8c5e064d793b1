//! An operator as a function.

use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use super::{Operation, decimals, floats, types};

/// `left + right`, and so on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::query) struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl Arithmetic {
    /// The function of that operation.
    pub fn of(operation: Operation) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Arithmetic { operation, signature }))
    }

    /// Whether it fails where the second operand is zero.
    pub fn divides(&self) -> bool {
        matches!(
            self.operation,
            Operation::Divide | Operation::Modulo | Operation::DivideWhole
        )
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.operation.sign()
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = take_function_args(self.name(), args)?;
        Ok(format!("{left} {} {right}", self.name()))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = take_function_args(self.name(), args)?;
        Ok(format!(
            "{} {} {}",
            left.schema_name(),
            self.name(),
            right.schema_name()
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = take_function_args(self.name(), arg_types)?;
        match types::operands(self.operation, left, right) {
            Some((left, right)) => Ok(vec![left, right]),
            None => plan_err!("{left} {} {right} is not arithmetic of numbers", self.name()),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [left, right] = take_function_args(self.name(), arg_types)?;
        types::outcome(self.operation, left, right)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [left, right] = take_function_args(self.name(), args.arg_fields)?;
        let data_type = types::outcome(self.operation, left.data_type(), right.data_type())?;
        let nullable = left.is_nullable() || right.is_nullable();
        Ok(Arc::new(Field::new(self.name(), data_type, nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = take_function_args(self.name(), &args.args)?;
        calculate(self.operation, left, right, args.return_field.data_type())
    }
}

/// The results, of that type.
///
/// # Errors
/// One is out of its type's range, or a division is by zero.
pub(in crate::query) fn calculate(
    operation: Operation,
    left: &ColumnarValue,
    right: &ColumnarValue,
    data_type: &DataType,
) -> Result<ColumnarValue> {
    let kernel = |left: &dyn Datum, right: &dyn Datum| match data_type {
        DataType::Decimal128(precision, scale) => decimals::calculate(operation, left, right, *precision, *scale),
        DataType::Float64 => floats::calculate::<Float64Type>(operation, left, right),
        DataType::Float32 => floats::calculate::<Float32Type>(operation, left, right),
        _ => integers(operation, left, right),
    };
    apply(left, right, kernel).map_err(|error| in_words(error, operation.sign(), data_type))
}

fn integers(operation: Operation, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    match operation {
        Operation::Add => numeric::add(left, right),
        Operation::Subtract => numeric::sub(left, right),
        Operation::Multiply => numeric::mul(left, right),
        Operation::Divide | Operation::DivideWhole => numeric::div(left, right),
        Operation::Modulo => numeric::rem(left, right),
    }
}

/// An error of arrow without the values, which may be personal.
pub(in crate::query) fn in_words(error: DataFusionError, operation: &str, data_type: &DataType) -> DataFusionError {
    let DataFusionError::ArrowError(arrow, _) = &error else {
        return error;
    };
    let said: Result<()> = match **arrow {
        ArrowError::DivideByZero => exec_err!("division by zero"),
        ArrowError::ArithmeticOverflow(_) => {
            exec_err!("numeric overflow: a result of `{operation}` is out of the range of {data_type}")
        }
        _ => return error,
    };
    said.err().unwrap_or(error)
}
