//! Rows without a key, which a disposition that goes by keys would take for one and the same: they are rejected.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Result};
use cordada_ingest_source::contract::Breach;
use cordada_ingest_source::provenance::DELETED;

/// The rows that have a value in every column of `key`, and those that have not.
///
/// A row that says that one is gone needs none: without a key it is about a row without one, which landed before such
/// rows were rejected.
pub(crate) fn keyed(batch: RecordBatch, key: &[String]) -> Result<(RecordBatch, Vec<Breach>)> {
    let is_complete = |name: &String| {
        batch
            .column_by_name(name)
            .is_some_and(|column| column.logical_null_count() == 0)
    };
    if key.iter().all(is_complete) {
        return Ok((batch, Vec::new()));
    }
    let gone = batch.column_by_name(DELETED).and_then(|gone| gone.as_boolean_opt());
    let missing = |row: usize| {
        if gone.is_some_and(|gone| gone.is_valid(row) && gone.value(row)) {
            return None;
        }
        key.iter()
            .find(|name| batch.column_by_name(name).is_none_or(|column| is_null(column, row)))
    };
    let breaches = (0..batch.num_rows()).filter_map(|row| {
        let name = missing(row)?;
        let reason = format!("{name}: the key has no value");
        Some(Breach { row, reason })
    });
    let breaches: Vec<_> = breaches.collect();
    let mut keyed = vec![true; batch.num_rows()];
    breaches.iter().for_each(|breach| keyed[breach.row] = false);
    let kept = filter_record_batch(&batch, &BooleanArray::from(keyed)).doing(|| "looking for rows without a key")?;
    Ok((kept, breaches))
}

/// Whether there is no value; a column that has none at all is one of nulls.
fn is_null(column: &ArrayRef, row: usize) -> bool {
    column.is_null(row) || *column.data_type() == DataType::Null
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn a_row_needs_its_whole_key() {
        let column = |values: [Option<i64>; 4]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("a", column([Some(1), None, Some(3), None]), true),
            ("b", column([Some(1), Some(2), None, None]), true),
            (
                DELETED,
                Arc::new(BooleanArray::from(vec![None, Some(false), None, Some(true)])) as ArrayRef,
                true,
            ),
        ])
        .unwrap();
        let key = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (kept, breaches) = keyed(batch.clone(), &key(&["a", "b"])).unwrap();
        let breaches: Vec<_> = breaches
            .iter()
            .map(|breach| (breach.row, breach.reason.as_str()))
            .collect();
        assert_eq!(
            breaches,
            [(1, "a: the key has no value"), (2, "b: the key has no value")]
        );
        assert_eq!(kept.num_rows(), 2);
        assert_eq!(keyed(batch.clone(), &[]).unwrap().0.num_rows(), 4);
        assert_eq!(keyed(batch, &key(&["c"])).unwrap().1.len(), 3);
    }
}
