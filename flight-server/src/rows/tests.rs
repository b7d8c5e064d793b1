use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::decode::FlightRecordBatchStream;
use cordada_query::auth::Principal;
use cordada_query::{Executor, Request, ServerLimits};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use tokio::sync::watch;
use tonic::Code;

use super::*;

/// What happens when a partition comes to its `nth` batch.
#[derive(Debug, Clone, Copy)]
enum End {
    Never,
    Fails(usize),
    Panics(usize),
}

/// A partition of numbers that knows how many batches it made and how many of its streams are alive.
#[derive(Debug)]
struct Numbers {
    schema: SchemaRef,
    end: End,
    made: Arc<AtomicUsize>,
    alive: watch::Sender<usize>,
}

/// A stream that is alive until it is dropped.
struct Alive(watch::Sender<usize>);

impl Alive {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|alive| *alive += 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

impl PartitionStream for Numbers {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, made, end) = (self.schema.clone(), self.made.clone(), self.end);
        let state = (0, Alive::new(&self.alive));
        let batches = stream::unfold(state, move |(nth, alive)| {
            let batch = match end {
                End::Fails(at) if at == nth => Err(DataFusionError::Execution("division by zero".to_owned())),
                End::Panics(at) if at == nth => panic!("a bug of the engine"),
                _ => {
                    made.fetch_add(1, Ordering::SeqCst);
                    let numbers = Int64Array::from_iter_values(0..1000);
                    Ok(RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers)]).unwrap())
                }
            };
            async move { Some((batch, (nth + 1, alive))) }
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}

struct Run {
    messages: Messages,
    executor: Executor,
    made: Arc<AtomicUsize>,
    alive: watch::Receiver<usize>,
}

/// Runs partitions that end like this.
async fn run(ends: &[End]) -> Run {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let (made, alive) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(0));
    let partitions = ends.iter().map(|end| {
        let (schema, made, alive) = (schema.clone(), made.clone(), alive.clone());
        Arc::new(Numbers {
            schema,
            end: *end,
            made,
            alive,
        }) as Arc<dyn PartitionStream>
    });
    let partitions = partitions.collect();
    let table = StreamingTable::try_new(schema, partitions).unwrap();
    let session = SessionContext::new();
    session.register_table("numbers", Arc::new(table)).unwrap();
    let plan = session
        .sql("select n from numbers")
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let executor = Executor::new(2, 1 << 30, &ServerLimits::default(), &BTreeMap::new()).unwrap();
    let told = wire::schema(&plan.schema(), wire::Types::default());
    let principal = Principal::anonymous();
    let request = Request {
        id: "q",
        principal: &principal,
        session: None,
        connection: None,
        sql: "select n from numbers",
    };
    let run = executor.run_physical(plan, session.state(), request).await.unwrap();
    let messages = of_run(run, told, Compression::None).unwrap();
    Run {
        messages,
        executor,
        made,
        alive: alive.subscribe(),
    }
}

#[tokio::test]
async fn dropping_the_stream_stops_the_query() {
    let mut run = run(&[End::Never, End::Never, End::Never]).await;
    for _ in 0..3 {
        run.messages.next().await.unwrap().unwrap();
    }
    drop(run.messages);
    run.alive.wait_for(|alive| *alive == 0).await.unwrap();
    let made = run.made.load(Ordering::SeqCst);
    assert!(
        made <= 2 + WAITING_MESSAGES + 3 * 2,
        "made {made} batches for 2 that were read"
    );
    assert!(
        !run.executor.stop("q", "anonymous"),
        "a query that is over is not running"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_execution_until_it_does() {
    let mut run = run(&[End::Never]).await;
    run.messages.next().await.unwrap().unwrap();
    for read in 1..=200 {
        run.messages.next().await.unwrap().unwrap();
        let made = run.made.load(Ordering::SeqCst);
        assert!(
            made <= read + WAITING_MESSAGES + 2,
            "made {made} batches for {read} that were read"
        );
    }
}

#[tokio::test]
async fn a_query_that_is_cancelled_ends_with_an_error_and_not_as_if_it_were_complete() {
    let mut run = run(&[End::Never, End::Never]).await;
    run.messages.next().await.unwrap().unwrap();
    assert!(run.executor.stop("q", "anonymous"));
    let error = loop {
        if let Err(error) = run.messages.next().await.unwrap() {
            break error;
        }
    };
    assert_eq!(error.code(), Code::Cancelled);
    drop(run.messages);
    run.alive.wait_for(|alive| *alive == 0).await.unwrap();
}

#[tokio::test]
async fn what_goes_wrong_in_a_partition_is_never_an_early_end() {
    for (end, code) in [(End::Fails(2), Code::InvalidArgument), (End::Panics(2), Code::Internal)] {
        let run = run(&[end]).await;
        let last = run
            .messages
            .map(|message| message.map(|_| ()))
            .collect::<Vec<_>>()
            .await
            .pop();
        assert_eq!(last.unwrap().unwrap_err().code(), code, "{end:?}");
    }
}

#[tokio::test]
async fn large_batches_go_out_in_parts_and_slices_of_large_buffers_do_not() {
    let text = "x".repeat(1000);
    let wide = StringArray::from_iter_values(std::iter::repeat_n(&text, 10_000));
    let batch = RecordBatch::try_from_iter([("text", Arc::new(wide) as _)]).unwrap();
    let (encoder, _) = Encoder::new(batch.schema(), Compression::None).unwrap();
    let parts = encoder.split(&batch);
    assert_eq!(parts.len(), 5);
    assert_eq!(parts.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
    assert_eq!(encoder.split(&batch.slice(5000, 1000)).len(), 1);
    assert_eq!(encoder.split(&batch.slice(0, 0)).len(), 1);

    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let messages = of_batch(&batch, compression).unwrap().map_ok(FlightData::from);
        let messages: Vec<_> = messages.try_collect().await.unwrap();
        let largest = messages.iter().map(|message| message.data_body.len()).max().unwrap();
        assert!(
            largest <= MESSAGE_BYTES + MESSAGE_BYTES / 8,
            "{compression:?}: {largest} bytes"
        );
        let decoded = FlightRecordBatchStream::new_from_flight_data(stream::iter(messages).map(Ok));
        let decoded: Vec<_> = decoded.map(Result::unwrap).collect().await;
        assert_eq!(
            arrow::compute::concat_batches(&batch.schema(), &decoded).unwrap(),
            batch
        );
    }
}
