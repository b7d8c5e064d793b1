//! Rows whose types are known before they are read: they come as they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use cordada_core::progress::Task;
use cordada_core::{Context, ErrorKind, Result};
use cordada_ingest_source::extract::{Request, Rows};
use datafusion_execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use crate::System;
use crate::trial::{Load, Stream, Trial};

/// Records of some dozen batches.
const MANY: u64 = 300_000;

/// Batches that may have been made beyond those that were taken: some that wait, and one in the making.
const AHEAD: u64 = 4;

/// Counts the bytes that a source says it has read.
#[derive(Default)]
struct Meter(AtomicU64);

impl Meter {
    fn bytes(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Task for Meter {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }

    fn finish(&self, _: &str) {}
}

/// A load on its way, whose progress is counted.
async fn measured<'t, S: System>(stream: &Stream<'t, S>) -> (Load<'t>, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let task = meter.clone();
    let request = stream.request();
    (stream.begin_as(Request { task, ..request }).await.unwrap(), meter)
}

/// The rows of the next chunk.
async fn rows(load: &mut Load<'_>) -> Vec<SendableRecordBatchStream> {
    match load.next().await.unwrap().unwrap().rows {
        Rows::Typed { partitions, .. } => partitions,
        Rows::Records(_) | Rows::Files(_) => panic!("these rows have no types"),
    }
}

/// The first batch.
async fn first(partitions: &mut [SendableRecordBatchStream]) -> Result<Option<RecordBatch>> {
    partitions[0].try_next().await.doing(|| "reading the rows")
}

/// The batches that are left.
async fn drain(partitions: Vec<SendableRecordBatchStream>) -> Result<u64> {
    let mut batches = 0;
    for mut partition in partitions {
        while partition.try_next().await.doing(|| "reading the rows")?.is_some() {
            batches += 1;
        }
    }
    Ok(batches)
}

/// Who does not take the rows keeps the source from reading on, so that memory holds few of them.
pub async fn a_consumer_that_stops_stops_the_source<S: System>() {
    let trial = Trial::<S>::with(MANY).await;
    let stream = trial.streams().next().unwrap();
    let (mut load, meter) = measured(&stream).await;
    let mut partitions = rows(&mut load).await;
    first(&mut partitions).await.unwrap().unwrap();
    // Meanwhile another load reads everything, which takes as long as reading on would have taken.
    let (mut other, all) = measured(&stream).await;
    let batches = drain(rows(&mut other).await).await.unwrap();
    assert!(batches > 2 * AHEAD, "{batches} batches are too few to tell");
    let most = all.bytes() / batches * (1 + AHEAD);
    assert!(meter.bytes() <= most, "{} of {}", meter.bytes(), all.bytes());
    // Neither is it the end of anything: the rest comes when it is asked for.
    assert_eq!(drain(partitions).await.unwrap(), batches - 1);
}

/// A load that is asked to stop among its rows ends with what has been made of them.
pub async fn a_load_cancelled_on_the_way_ends_soon<S: System>() {
    let trial = Trial::<S>::with(MANY).await;
    for stream in trial.streams() {
        let request = stream.request();
        let cancel = request.cancel.clone();
        let mut load = stream.begin_as(request).await.unwrap();
        let mut partitions = rows(&mut load).await;
        first(&mut partitions).await.unwrap().unwrap();
        cancel.cancel();
        let mut batches = 0;
        let error = loop {
            match first(&mut partitions).await {
                Ok(batch) => assert!(batch.is_some(), "{stream} came to its end"),
                Err(error) => break error,
            }
            batches += 1;
        };
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{stream}: {error}");
        assert!(batches <= AHEAD, "{stream}: {batches}");
    }
}
