//! What becomes of a session: windows, connections that are lost, filters that are changed, brokers that forget.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "some of it only the contract uses")]
mod broker;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::progress::Silent;
use cordada_core::{Error, ErrorKind, Result, TableName};
use cordada_ingest_formats::reading::{Declared, Reading};
use cordada_ingest_source::extract::{Chunk, Request, Rows, State};
use cordada_ingest_source::listener::Land;
use cordada_ingest_source::transform::Transforms;
use cordada_ingest_source::{Environment, Landed, Source};
use datafusion_execution::SendableRecordBatchStream;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Mood, PASSWORD};

/// A table that is not there yet.
struct NoTable;

#[async_trait]
impl Landed for NoTable {
    async fn schema(&self) -> Result<Option<SchemaRef>> {
        Ok(None)
    }

    async fn transactions(&self, _: &[String]) -> Result<HashMap<String, i64>> {
        Ok(HashMap::new())
    }

    async fn transactions_of(&self, _: &str) -> Result<HashMap<String, i64>> {
        Ok(HashMap::new())
    }

    async fn keys(&self, _: &[String]) -> Result<Option<SendableRecordBatchStream>> {
        Ok(None)
    }

    async fn environment(&self) -> Result<Environment> {
        Ok(Environment {
            lake: "lake".to_owned(),
            target: None,
        })
    }
}

/// A source of one stream, `r`.
struct Plant {
    broker: Broker,
    folder: TempDir,
}

/// What loads have brought.
#[derive(Default)]
struct Taken {
    payloads: Vec<String>,
    chunks: usize,
    state: Option<State>,
}

