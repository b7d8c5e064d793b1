//! A hash of a row's content that lasts: the same for the same values whatever the release of this program, of Arrow
//! or of Parquet, because it is kept in tables and compared with what comes years later.
//!
//! It is the first half of the SHA-256 of the row's columns that are not null, by name: each as the length of its name
//! (32 bits, little endian), the name, the length of its value (the same) and the value. A value is its
//! canonical text ([`cordada_core::spelling`]) in UTF-8. Bytes are themselves. A struct is
//! like a row; a list is its values, each as a byte, 0 if it is null and else 1, a length and the value; a map is a
//! list of its keys and values by turns. So a column that is null everywhere, and one that becomes wider, from an
//! integer to a decimal, change no hash.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use cordada_core::Result;
use cordada_core::spelling::{Writer, canonical};
use sha2::{Digest, Sha256};

/// The hash of each row, over the columns of these names, of which those that the batch lacks count as null.
pub(crate) fn row_hashes(batch: &RecordBatch, columns: &[String]) -> Result<Vec<u128>> {
    let columns = columns
        .iter()
        .filter_map(|name| Some((name.as_str(), batch.column_by_name(name)?.as_ref())));
    let append = appender_of_fields(columns)?;
    let mut bytes = Vec::new();
    let hashes = (0..batch.num_rows()).map(|row| {
        bytes.clear();
        append(row, &mut bytes);
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        digest[..16].iter().fold(0, |hash, byte| hash << 8 | u128::from(*byte))
    });
    Ok(hashes.collect())
}

/// The hash as it is kept: 32 hexadecimal digits.
pub(crate) fn to_text(hash: u128) -> String {
    format!("{hash:032x}")
}

fn appender_of_fields<'a>(columns: impl Iterator<Item = (&'a str, &'a dyn Array)>) -> Result<Writer<'a>> {
    let mut columns: Vec<_> = columns.collect();
    columns.sort_by_key(|(name, _)| *name);
    let columns = columns
        .into_iter()
        .map(|(name, array)| Ok((name, array, appender(array)?)));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |row, bytes| {
        for (name, array, append) in &columns {
            if array.is_valid(row) {
                with_length(bytes, |bytes| bytes.extend_from_slice(name.as_bytes()));
                with_length(bytes, |bytes| append(row, bytes));
            }
        }
    }))
}

fn appender(array: &dyn Array) -> Result<Writer<'_>> {
    Ok(match array.data_type() {
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Box::new(move |row, bytes| bytes.extend_from_slice(values.value(row)))
        }
        DataType::Struct(_) => {
            let values = array.as_struct();
            let names = values.column_names().into_iter();
            appender_of_fields(names.zip(values.columns().iter().map(AsRef::as_ref)))?
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let values = list.values().as_ref();
            let append = appender(values)?;
            Box::new(move |row, bytes| {
                for item in range(list.value_offsets(), row) {
                    append_item(values, &append, item, bytes);
                }
            })
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (keys, values) = (map.keys().as_ref(), map.values().as_ref());
            let (append_key, append_value) = (appender(keys)?, appender(values)?);
            Box::new(move |row, bytes| {
                for item in range(map.value_offsets(), row) {
                    append_item(keys, &append_key, item, bytes);
                    append_item(values, &append_value, item, bytes);
                }
            })
        }
        _ => canonical(array)?,
    })
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

fn append_item(values: &dyn Array, append: &Writer<'_>, item: usize, bytes: &mut Vec<u8>) {
    if values.is_null(item) {
        bytes.push(0);
    } else {
        bytes.push(1);
        with_length(bytes, |bytes| append(item, bytes));
    }
}

/// What `append` appends, after its length.
fn with_length(bytes: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    append(bytes);
    // Arrow's own values are shorter than 2 GiB.
    let length = (bytes.len() - start - 4) as u32;
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::Int32Type;

    use super::*;

    fn hash(columns: Vec<(&str, ArrayRef)>) -> String {
        let names: Vec<_> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        to_text(row_hashes(&batch, &names).unwrap()[0])
    }

    fn text(value: &str) -> ArrayRef {
        Arc::new(StringArray::from(vec![value]))
    }

    /// What Python's `hashlib` says of the same bytes: tables keep these hashes, so this test must never change.
    #[test]
    fn a_hash_is_the_same_for_ever() {
        let day: ArrayRef = Arc::new(Date32Array::from(vec![19_000]));
        let amount: ArrayRef = Arc::new(
            Decimal128Array::from(vec![-1250])
                .with_precision_and_scale(9, 2)
                .unwrap(),
        );
        let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500_000_000_120_000]).with_timezone("UTC"));
        let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([
            Some(7),
            None,
        ])]));
        let row = vec![
            ("name", text("Ana")),
            ("day", day),
            ("amount", amount),
            ("at", at),
            ("flag", flag),
            ("list", list),
        ];
        assert_eq!(hash(row), "4c6dba98390b4dac5ad90dff1788a4aa");
    }

    #[test]
    fn order_nulls_and_wider_types_change_nothing() {
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let wide: ArrayRef = Arc::new(Decimal128Array::from(vec![100]).with_precision_and_scale(9, 2).unwrap());
        let float: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        let null: ArrayRef = Arc::new(Int32Array::from(vec![None]));
        let expected = hash(vec![("a", one.clone()), ("b", text("x"))]);
        for same in [
            vec![("b", text("x")), ("a", one)],
            vec![("a", wide), ("b", text("x"))],
            vec![("a", float), ("c", null), ("b", text("x"))],
            vec![("a", text("1")), ("b", text("x"))],
        ] {
            assert_eq!(hash(same), expected);
        }
        for other in [
            vec![("a", text("x")), ("b", text("1"))],
            vec![("a", text("1b")), ("b", text("x"))],
            vec![("b", text("x"))],
        ] {
            assert_ne!(hash(other), expected);
        }
    }
}
