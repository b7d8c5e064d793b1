//! From a run to the messages of DoGet: each partition is executed, conformed and encoded in a task of its own on the
//! run's threads, and what is ready goes out.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, SchemaAsIpc};
use cordada_core::{Context, Result};
use cordada_query::{Run, Statement};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
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

/// The schema, and the rows of the run as they come. Dropping the stream ends the run.
pub(crate) fn of_run(run: Run, schema: SchemaRef, compression: Compression) -> Result<Messages, Status> {
    let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
    let mut partitions = JoinSet::new();
    let first = Encoder::new(schema.clone(), compression)
        .map_err(|error| status::of(&error))?
        .schema();
    for number in 0..run.plan().output_partitioning().partition_count() {
        let partition = Partition {
            plan: run.plan().clone(),
            number,
            context: run.context().clone(),
            statement: run.statement().clone(),
        };
        let encoder = Encoder::new(schema.clone(), compression).map_err(|error| status::of(&error))?;
        partitions.spawn_on(partition.send(encoder, sender.clone()), run.threads());
    }
    let execution = Execution {
        receiver,
        partitions,
        run,
        is_over: false,
    };
    Ok(stream::once(async { Ok(first) })
        .chain(stream::unfold(execution, Execution::next))
        .boxed())
}

/// A run whose partitions compute. Dropping it ends their tasks, and with them the run.
struct Execution {
    receiver: mpsc::Receiver<Result<FlightData, Status>>,
    partitions: JoinSet<()>,
    run: Run,
    is_over: bool,
}

impl Execution {
    async fn next(mut self) -> Option<(Result<FlightData, Status>, Self)> {
        if self.is_over {
            return None;
        }
        // Whoever waits is answered even if what computes never comes to its end.
        let message = self.run.statement().interrupt().until_interrupted(self.receiver.recv());
        match message.await {
            Ok(Some(message)) => return Some((message, self)),
            Ok(None) => {}
            Err(ended) => {
                self.is_over = true;
                return Some((Err(status::of(&ended)), self));
            }
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

/// A partition of a plan that computes.
struct Partition {
    plan: Arc<dyn ExecutionPlan>,
    number: usize,
    context: Arc<TaskContext>,
    statement: Arc<Statement>,
}

impl Partition {
    /// Sends its rows, or why there are no more, until nobody listens.
    async fn send(self, encoder: Encoder, to: mpsc::Sender<Result<FlightData, Status>>) {
        let interrupt = self.statement.interrupt();
        let error = match interrupt.until_interrupted(self.send_rows(encoder, &to)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) if !interrupt.is_interrupted() => error,
            // Whatever it failed with, it is what the interruption made of it.
            _ => status::of(&interrupt.error()),
        };
        // Nobody listens any more when it cannot be sent.
        let _ = to.send(Err(error)).await;
    }

    async fn send_rows(
        &self,
        mut encoder: Encoder,
        to: &mpsc::Sender<Result<FlightData, Status>>,
    ) -> Result<(), Status> {
        let rows = self.plan.execute(self.number, self.context.clone());
        let mut rows = rows.map_err(status::of_execution)?;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(status::of_execution)?;
            for part in encoder.split(&batch) {
                let counted = self.statement.count_rows(part.num_rows());
                counted.map_err(|error| status::of(&error))?;
                let message = encoder.conform_and_encode(&part)?;
                let sent = self.statement.until_read(to.send(Ok(message))).await;
                if sent.map_err(|error| status::of(&error))?.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
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
