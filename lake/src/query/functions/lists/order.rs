//! The order of lists, item by item, in which a null is behind all values, as in PostgreSQL. The engine has it before them.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, Int32Array, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// -1, 0 or 1, as the first list is before, with or behind the second.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Order {
    signature: Signature,
}

/// What comparisons of lists call.
pub(in crate::query) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::from(Order { signature }))
}

impl ScalarUDFImpl for Order {
    fn name(&self) -> &str {
        "_list_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = take_function_args(self.name(), given)?;
        match comparison_coercion(left, right) {
            Some(common) => Ok(vec![common.clone(), common]),
            None => plan_err!("lists of types {left} and {right} are not compared"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = take_function_args(self.name(), arrays)?;
        let options = SortOptions {
            descending: false,
            nulls_first: false,
        };
        let compare = make_comparator(left.as_ref(), right.as_ref(), options)?;
        let order = |row: usize| match compare(row, row) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        };
        let orders = (0..left.len()).map(|row| (left.is_valid(row) && right.is_valid(row)).then(|| order(row)));
        let orders: Int32Array = orders.collect();
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&orders, 0)?),
            false => ColumnarValue::Array(Arc::new(orders)),
        })
    }
}