impl Plant {
    async fn new() -> Self {
        Self {
            broker: Broker::start().await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The source, with its own `keys` and those of the stream; it waits for no other message.
    fn source(&self, keys: &str, stream: &str) -> Box<dyn Source> {
        self.source_that_waits(&format!("wait: 0s\n{keys}"), stream)
    }

    fn source_that_waits(&self, keys: &str, stream: &str) -> Box<dyn Source> {
        let file = self.folder.path().join("plant.yml");
        let text = format!(
            "kind: mqtt\nbroker: mqtt://cordada:{PASSWORD}@{}\nclient_id: c\n{keys}\nstreams: {{r: {{{stream}}}}}\n",
            self.broker.address
        );
        std::fs::write(&file, text).unwrap();
        (cordada_ingest_mqtt::KIND.load)(&file).unwrap()
    }

    /// What a load asks for.
    fn request<'a>(&'a self, table: &'a TableName, taken: &Taken) -> Request<'a> {
        Request {
            project: self.folder.path(),
            source: "plant",
            stream: "r",
            table,
            landed: Arc::new(NoTable),
            columns: Arc::default(),
            parallelism: 1,
            rehearsal: false,
            state: taken.state.clone(),
            replace: false,
            transforms: Arc::new(Transforms::default()),
            records: Arc::new(Reading::of_records(Declared::new(), chrono_tz::UTC)),
            load_at: chrono::Utc::now(),
            progress: &Silent,
            task: Arc::new(Silent),
            cancel: CancellationToken::new(),
        }
    }

    /// A load; each chunk is committed and told.
    async fn load(&self, source: &dyn Source, taken: &mut Taken) -> Result<()> {
        let table = TableName::new("raw_plant", "r").unwrap();
        let mut extraction = source.extract(self.request(&table, taken)).await?;
        while let Some(chunk) = extraction.next().await? {
            taken.take(chunk)?;
            extraction.landed().await?;
        }
        Ok(())
    }

    /// A load that commits a chunk and dies before the broker is told.
    async fn die_committed(&self, source: &dyn Source, taken: &mut Taken) {
        let table = TableName::new("raw_plant", "r").unwrap();
        let mut extraction = source.extract(self.request(&table, taken)).await.unwrap();
        let chunk = extraction.next().await.unwrap().unwrap();
        taken.take(chunk).unwrap();
    }

    fn publish(&self, values: std::ops::Range<u32>) {
        for value in values {
            self.broker.publish("a/b", value.to_string());
        }
    }
}

impl Taken {
    /// Commits a chunk.
    fn take(&mut self, chunk: Chunk) -> Result<()> {
        let Rows::Records(spools) = chunk.rows else {
            panic!("messages have no types");
        };
        self.chunks += usize::from(!spools.is_empty());
        for spool in spools {
            for line in spool.text()?.lines() {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                self.payloads.push(record["value"].to_string());
            }
        }
        self.state = chunk.state;
        Ok(())
    }
}

fn numbers(values: std::ops::Range<u32>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}

#[tokio::test]
async fn a_backlog_larger_than_the_window_lands_in_windows() {
    let plant = Plant::new().await;
    for qos in [1, 2] {
        plant.broker.subscribed("c-r", "a/#", qos);
        plant.publish(0..10);
        let source = plant.source("limits: {in_flight: 3}", &format!("topics: 'a/#', qos: {qos}"));
        let mut taken = Taken::default();
        plant.load(&*source, &mut taken).await.unwrap();
        assert_eq!(taken.payloads, numbers(0..10));
        assert!(taken.chunks >= 4, "{}", taken.chunks);
        assert_eq!(plant.broker.kept("c-r"), 0);
    }
}

/// Its answers take longer than a message may wait for others: that says nothing about how many there are.
#[tokio::test]
async fn a_backlog_of_a_slow_broker_lands_in_one_load() {
    let plant = Plant::new().await;
    plant.broker.set(Mood::Slow);
    for qos in [1, 2] {
        plant.broker.subscribed("c-r", "a/#", qos);
        plant.publish(0..10);
        let keys = "wait: 1ms\nflush: 1ms\nlimits: {in_flight: 3}";
        let source = plant.source_that_waits(keys, &format!("topics: 'a/#', qos: {qos}"));
        let mut taken = Taken::default();
        plant.load(&*source, &mut taken).await.unwrap();
        assert_eq!(taken.payloads, numbers(0..10));
        assert_eq!(plant.broker.kept("c-r"), 0);
    }
}

#[tokio::test]
async fn a_connection_lost_on_the_way_loses_and_doubles_nothing() {
    let plant = Plant::new().await;
    plant.broker.subscribed("c-r", "a/#", 2);
    let source = plant.source("retry: {first: 0s}\nlimits: {in_flight: 4}", "topics: 'a/#', qos: 2");
    let mut taken = Taken::default();
    for round in 0..10 {
        plant.publish(round * 10..round * 10 + 10);
        plant.broker.cut_after(usize::try_from(round).unwrap());
        plant.load(&*source, &mut taken).await.unwrap();
    }
    let mut landed = taken.payloads.clone();
    landed.sort_by_key(|value| value.parse::<u32>().unwrap());
    assert_eq!(landed, numbers(0..100));
}

#[tokio::test]
async fn a_first_load_subscribes() {
    let plant = Plant::new().await;
    let source = plant.source("", "topics: ['a/{level}', c]");
    let mut taken = Taken::default();
    plant.load(&*source, &mut taken).await.unwrap();
    assert_eq!((taken.chunks, plant.broker.filters("c-r").len()), (0, 2));
    plant.publish(0..3);
    plant.load(&*source, &mut taken).await.unwrap();
    assert_eq!(taken.payloads, numbers(0..3));
}

#[tokio::test]
async fn what_is_no_longer_asked_for_is_unsubscribed() {
    let plant = Plant::new().await;
    let mut taken = Taken::default();
    let source = plant.source("", "topics: ['a/#', c]");
    plant.load(&*source, &mut taken).await.unwrap();
    plant.publish(0..1);
    plant.load(&*source, &mut taken).await.unwrap();
    let source = plant.source("", "topics: 'a/+'");
    plant.load(&*source, &mut taken).await.unwrap();
    assert_eq!(plant.broker.filters("c-r"), ["a/+"]);
}

#[tokio::test]
async fn identifiers_of_a_session_that_is_forgotten_mean_nothing() {
    // Whether the broker has made the session anew before the next load, or that load does.
    for is_anew in [false, true] {
        let plant = Plant::new().await;
        plant.broker.subscribed("c-r", "a/#", 2);
        plant.publish(0..3);
        let source = plant.source("", "topics: 'a/#', qos: 2");
        let mut taken = Taken::default();
        plant.die_committed(&*source, &mut taken).await;
        assert_eq!(taken.payloads, numbers(0..3));
        plant.broker.forget("c-r");
        match is_anew {
            true => plant.broker.subscribed("c-r", "a/#", 2),
            false => plant.load(&*source, &mut taken).await.unwrap(),
        }
        plant.publish(3..6);
        for _ in 0..2 {
            plant.load(&*source, &mut taken).await.unwrap();
            assert_eq!(taken.payloads, numbers(0..6), "{is_anew}");
        }
        assert_eq!(plant.broker.kept("c-r"), 0);
    }
}

/// Lands with loads of its own, as long as there is more to come than has landed.
struct Lander<'p> {
    plant: &'p Plant,
    source: &'p dyn Source,
    taken: Mutex<Taken>,
    /// How many messages there are, after which it has enough.
    enough: (usize, CancellationToken),
}

#[async_trait]
impl Land for Lander<'_> {
    async fn land(&self, streams: &[String]) -> Result<u64> {
        assert_eq!(streams, ["r"]);
        let mut taken = self.taken.lock().await;
        let before = taken.payloads.len();
        self.plant.load(self.source, &mut taken).await?;
        if taken.payloads.len() >= self.enough.0 {
            self.enough.1.cancel();
        } else {
            let next = u32::try_from(taken.payloads.len()).unwrap();
            self.plant.publish(next..next + 5);
        }
        Ok((taken.payloads.len() - before) as u64)
    }
}

