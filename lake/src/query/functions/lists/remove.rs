//! `array_remove`: all items that are the one, or all nulls. The engine's answer to a null is null.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray, UInt64Array, make_comparator};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::section;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Remove {
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
}

/// The function.
pub(in crate::query) fn function() -> Arc<ScalarUDF> {
    let what = "The list without the items that are the value; without its nulls, if that is null.";
    let documentation = Documentation::builder(section("Lists"), what, "array_remove(list, value)");
    Arc::new(ScalarUDF::from(Remove {
        aliases: ["list_remove", "array_remove_all", "list_remove_all"]
            .map(str::to_owned)
            .to_vec(),
        signature: Signature::array_and_element(Volatility::Immutable),
        documentation: documentation
            .with_sql_example("array_remove([1, null, 2, 1], 1) = [null, 2]")
            .build(),
    }))
}

impl ScalarUDFImpl for Remove {
    fn name(&self) -> &str {
        "array_remove"
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

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is that of its list", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [list, _] = take_function_args(self.name(), args.arg_fields)?;
        Ok(Arc::new(list.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let [lists, values] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        let own = lists.data_type().clone();
        let item = match &own {
            DataType::Null => return Ok(ColumnarValue::Scalar(ScalarValue::Null)),
            DataType::List(item) | DataType::LargeList(item) => item.clone(),
            other => return plan_err!("{} takes a list, not {other}", self.name()),
        };
        let (_, offsets, items, nulls) = cast(&lists, &DataType::List(item.clone()))?
            .as_list::<i32>()
            .clone()
            .into_parts();
        let values = cast(&values, item.data_type())?;
        let compare = make_comparator(items.as_ref(), values.as_ref(), SortOptions::default())?;
        let mut kept = Vec::with_capacity(items.len());
        let mut lengths = Vec::with_capacity(lists.len());
        for (row, bounds) in offsets.windows(2).enumerate() {
            let before = kept.len();
            let is_there = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            if let ([start, end], true) = (bounds, is_there) {
                let places = (*start..*end).filter_map(|place| usize::try_from(place).ok());
                kept.extend(places.filter(|place| compare(*place, row) != Ordering::Equal));
            }
            lengths.push(kept.len() - before);
        }
        let kept: UInt64Array = kept.into_iter().map(|place| place as u64).collect();
        let items = take(&items, &kept, None)?;
        let made = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), items, nulls)?;
        let made = cast(&made, &own)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}
