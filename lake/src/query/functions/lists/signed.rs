//! Numbers of items and their places as integers with a sign, as SQL has them. The engine's have none, so that they cannot be
//! a place in a list again: `a[array_position(a, 'x')]`.

use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_nested::cardinality::cardinality_udf;
use datafusion::functions_nested::position::{array_position_udf, array_positions_udf};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The functions.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    [cardinality_udf(), array_position_udf(), array_positions_udf()]
        .into_iter()
        .map(|engine| Arc::new(ScalarUDF::new_from_impl(Signed { engine })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Signed {
    engine: Arc<ScalarUDF>,
}

/// The type with a sign.
fn signed(data_type: DataType) -> DataType {
    match data_type {
        DataType::UInt64 => DataType::Int64,
        DataType::List(item) if *item.data_type() == DataType::UInt64 => {
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(DataType::Int64)))
        }
        other => other,
    }
}

impl ScalarUDFImpl for Signed {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn aliases(&self) -> &[String] {
        self.engine.aliases()
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.engine.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.engine.return_type(given).map(signed)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.engine.return_field_from_args(args)?;
        let data_type = signed(field.data_type().clone());
        Ok(Arc::new(field.as_ref().clone().with_data_type(data_type)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_field.data_type().clone();
        Ok(match self.engine.inner().invoke_with_args(args)? {
            ColumnarValue::Array(values) => ColumnarValue::Array(cast(&values, &data_type)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.cast_to(&data_type)?),
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }
}