#[tokio::test]
async fn a_source_that_stays_connected_lands_what_comes() {
    let plant = Plant::new().await;
    let source = plant.source("flush: 1ms\nretry: {first: 0s}", "topics: 'a/#', qos: 2");
    plant.broker.cut_after(12);
    let cancel = CancellationToken::new();
    let lander = Lander {
        plant: &plant,
        source: &*source,
        taken: Mutex::default(),
        enough: (40, cancel.clone()),
    };
    let listener = source
        .listen(plant.folder.path(), "plant", None)
        .await
        .unwrap()
        .unwrap();
    let place = format!("mqtt://{}", plant.broker.address);
    assert_eq!((listener.place(), listener.local_addr()), (place, None));
    listener.run(&lander, cancel).await.unwrap();
    let mut landed = lander.taken.into_inner().payloads;
    landed.sort_by_key(|value| value.parse::<u32>().unwrap());
    assert_eq!(landed, numbers(0..40));
}

#[tokio::test]
async fn who_takes_the_session_over_is_told_of() {
    let plant = Plant::new().await;
    plant.broker.subscribed("c-r", "a/#", 1);
    plant.publish(0..6);
    let source = plant.source("retry: {attempts: 1}\nlimits: {in_flight: 3}", "topics: 'a/#'");
    let table = TableName::new("raw_plant", "r").unwrap();
    let mut extraction = source.extract(plant.request(&table, &Taken::default())).await.unwrap();
    extraction.next().await.unwrap().unwrap();
    let mut taken = Taken::default();
    plant.load(&*source, &mut taken).await.unwrap();
    assert_eq!(taken.payloads, numbers(0..6));
    extraction.landed().await.unwrap();
    let error: Error = extraction.next().await.err().expect("somebody else has it");
    assert!(
        [ErrorKind::Conflict, ErrorKind::Unavailable].contains(&error.kind()),
        "{error}"
    );
}
