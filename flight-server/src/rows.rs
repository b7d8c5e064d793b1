//! From a plan to the messages of DoGet: each partition is run, conformed and encoded in a task of its own, and
//! what is ready goes out.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, SchemaAsIpc};
use cordada_core::{Context, Result};
use cordada_query::RunningQuery;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;

use crate::options::Compression;
use crate::{status, wire};

/// Bytes of a message, about: clients take 4 MiB (gRPC's default) at least.
const MESSAGE_BYTES: usize = 2 << 20;
/// Rows of a message at most: more than a batch of the engine has, which goes out whole unless its rows are wide.
const MESSAGE_ROWS: usize = 64 << 10;
/// Messages that may wait for the network, for each query: execution stops when they do.
const WAITING_MESSAGES: usize = 4;

/// The messages of one DoGet.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// The schema and the one batch of a metadata answer.
pub(crate) fn of_batch(batch: &RecordBatch, compression: Compression) -> Result<Messages, Status> {
    let mut encoder = Encoder::new(batch.schema(), compression).map_err(|error| status::of(&error))?;
    let mut messages = vec![Ok(encoder.schema())];
    for part in encoder.split(batch) {
        messages.push(encoder.encode(&part));
    }
    Ok(stream::iter(messages).boxed())
}

/// The schema, and the rows of the plan as they come. Dropping the stream stops the query.
pub(crate) fn of_plan(
    plan: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
    schema: SchemaRef,
    compression: Compression,
    query: RunningQuery,
) -> Result<Messages, Status> {
    let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
    let mut partitions = JoinSet::new();
    let first = Encoder::new(schema.clone(), compression)
        .map_err(|error| status::of(&error))?
        .schema();
    for partition in 0..plan.output_partitioning().partition_count() {
        let rows = plan.execute(partition, context.clone()).map_err(status::of_execution)?;
        let encoder = Encoder::new(schema.clone(), compression).map_err(|error| status::of(&error))?;
        let (sender, stop) = (sender.clone(), query.stopped().clone());
        partitions.spawn(async move {
            let ended = stop.run_until_cancelled(send(rows, encoder, &sender)).await;
            let ended = ended.unwrap_or_else(|| Err(Status::cancelled("the query was cancelled")));
            if let Err(error) = ended {
                // Nobody listens any more when it cannot be sent.
                let _ = sender.send(Err(error)).await;
            }
        });
    }
    let running = Execution {
        receiver,
        partitions,
        _query: query,
    };
    Ok(stream::once(async { Ok(first) })
        .chain(stream::unfold(running, Execution::next))
        .boxed())
}

/// A query whose partitions run. Dropping it ends their tasks, and with them the execution.
struct Execution {
    receiver: mpsc::Receiver<Result<FlightData, Status>>,
    partitions: JoinSet<()>,
    _query: RunningQuery,
}

impl Execution {
    async fn next(mut self) -> Option<(Result<FlightData, Status>, Self)> {
        if let Some(message) = self.receiver.recv().await {
            return Some((message, self));
        }
        // All senders are gone: the partitions are done, unless one of them panicked.
        while let Some(ended) = self.partitions.join_next().await {
            if ended.is_err() {
                return Some((
                    Err(Status::internal("the query broke off; the server's log says more")),
                    self,
                ));
            }
        }
        None
    }
}

/// Sends the rows of a partition, until there are none or nobody listens.
async fn send(
    mut rows: SendableRecordBatchStream,
    mut encoder: Encoder,
    to: &mpsc::Sender<Result<FlightData, Status>>,
) -> Result<(), Status> {
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(status::of_execution)?;
        for part in encoder.split(&batch) {
            let message = encoder.conform_and_encode(&part)?;
            if to.send(Ok(message)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Encodes the batches of one stream.
struct Encoder {
    schema: SchemaRef,
    options: IpcWriteOptions,
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    scratch: IpcWriteContext,
}

impl Encoder {
    fn new(schema: SchemaRef, compression: Compression) -> Result<Self> {
        let options = IpcWriteOptions::default().try_with_compression(compression.codec());
        Ok(Self {
            schema,
            options: options.doing(|| "compressing the result")?,
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(false),
            scratch: IpcWriteContext::default(),
        })
    }

    /// The message with the schema.
    fn schema(&self) -> FlightData {
        SchemaAsIpc::new(&self.schema, &self.options).into()
    }

    /// The batch in parts that fit a message. By the bytes that the rows take, not by those of the buffers behind
    /// them: an engine's batch is often a slice of something large.
    fn split(&self, batch: &RecordBatch) -> Vec<RecordBatch> {
        let bytes = |array: &Arc<dyn Array>| array.to_data().get_slice_memory_size().unwrap_or_default();
        let bytes: usize = batch.columns().iter().map(bytes).sum();
        let rows = batch.num_rows();
        let parts = bytes
            .div_ceil(MESSAGE_BYTES)
            .max(rows.div_ceil(MESSAGE_ROWS))
            .clamp(1, rows.max(1));
        if parts == 1 {
            return vec![batch.clone()];
        }
        let length = rows.div_ceil(parts);
        (0..rows)
            .step_by(length)
            .map(|offset| batch.slice(offset, length.min(rows - offset)))
            .collect()
    }

    fn conform_and_encode(&mut self, batch: &RecordBatch) -> Result<FlightData, Status> {
        let doing = || "giving the result its types";
        let batch = wire::conform(batch, &self.schema)
            .doing(doing)
            .map_err(|error| status::of(&error))?;
        self.encode(&batch)
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<FlightData, Status> {
        let encoded = self
            .generator
            .encode(batch, &mut self.dictionaries, &self.options, &mut self.scratch);
        let (_, data) = encoded.map_err(|error| Status::internal(format!("encoding the result: {error}")))?;
        Ok(data.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
