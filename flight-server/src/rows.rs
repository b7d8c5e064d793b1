//! From a run to the messages of DoGet: each partition is executed, conformed and encoded in a task of its own on the
//! run's threads, and what is ready goes out.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::Bytes;
use cordada_core::{Context, Result};
use cordada_query::{Computes, Run, Statement};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;

use crate::message::Message;
use crate::options::Compression;
use crate::{status, wire};

/// Bytes of a message, about: clients take 4 MiB (gRPC's default) at least.
const MESSAGE_BYTES: usize = 2 << 20;
/// Rows of a message at most: more than a batch of the engine has, which goes out whole unless its rows are wide.
const MESSAGE_ROWS: usize = 64 << 10;
/// Messages that may wait for the network, for each query: execution stops when they do.
const WAITING_MESSAGES: usize = 4;

/// The messages of one DoGet.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// The schema and the one batch of a metadata answer.
pub(crate) fn of_batch(batch: &RecordBatch, compression: Compression) -> Result<Messages, Status> {
    let (mut encoder, schema) = Encoder::new(batch.schema(), compression)?;
    let mut messages = vec![Ok(schema)];
    for part in encoder.split(batch) {
        messages.push(encoder.encode(&part));
    }
    Ok(stream::iter(messages).boxed())
}

/// The schema, and the rows of the run as they come. Dropping the stream ends the run.
pub(crate) fn of_run(run: Run, schema: SchemaRef, compression: Compression) -> Result<Messages, Status> {
    let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
    let mut partitions = JoinSet::new();
    let (_, first) = Encoder::new(schema.clone(), compression)?;
    let of_plan = 0..run.plan().output_partitioning().partition_count();
    // All compute from now on: it is not over when the first of them is.
    let all: Vec<_> = of_plan.map(|number| (number, run.statement().computes())).collect();
    for (number, computes) in all {
        let partition = Partition {
            plan: run.plan().clone(),
            number,
            context: run.context().clone(),
            statement: run.statement().clone(),
            _computes: computes,
        };
        let (encoder, _) = Encoder::new(schema.clone(), compression)?;
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
    receiver: mpsc::Receiver<Result<Message, Status>>,
    partitions: JoinSet<()>,
    run: Run,
    is_over: bool,
}

impl Execution {
    async fn next(mut self) -> Option<(Result<Message, Status>, Self)> {
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
    _computes: Computes,
}

impl Partition {
    /// Sends its rows, or why there are no more, until nobody listens.
    async fn send(self, encoder: Encoder, to: mpsc::Sender<Result<Message, Status>>) {
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

    async fn send_rows(&self, mut encoder: Encoder, to: &mpsc::Sender<Result<Message, Status>>) -> Result<(), Status> {
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
    encoder: StreamEncoder,
}

impl Encoder {
    /// One for batches of that schema, and the message with the schema.
    fn new(schema: SchemaRef, compression: Compression) -> Result<(Self, Message), Status> {
        let options = IpcWriteOptions::default().try_with_compression(compression.codec());
        let options = options.map_err(not_encoded)?;
        let told: FlightData = SchemaAsIpc::new(&schema, &options).into();
        let mut encoder = StreamEncoder::try_new_with_options(&schema, options).map_err(not_encoded)?;
        // What it gives first has the schema too.
        let empty = RecordBatch::new_empty(schema.clone());
        encoder.encode(&empty).map_err(not_encoded)?;
        Ok((Self { schema, encoder }, Message::new(&told.data_header, [], 0)))
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

    fn conform_and_encode(&mut self, batch: &RecordBatch) -> Result<Message, Status> {
        let doing = || "giving the result its types";
        let batch = wire::conform(batch, &self.schema)
            .doing(doing)
            .map_err(|error| status::of(&error))?;
        self.encode(&batch)
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<Message, Status> {
        let pieces = self.encoder.encode(batch).map_err(not_encoded)?;
        message(pieces, batch.num_rows() as u64)
    }
}

/// A message as a stream of Arrow has it: after a mark and the length of its header that header, with what fills it up, and
/// then its body.
fn message(pieces: Vec<Buffer>, rows: u64) -> Result<Message, Status> {
    let mut pieces = pieces.into_iter();
    let length = pieces.next().and_then(|mark| mark.get(4..8)?.try_into().ok());
    let (Some(length), Some(header)) = (length, pieces.next()) else {
        return Err(Status::internal("encoding the result: a message has no header"));
    };
    let mut padding = (u32::from_le_bytes(length) as usize).saturating_sub(header.len());
    let body = pieces.filter_map(|piece| {
        let of_header = padding.min(piece.len());
        padding -= of_header;
        let body = piece.slice(of_header);
        (!body.is_empty()).then(|| Bytes::from_owner(Piece(body)))
    });
    Ok(Message::new(&header, body, rows))
}

/// A piece of a message that is a part of a column.
struct Piece(Buffer);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn not_encoded(error: ArrowError) -> Status {
    Status::internal(format!("encoding the result: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
