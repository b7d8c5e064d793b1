//! `trim_array`: a list without its last items. (PostgreSQL, "Array Functions and Operators".)

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::section;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Trim {
    signature: Signature,
    documentation: Documentation,
}

/// The function.
pub(super) fn function() -> Arc<ScalarUDF> {
    let what = "The list without its last items, so many of them.";
    let documentation = Documentation::builder(section("Lists"), what, "trim_array(list, count)");
    Arc::new(ScalarUDF::from(Trim {
        signature: Signature::user_defined(Volatility::Immutable),
        documentation: documentation.with_sql_example("trim_array([1, 2, 3], 2) = [1]").build(),
    }))
}

impl ScalarUDFImpl for Trim {
    fn name(&self) -> &str {
        "trim_array"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [list, count] = take_function_args(self.name(), given)?;
        let item = match list {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => item.clone(),
            other => return plan_err!("trim_array takes a list, not {other}"),
        };
        match count.is_integer() || count.is_null() {
            true => Ok(vec![DataType::List(item), DataType::Int64]),
            false => plan_err!("trim_array takes a number of items, not {count}"),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let [list, _] = take_function_args(self.name(), given)?;
        Ok(list.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let [lists, counts] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        let (Some(lists), Some(counts)) = (lists.as_list_opt::<i32>(), counts.as_primitive_opt::<Int64Type>()) else {
            return internal_err!("trim_array takes a list and a number");
        };
        let item = match lists.data_type() {
            DataType::List(item) => item.clone(),
            other => return internal_err!("{other} is not a list"),
        };
        let mut kept = Vec::new();
        let mut lengths = Vec::with_capacity(lists.len());
        let mut is_there = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            let found = lists.is_valid(row) && counts.is_valid(row);
            is_there.push(found);
            if !found {
                lengths.push(0);
                continue;
            }
            let length = i64::from(lists.value_length(row));
            let count = counts.value(row);
            if !(0..=length).contains(&count) {
                return exec_err!("number of elements to trim must be between 0 and {length}");
            }
            let first = i64::from(lists.value_offsets()[row]);
            let before = kept.len();
            kept.extend((first..first + length - count).filter_map(|place| u64::try_from(place).ok()));
            lengths.push(kept.len() - before);
        }
        let items = take(lists.values(), &UInt64Array::from(kept), None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let made: ArrayRef = Arc::new(ListArray::try_new(item, offsets, items, Some(is_there.into()))?);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}
