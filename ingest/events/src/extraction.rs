//! From the log into the lake: each segment is a chunk, so that what was extracted before a crash is exactly what is
//! extracted after it.

use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::threads::blocking;
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows};
use cordada_ingest_source::options::{Options, Transform};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::config::EventsStream;
use cordada_wal::{Damage, Entry, Found, Log, Segment};

/// Writers of a log that a table remembers: each time a collector begins it is another one, and one whose log is gone
/// never comes back.
const REMEMBERED: usize = 64;

/// The extraction of one stream.
pub(crate) struct Events {
    log: Option<Arc<Log>>,
    /// Held until the extraction ends: nobody else lands the same meanwhile.
    reading: Option<OwnedMutexGuard<()>>,
    /// How far each writer's records have landed, in the order in which they came to be known.
    state: Map<String, Value>,
    /// The segments to land, in reverse order.
    segments: Option<Vec<Segment>>,
    /// The segment that is landing, and whether it is damaged.
    landing: Option<(Segment, bool)>,
    /// Whether segments stay when they have landed, because they have not landed in production.
    keep: bool,
    records: Arc<Reading>,
    /// All columns that land, in their order.
    columns: Arc<Vec<String>>,
    origin: String,
    cancel: CancellationToken,
}

/// A record that could not be read, as it is in the log.
#[derive(Deserialize)]
struct UnreadableRecord {
    reason: String,
    record: String,
}

impl Events {
    /// An extraction from the log; from nothing if there is none, or another process has it.
    pub(crate) fn new(request: Request<'_>, stream: &EventsStream, log: Option<Arc<Log>>) -> Self {
        let reading = log.as_ref().and_then(|log| log.try_read());
        if reading.is_none() {
            tracing::info!(
                source = request.source,
                stream = request.stream,
                "nothing to land, or somebody else does"
            );
        }
        Self {
            log,
            reading,
            state: match request.state {
                Some(Value::Object(state)) => state,
                _ => Map::new(),
            },
            segments: None,
            landing: None,
            keep: request.rehearsal,
            records: request.records,
            columns: Arc::new(columns(stream, &stream.all_options())),
            origin: format!("{}.{}", request.source, request.stream),
            cancel: request.cancel,
        }
    }

    /// The number of the first record of a writer that has not landed.
    fn landed_before(&self, id: Uuid) -> u64 {
        self.state
            .get(&id.to_string())
            .and_then(Value::as_u64)
            .unwrap_or_default()
    }

    /// The state once a segment has landed.
    fn state_after(&self, segment: &Segment) -> Map<String, Value> {
        let mut state = self.state.clone();
        state.shift_remove(&segment.id.to_string());
        while let Some(oldest) = state.keys().next().filter(|_| state.len() >= REMEMBERED).cloned() {
            state.shift_remove(&oldest);
        }
        state.insert(segment.id.to_string(), segment.next.into());
        state
    }

    /// The segments to land: those that are complete, or else the one that is being written.
    async fn find(log: &Log) -> Result<Vec<Segment>> {
        if log.sealed().is_empty() {
            log.seal().await?;
        }
        let mut segments = log.sealed();
        segments.reverse();
        Ok(segments)
    }
}

/// The columns of the protocol, those that are extracted, and none that are dropped.
fn columns(stream: &EventsStream, options: &Options) -> Vec<String> {
    let own = stream.protocol().columns().map(|column| column.name.to_owned());
    let all = own.chain(stream.extract.keys().cloned());
    let is_dropped = |name: &str| {
        let declared = options.column(name);
        declared.is_some_and(|declared| declared.transform == Some(Transform::Drop))
    };
    all.filter(|name| !is_dropped(name)).collect()
}

