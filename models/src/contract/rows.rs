//! Rows for tests: in memory, and rows that never come.

use std::sync::Mutex;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::Result;
use cordada_lake::estimator::Rows;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use tokio::sync::oneshot;

/// Rows in memory, in batches of `size`.
pub(crate) struct InMemory {
    pub(crate) batch: RecordBatch,
    pub(crate) size: usize,
}

#[async_trait]
impl Rows for InMemory {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    async fn read(&self) -> Result<SendableRecordBatchStream> {
        let rows = self.batch.num_rows();
        let batches: Vec<_> = (0..rows)
            .step_by(self.size)
            .map(|from| Ok(self.batch.slice(from, self.size.min(rows - from))))
            .collect();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream::iter(batches),
        )))
    }
}

/// The rows in another order.
pub(super) fn shuffled(batch: &RecordBatch) -> RecordBatch {
    let mut order: Vec<i64> = (0..batch.num_rows() as i64).collect();
    order.shuffle(&mut SmallRng::seed_from_u64(9));
    take_record_batch(batch, &Int64Array::from(order)).unwrap()
}

/// Rows that never come, and that tell when nobody waits for them any more.
pub(super) struct StuckRows {
    schema: SchemaRef,
    alive: Mutex<Option<oneshot::Sender<()>>>,
}

impl StuckRows {
    pub(super) fn new(schema: SchemaRef) -> (Self, oneshot::Receiver<()>) {
        let (alive, dropped) = oneshot::channel();
        let alive = Mutex::new(Some(alive));
        (Self { schema, alive }, dropped)
    }
}

#[async_trait]
impl Rows for StuckRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    async fn read(&self) -> Result<SendableRecordBatchStream> {
        let alive = self.alive.lock().unwrap().take();
        let never = stream::pending().inspect(move |_| assert!(alive.is_some()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), never)))
    }
}
