//! A part of the records, the same in whatever order and batches they come: those whose keys have the least hashes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;

use super::hash;

/// Keeps about `most` records of all that are added, and never more than twice as many.
#[derive(Debug)]
pub(super) struct Sample {
    most: usize,
    /// The greatest hash that may still be among the least.
    limit: u64,
    kept: Vec<(RecordBatch, Vec<u64>)>,
    count: usize,
}

impl Sample {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            limit: u64::MAX,
            kept: Vec::new(),
            count: 0,
        }
    }

    /// Adds records, with their keys. Of the columns, those at `positions` are kept.
    pub(super) fn add(
        &mut self,
        batch: &RecordBatch,
        keys: &StringArray,
        positions: &[usize],
    ) -> Result<(), ArrowError> {
        // A record without a key is an error that whoever reads it will find.
        let hashes = keys
            .iter()
            .map(|key| key.map_or(0, |key| hash::of_bytes(key.as_bytes())));
        let (batch, hashes) = below(self.limit, batch, &hashes.collect::<Vec<_>>())?;
        if !hashes.is_empty() {
            self.count += hashes.len();
            self.kept.push((only(&batch, positions)?, hashes));
        }
        if self.count > 2 * self.most {
            self.shrink()
        } else {
            Ok(())
        }
    }

    /// The records that are kept.
    pub(super) fn finish(mut self) -> Result<Vec<RecordBatch>, ArrowError> {
        if self.count > self.most {
            self.shrink()?;
        }
        Ok(self.kept.into_iter().map(|(batch, _)| batch).collect())
    }

    fn shrink(&mut self) -> Result<(), ArrowError> {
        let mut hashes: Vec<u64> = self.kept.iter().flat_map(|(_, hashes)| hashes).copied().collect();
        self.limit = *hashes.select_nth_unstable(self.most - 1).1;
        let kept = self.kept.drain(..);
        let kept = kept.map(|(batch, hashes)| below(self.limit, &batch, &hashes));
        self.kept = kept.collect::<Result<_, _>>()?;
        self.count = self.kept.iter().map(|(_, hashes)| hashes.len()).sum();
        Ok(())
    }
}

fn below(limit: u64, batch: &RecordBatch, hashes: &[u64]) -> Result<(RecordBatch, Vec<u64>), ArrowError> {
    let are_below: BooleanArray = hashes.iter().map(|hash| Some(*hash <= limit)).collect();
    let batch = filter_record_batch(batch, &are_below)?;
    Ok((batch, hashes.iter().copied().filter(|hash| *hash <= limit).collect()))
}

/// The batch with these columns alone, where they were. Views are copied, because they keep all of what they are cut from.
fn only(batch: &RecordBatch, positions: &[usize]) -> Result<RecordBatch, ArrowError> {
    let of = |(at, column): (usize, &ArrayRef)| match column.data_type() {
        _ if !positions.contains(&at) => Ok(new_null_array(&DataType::Null, column.len())),
        DataType::Utf8View => cast(column, &DataType::Utf8),
        _ => Ok(Arc::clone(column)),
    };
    let columns: Vec<ArrayRef> = batch.columns().iter().enumerate().map(of).collect::<Result<_, _>>()?;
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use std::collections::BTreeSet;

    fn kept(keys: &[String], size: usize, most: usize) -> BTreeSet<String> {
        let mut sample = Sample::new(most);
        for keys in keys.chunks(size) {
            let keys = Arc::new(StringArray::from_iter_values(keys));
            let columns = [
                ("key", Arc::clone(&keys) as ArrayRef),
                ("other", Arc::clone(&keys) as ArrayRef),
            ];
            sample
                .add(&RecordBatch::try_from_iter(columns).unwrap(), &keys, &[0])
                .unwrap();
            assert!(sample.count <= 2 * most);
        }
        let batches = sample.finish().unwrap();
        assert!(
            batches
                .iter()
                .all(|batch| batch["other"].data_type() == &DataType::Null)
        );
        let keys = |batch: &RecordBatch| {
            batch["key"]
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned)
                .collect()
        };
        batches
            .iter()
            .flat_map(|batch| -> Vec<String> { keys(batch) })
            .collect()
    }

    #[test]
    fn order_and_batches_choose_the_same() {
        let keys: Vec<String> = (0..5_000).map(|key| format!("r{key}")).collect();
        let mut others = keys.clone();
        others.reverse();
        let some = kept(&keys, 100, 300);
        assert_eq!(some.len(), 300);
        assert_eq!(some, kept(&others, 7, 300));
        assert_eq!(kept(&keys, 1_000, 10_000).len(), 5_000, "all, if they are few");
    }
}
