//! How many bytes the values of a client take once each of them stands for itself. A dictionary, a run, a view or a null
//! says with a byte or less what may be millions of bytes, and there is no way back from memory that is not there.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RunArray};
use arrow::datatypes::{
    ArrowNativeType, BinaryViewType, ByteViewType, DataType, Int16Type, Int32Type, Int64Type, RunEndIndexType,
    StringViewType,
};

/// Bytes of a value that has none of its own, such as a null, in most other types.
const SMALLEST: usize = 8;
/// Keys of a dictionary that are looked at together.
const KEYS: usize = 64 << 10;

/// Bytes of the batch, about.
pub(crate) fn bytes(batch: &RecordBatch) -> usize {
    sum(batch.columns().iter().map(|column| of(column)))
}

fn of(array: &dyn Array) -> usize {
    use DataType as T;
    let rows = array.len();
    match array.data_type() {
        T::Dictionary(..) => of_dictionary(array),
        T::RunEndEncoded(ends, _) => match ends.data_type() {
            T::Int16 => of_runs(array.as_run::<Int16Type>()),
            T::Int32 => of_runs(array.as_run::<Int32Type>()),
            _ => of_runs(array.as_run::<Int64Type>()),
        },
        T::Union(..) => sum((0..rows).map(|row| of(&array.as_union().value(row)))),
        T::Utf8View => of_views::<StringViewType>(array),
        T::BinaryView => of_views::<BinaryViewType>(array),
        T::Struct(_) => sum(array.as_struct().columns().iter().map(|column| of(column))).max(least(rows)),
        T::List(_) => least(rows).saturating_add(of(array.as_list::<i32>().values())),
        T::LargeList(_) => least(rows).saturating_add(of(array.as_list::<i64>().values())),
        T::ListView(_) => of_list_views(
            array.as_list_view::<i32>().values(),
            array.as_list_view::<i32>().sizes(),
        ),
        T::LargeListView(_) => of_list_views(
            array.as_list_view::<i64>().values(),
            array.as_list_view::<i64>().sizes(),
        ),
        T::FixedSizeList(..) => least(rows).saturating_add(of(array.as_fixed_size_list().values())),
        T::Map(..) => least(rows).saturating_add(of(array.as_map().entries())),
        T::Null | T::FixedSizeBinary(0) => least(rows),
        _ => array.to_data().get_slice_memory_size().unwrap_or(usize::MAX),
    }
}

fn of_dictionary(array: &dyn Array) -> usize {
    let values = array.as_any_dictionary().values();
    let each = each(values);
    let parts = (0..array.len()).step_by(KEYS);
    let parts = parts.map(|start| array.slice(start, KEYS.min(array.len() - start)));
    sum(parts.map(|part| match each.is_empty() {
        true => least(part.len()),
        false => {
            let keys = part.as_any_dictionary().normalized_keys();
            sum(keys.into_iter().map(|key| each.get(key).copied().unwrap_or_default()))
        }
    }))
}

fn of_runs<R: RunEndIndexType>(runs: &RunArray<R>) -> usize {
    let ends = runs.run_ends();
    let (first, last) = (ends.offset(), ends.offset() + ends.len());
    let each = each(runs.values());
    let mut start = first;
    sum(ends.values().iter().zip(each).map(|(end, bytes)| {
        let end = end.as_usize().clamp(first, last);
        let rows = end.saturating_sub(std::mem::replace(&mut start, end));
        rows.saturating_mul(bytes)
    }))
}

fn of_views<T: ByteViewType>(array: &dyn Array) -> usize {
    let lengths = array.as_byte_view::<T>().lengths().enumerate();
    let lengths = lengths.filter(|(row, _)| array.is_valid(*row));
    sum(lengths.map(|(_, length)| length as usize)).saturating_add(least(array.len()))
}

/// Several may be views of the same values.
fn of_list_views<O: ArrowNativeType>(values: &ArrayRef, sizes: &[O]) -> usize {
    let largest = each(values).into_iter().max().unwrap_or_default();
    sum(sizes.iter().map(|size| size.as_usize().saturating_mul(largest))).saturating_add(least(sizes.len()))
}

/// Bytes of each of these values.
fn each(values: &ArrayRef) -> Vec<usize> {
    (0..values.len())
        .map(|row| of(&values.slice(row, 1)).max(SMALLEST))
        .collect()
}

fn least(rows: usize) -> usize {
    rows.saturating_mul(SMALLEST)
}

fn sum(all: impl Iterator<Item = usize>) -> usize {
    all.fold(0, usize::saturating_add)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        DictionaryArray, Int8Array, Int64Array, ListArray, NullArray, StringArray, StringViewArray, StructArray,
    };
    use arrow::datatypes::Int8Type;

    use super::*;

    const LONG: usize = 1000;

    fn text() -> String {
        "x".repeat(LONG)
    }

    #[test]
    fn what_says_much_with_few_bytes_is_as_large_as_what_it_says() {
        let words = DictionaryArray::new(
            Int8Array::from(vec![0; 5000]),
            Arc::new(StringArray::from(vec![text()])),
        );
        let rows = 1_usize << 40;
        let runs = RunArray::try_new(&Int64Array::from(vec![1 << 40]), &Int64Array::from(vec![7])).unwrap();
        let part = runs.slice(10, 100);
        let mut views = StringViewArray::from(vec![text()]);
        let view = views.views()[0];
        views = StringViewArray::try_new(vec![view; 5000].into(), views.data_buffers().to_vec(), None).unwrap();
        let nested = ListArray::from_iter_primitive::<Int8Type, _, _>(vec![Some(vec![Some(1); LONG]), None]);
        let structs = StructArray::try_from(vec![("a", Arc::new(words.clone()) as ArrayRef)]).unwrap();
        let cases: [(&dyn Array, usize); 7] = [
            (&words, 5000 * LONG),
            (&runs, rows * SMALLEST),
            (&part, 100 * SMALLEST),
            (&NullArray::new(rows), rows * SMALLEST),
            (&views, 5000 * LONG),
            (&nested, LONG),
            (&structs, 5000 * LONG),
        ];
        for (array, least) in cases {
            let bytes = of(array);
            assert!(
                bytes >= least && bytes < 2 * least,
                "{}: {bytes}, not {least}",
                array.data_type()
            );
        }
    }

    #[test]
    fn what_is_there_is_as_large_as_it_is() {
        let numbers = Int64Array::from_iter_values(0..1000);
        assert_eq!(of(&numbers), 8000);
        assert_eq!(of(&numbers.slice(5, 10)), 80);
        let flags = arrow::array::BooleanArray::from(vec![true; 8000]);
        assert_eq!(of(&flags), 1000);
    }
}
