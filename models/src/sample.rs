//! A bounded sample of rows that does not depend on their order.

use std::collections::BinaryHeap;

use arrow::array::RecordBatch;
use cordada_core::{Context, Result};
use datafusion::common::hash_utils::{QualityRandomState, create_hashes};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use crate::features::{Features, Matrix};

/// Reads the features at `positions` of at most `limit` rows, in ascending order of their numbers.
///
/// Rows with a feature that is null, infinite or not a number are left out. When there are more than `limit`
/// rows, those with the smallest hash of all their columns are kept (a bottom-k sketch): a uniform sample that
/// is the same in whatever order and batches the rows arrive. Memory: `limit` × (features + 2) × 8 bytes.
pub(crate) async fn sample(
    mut rows: SendableRecordBatchStream,
    positions: &[usize],
    limit: usize,
    seed: u64,
) -> Result<Matrix> {
    let mut sample = Sample::new(positions.len(), limit);
    let state = QualityRandomState::with_seed(seed);
    while let Some(batch) = rows.try_next().await.doing(|| "reading the rows to fit on")? {
        sample.add(&batch, positions, &state)?;
    }
    Ok(sample.into_sorted())
}

struct Sample {
    limit: usize,
    kept: Matrix,
    /// Hash and position in `kept`, the largest hash on top.
    hashes: BinaryHeap<(u64, usize)>,
}

impl Sample {
    fn new(columns: usize, limit: usize) -> Self {
        Self {
            limit,
            kept: Matrix::new(columns),
            hashes: BinaryHeap::new(),
        }
    }

    fn add(&mut self, batch: &RecordBatch, positions: &[usize], state: &QualityRandomState) -> Result<()> {
        let features = Features::of(batch, positions)?;
        let mut hashes = vec![0; batch.num_rows()];
        create_hashes(batch.columns(), state, &mut hashes).doing(|| "sampling the rows to fit on")?;
        let mut row = vec![0.0; positions.len()];
        for (at, &hash) in hashes.iter().enumerate() {
            if !features.read(at, &mut row) {
                continue;
            }
            if self.hashes.len() < self.limit {
                self.hashes.push((hash, self.kept.len()));
                self.kept.push(&row);
            } else if let Some(mut largest) = self.hashes.peek_mut()
                && hash < largest.0
            {
                self.kept.row_mut(largest.1).copy_from_slice(&row);
                largest.0 = hash;
            }
        }
        Ok(())
    }

    fn into_sorted(self) -> Matrix {
        let compare = |a: &&[f64], b: &&[f64]| {
            a.iter()
                .zip(*b)
                .map(|(a, b)| a.total_cmp(b))
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        };
        let mut rows: Vec<&[f64]> = self.kept.rows().collect();
        rows.sort_unstable_by(compare);
        let mut sorted = Matrix::new(self.kept.columns());
        for row in rows {
            sorted.push(row);
        }
        sorted
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;

    fn batch(values: impl Iterator<Item = u32> + Clone) -> RecordBatch {
        let names: StringArray = values.clone().map(|value| Some(format!("customer {value}"))).collect();
        let numbers: Float64Array = values.map(|value| Some(f64::from(value))).collect();
        RecordBatch::try_from_iter([("id", Arc::new(names) as ArrayRef), ("x", Arc::new(numbers))]).unwrap()
    }

    fn sample_of(batches: &[RecordBatch], limit: usize) -> Matrix {
        let mut sample = Sample::new(1, limit);
        for batch in batches {
            sample.add(batch, &[1], &QualityRandomState::with_seed(7)).unwrap();
        }
        sample.into_sorted()
    }

    #[test]
    fn few_rows_are_all_kept_in_order() {
        let sample = sample_of(&[batch((0..5).rev())], 10);
        assert_eq!(sample.into_values(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn the_sample_does_not_depend_on_the_order_of_the_rows() {
        let forwards = sample_of(&[batch(0..4000), batch(4000..10_000)], 500);
        let backwards = sample_of(&[batch((2500..10_000).rev()), batch((0..2500).rev())], 500);
        assert_eq!(forwards.len(), 500);
        assert_eq!(forwards, backwards);
        // The mean of a uniform sample of 500 has a standard error of 129.
        let mean = forwards.into_values().iter().sum::<f64>() / 500.0;
        assert!((mean - 5000.0).abs() < 500.0, "{mean}");
    }
}
