//! The item of a number, of a frame as a list: what `nth_value(x, n)` becomes where n is calculated. The engine takes an n
//! that is written.

use std::sync::Arc;

use arrow::array::{Array, AsArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Its name.
pub(in crate::query) const NAME: &str = "_nth_item";

#[derive(Debug, PartialEq, Eq, Hash)]
struct NthItem {
    signature: Signature,
}

/// The function.
pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::from(NthItem { signature }))
}

impl ScalarUDFImpl for NthItem {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [list, place] = take_function_args(NAME, given)?;
        match place.is_integer() || place.is_null() {
            true => Ok(vec![list.clone(), DataType::Int64]),
            false => plan_err!("the second argument of nth_value is a whole number, not {place}"),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [DataType::List(item), _] => Ok(item.data_type().clone()),
            _ => internal_err!("a frame is a list"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|arg| arg.to_array(args.number_rows));
        let [lists, places] = take_function_args(NAME, arrays.collect::<Result<Vec<_>>>()?)?;
        let (Some(lists), Some(places)) = (lists.as_list_opt::<i32>(), places.as_primitive_opt::<Int64Type>()) else {
            return internal_err!("a frame is a list");
        };
        let item = |row: usize| match places.is_valid(row).then(|| places.value(row)) {
            None => Ok(None),
            Some(..1) => exec_err!("argument of nth_value must be greater than zero"),
            Some(place) if lists.is_valid(row) && place <= i64::from(lists.value_length(row)) => {
                let first = i64::from(lists.value_offsets()[row]);
                Ok(u64::try_from(first + place - 1).ok())
            }
            Some(_) => Ok(None),
        };
        let items = (0..lists.len()).map(item).collect::<Result<UInt64Array>>()?;
        Ok(ColumnarValue::Array(take(lists.values(), &items, None)?))
    }
}
