//! Batches on their way from a driver to whoever lands them.

use std::future::Future;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use cordada_core::batches::BATCH_ROWS;
use cordada_core::progress::Task;
use cordada_core::{Error, Result};
use datafusion_common::error::Result as StreamResult;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchReceiverStream;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

/// Batches that wait for their reader, each stream.
const WAITING_BATCHES: usize = 2;
/// Bytes of values with which a batch is full, however few its rows are.
const BATCH_BYTES: usize = 8 << 20;

/// A batch, and of how many bytes it was read.
pub(crate) type ReadBatch = (RecordBatch, u64);

/// Whether so many rows, of so many bytes, are a batch.
#[inline]
pub(crate) fn is_batch(rows: usize, bytes: usize) -> bool {
    rows >= BATCH_ROWS || bytes >= BATCH_BYTES
}

/// What the streams of a session have in common: what is being done, who watches and who may cancel it.
#[derive(Clone)]
pub(crate) struct Feed {
    doing: String,
    task: Arc<dyn Task>,
    cancel: CancellationToken,
}

impl Feed {
    pub(crate) fn new(doing: String, task: Arc<dyn Task>, cancel: CancellationToken) -> Self {
        Self { doing, task, cancel }
    }

    /// For messages: `reading public.sales`.
    pub(crate) fn doing(&self) -> String {
        self.doing.clone()
    }

    /// What `work` comes to, unless it is cancelled before.
    ///
    /// # Errors
    /// Those of the work.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled(self.doing())),
            done = work => done,
        }
    }

    /// The stream of what `read` sends.
    pub(crate) fn stream<F>(self, schema: SchemaRef, read: impl FnOnce(BatchSender) -> F) -> SendableRecordBatchStream
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let mut stream = RecordBatchReceiverStream::builder(schema, WAITING_BATCHES);
        let reading = read(self.sender(stream.tx()));
        stream.spawn(async move { Ok(self.unless_cancelled(reading).await?) });
        stream.build()
    }

    /// The stream of what `read` sends from a thread that it may block.
    pub(crate) fn blocking_stream(
        &self,
        schema: SchemaRef,
        read: impl FnOnce(BatchSender) -> Result<()> + Send + 'static,
    ) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(schema, WAITING_BATCHES);
        let sender = self.sender(stream.tx());
        stream.spawn_blocking(move || Ok(read(sender)?));
        stream.build()
    }

    fn sender(&self, batches: Sender<StreamResult<RecordBatch>>) -> BatchSender {
        let task = self.task.clone();
        BatchSender { batches, task }
    }
}

/// Where batches are sent to.
pub(crate) struct BatchSender {
    batches: Sender<StreamResult<RecordBatch>>,
    task: Arc<dyn Task>,
}

impl BatchSender {
    /// Sends what has been read; false if nobody wants more.
    pub(crate) async fn send(&self, read: Option<ReadBatch>) -> bool {
        match read {
            Some((batch, bytes)) => {
                self.task.advance(bytes);
                self.batches.send(Ok(batch)).await.is_ok()
            }
            None => true,
        }
    }

    /// The same from a thread that may block.
    pub(crate) fn blocking_send(&self, read: Option<ReadBatch>) -> bool {
        match read {
            Some((batch, bytes)) => {
                self.task.advance(bytes);
                self.batches.blocking_send(Ok(batch)).is_ok()
            }
            None => true,
        }
    }
}
