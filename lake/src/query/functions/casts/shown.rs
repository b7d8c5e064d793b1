//! Values as PostgreSQL shows them: what `concat` and its kind put in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::lists::of_any;
use super::{OnFailure, cast_array, is_list};

/// The texts of the values, where a truth value is `t` or `f` and not the `true` of a cast.
///
/// # Errors
/// Execution: there is no text of such values.
pub(in crate::query) fn shown(array: &ArrayRef) -> Result<StringArray> {
    let text = |truth: bool| if truth { "t" } else { "f" };
    match array.data_type() {
        DataType::Boolean => Ok(array.as_boolean().iter().map(|truth| truth.map(text)).collect()),
        _ => {
            let texts = cast_array(array, &DataType::Utf8, OnFailure::Error)?;
            Ok(texts.as_string().clone())
        }
    }
}

/// The texts of the items of lists, those of lists within them among them.
///
/// # Errors
/// Execution: there is no text of such items.
pub(in crate::query) fn shown_items(array: &ArrayRef) -> Result<ListArray> {
    let (_, mut offsets, mut items, nulls) = of_any(array)?.into_parts();
    while is_list(items.data_type()) {
        let (_, within, inner, _) = of_any(&items)?.into_parts();
        let place = |at: &i32| usize::try_from(*at).ok().and_then(|at| within.get(at)).copied();
        let flat = offsets.iter().map(|at| place(at).unwrap_or_default());
        offsets = OffsetBuffer::new(flat.collect::<Vec<_>>().into());
        items = inner;
    }
    let texts = Arc::new(shown(&items)?);
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    Ok(ListArray::try_new(item, offsets, texts, nulls)?)
}

/// What a rule puts around a value that is shown.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shown {
    signature: Signature,
}

/// The function.
pub(in crate::query) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(Shown { signature }))
}

impl ScalarUDFImpl for Shown {
    fn name(&self) -> &str {
        "_shown"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(match value {
            ColumnarValue::Array(values) => ColumnarValue::Array(Arc::new(shown(&values)?)),
            ColumnarValue::Scalar(value) => {
                let texts = shown(&value.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{BooleanBuilder, ListBuilder};

    use super::*;

    #[test]
    fn lists_within_lists_are_flat() {
        let mut lists = ListBuilder::new(ListBuilder::new(BooleanBuilder::new()));
        for list in [
            vec![vec![Some(true), None], vec![Some(false)]],
            vec![],
            vec![vec![None]],
        ] {
            for inner in list {
                lists.values().append_value(inner);
            }
            lists.append(true);
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        let items = shown_items(&lists).unwrap();
        let texts: Vec<_> = items
            .iter()
            .map(|items| items.unwrap().as_string::<i32>().clone())
            .collect();
        assert_eq!(texts[0], StringArray::from(vec![Some("t"), None, Some("f")]));
        assert_eq!(texts[1].len(), 0);
        assert_eq!(texts[2], StringArray::from(vec![None::<&str>]));
    }
}