#[async_trait]
impl Extraction for Events {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        let (Some(log), Some(_)) = (self.log.clone(), &self.reading) else {
            return Ok(None);
        };
        if self.segments.is_none() {
            self.segments = Some(Self::find(&log).await?);
        }
        while let Some(segment) = self.segments.as_mut().and_then(Vec::pop) {
            if self.cancel.is_cancelled() {
                return Err(Error::cancelled(format!("reading {}", self.origin)));
            }
            let before = self.landed_before(segment.id);
            if segment.next <= before {
                // It landed, and a crash came before it could be removed.
                if !self.keep {
                    let log = log.clone();
                    let removing = move || log.remove(&segment, !segment.is_whole()?);
                    blocking("reading the log of events", removing).await?;
                }
                continue;
            }
            let reader = SegmentReader {
                columns: self.columns.clone(),
                reading: self.records.clone(),
                origin: format!("{}/{}", self.origin, segment.name()),
                before,
                kept: match self.keep {
                    true => segment.path.display().to_string(),
                    false => segment.aside().display().to_string(),
                },
            };
            let (spool, segment, is_damaged) = blocking("reading the log of events", move || {
                let (spool, is_damaged) = reader.spool(&segment)?;
                Ok((spool, segment, is_damaged))
            })
            .await?;
            let mut chunk = Chunk::new(
                Rows::Records(vec![spool]),
                Some(Value::Object(self.state_after(&segment))),
                segment.bytes,
            );
            chunk.last = self.segments.as_ref().is_none_or(Vec::is_empty);
            self.landing = Some((segment, is_damaged));
            return Ok(Some(chunk));
        }
        Ok(None)
    }

    async fn landed(&mut self) -> Result<()> {
        let (Some(log), Some((segment, is_damaged))) = (&self.log, self.landing.take()) else {
            return Ok(());
        };
        self.state = self.state_after(&segment);
        match self.keep {
            true => Ok(()),
            false => log.remove(&segment, is_damaged),
        }
    }
}

/// Makes records that land of what is in a segment.
struct SegmentReader {
    columns: Arc<Vec<String>>,
    reading: Arc<Reading>,
    origin: String,
    /// The number of the first record that has not landed.
    before: u64,
    /// Where the segment is kept if it is damaged.
    kept: String,
}

impl SegmentReader {
    /// What has not landed of a segment, and whether it is damaged.
    fn spool(&self, segment: &Segment) -> Result<(Spool, bool)> {
        let mut spool = Spool::new(&self.origin, &self.reading)?;
        let mut is_damaged = false;
        let line = |number: u64| number - segment.first + 1;
        let mut scan = segment.scan()?;
        while let Some(found) = scan.advance()? {
            match found {
                Found::Record(number, _) if number < self.before => {}
                Found::Record(_, Entry::Record(json)) if spool.rows() == 0 => {
                    spool.push(&complete(&json, &self.columns)?)?;
                }
                Found::Record(_, Entry::Record(json)) => spool.push(&json)?,
                Found::Record(number, Entry::Rejected(json)) => {
                    let rejected: UnreadableRecord =
                        serde_json::from_slice(&json).doing(|| "reading the log of events")?;
                    spool.reject(line(number), rejected.reason, rejected.record);
                }
                Found::Damage(damage) => {
                    is_damaged = true;
                    self.warn(&damage);
                    spool.reject(line(damage.numbers.start), damage.to_string(), self.kept.clone());
                }
            }
        }
        Ok((spool, is_damaged))
    }

    fn warn(&self, damage: &Damage) {
        tracing::warn!(
            segment = self.origin,
            %damage,
            kept = self.kept,
            "the log of events is damaged; what can be read of it lands"
        );
    }
}

/// The record with all columns, null where it has no value: the table has them from the first record on.
fn complete(json: &[u8], columns: &[String]) -> Result<Vec<u8>> {
    let doing = || "reading the log of events";
    let mut record: Map<String, Value> = serde_json::from_slice(json).doing(doing)?;
    let mut complete = Map::with_capacity(columns.len());
    for column in columns {
        let value = record.shift_remove(column).unwrap_or_default();
        complete.insert(column.clone(), value);
    }
    complete.append(&mut record);
    serde_json::to_vec(&complete).map_err(|_| Error::failed(doing(), "a record has no JSON"))
}
