//! Text and bytes of the engine as every client takes them: the values one after the other. Arrow's cast appends them to a
//! builder one by one, and takes twice as long; of a large answer with text it was the largest part.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, GenericByteViewArray, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{BinaryViewType, ByteViewType, StringViewType};
use arrow::error::ArrowError;

/// The longest value that is in its view; of a longer one the view says where it is.
const IN_VIEW: usize = 12;

/// What values that stand one after the other are made of.
type Parts = (OffsetBuffer<i32>, Buffer, Option<NullBuffer>);

/// The array as `Utf8` if it is `Utf8View`, as `Binary` if it is `BinaryView`; `None` if it is neither, or too long for
/// these.
///
/// # Errors
/// The array is not sound.
pub(crate) fn plain(array: &dyn Array) -> Result<Option<ArrayRef>, ArrowError> {
    let array = array.as_any();
    if let Some(texts) = array.downcast_ref::<GenericByteViewArray<StringViewType>>() {
        let Some((offsets, values, nulls)) = parts(texts)? else {
            return Ok(None);
        };
        return Ok(Some(Arc::new(StringArray::try_new(offsets, values, nulls)?)));
    }
    if let Some(bytes) = array.downcast_ref::<GenericByteViewArray<BinaryViewType>>() {
        let Some((offsets, values, nulls)) = parts(bytes)? else {
            return Ok(None);
        };
        return Ok(Some(Arc::new(BinaryArray::try_new(offsets, values, nulls)?)));
    }
    Ok(None)
}

fn parts<T: ByteViewType>(array: &GenericByteViewArray<T>) -> Result<Option<Parts>, ArrowError> {
    let (views, buffers, nulls) = (array.views(), array.data_buffers(), array.nulls());
    let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
    // A view begins with the length of its value.
    let length = |view: &u128| *view as u32 as usize;
    let all = views.iter().enumerate().filter(|(row, _)| !is_null(*row));
    let bytes: usize = all.map(|(_, view)| length(view)).sum();
    if i32::try_from(bytes).is_err() {
        return Ok(None);
    }
    let unsound = || ArrowError::InvalidArgumentError("a view is of what is not there".to_owned());
    let mut values: Vec<u8> = Vec::with_capacity(bytes + IN_VIEW);
    let mut offsets: Vec<i32> = Vec::with_capacity(views.len() + 1);
    offsets.push(0);
    for (row, view) in views.iter().enumerate() {
        if !is_null(row) {
            let (start, length) = (values.len(), length(view));
            if length <= IN_VIEW {
                // As many bytes for every value: it is faster to cut off what is too much.
                values.extend_from_slice(&view.to_le_bytes()[size_of::<u32>()..]);
                values.truncate(start + length);
            } else {
                let (buffer, offset) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
                let value = buffers
                    .get(buffer)
                    .and_then(|buffer| buffer.get(offset..offset + length));
                values.extend_from_slice(value.ok_or_else(unsound)?);
            }
        }
        // It fits: all of them together do.
        offsets.push(values.len() as i32);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Some((offsets, Buffer::from_vec(values), nulls.cloned())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{BinaryViewArray, Int32Array, StringViewArray};
    use arrow::compute::cast;
    use arrow::datatypes::DataType;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_are_those_of_a_cast(
            values in prop::collection::vec(prop::option::of(".{0,20}"), 0..50),
            skip in 0usize..10,
        ) {
            let skip = skip.min(values.len());
            let texts: StringViewArray = values.iter().map(Option::as_deref).collect();
            let texts = texts.slice(skip, values.len() - skip);
            prop_assert_eq!(&plain(&texts).unwrap().unwrap(), &cast(&texts, &DataType::Utf8).unwrap());
            let bytes: BinaryViewArray = values.iter().map(|value| value.as_ref().map(String::as_bytes)).collect();
            let bytes = bytes.slice(skip, values.len() - skip);
            prop_assert_eq!(&plain(&bytes).unwrap().unwrap(), &cast(&bytes, &DataType::Binary).unwrap());
        }
    }

    #[test]
    fn other_arrays_are_left_to_others() {
        assert!(plain(&Int32Array::from(vec![1])).unwrap().is_none());
    }
}
