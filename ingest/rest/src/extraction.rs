//! One stream of a REST source, chunk by chunk.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cordada_core::batches::CHUNK_BYTES;
use cordada_core::progress::Task;
use cordada_core::{Error, Result};
use cordada_ingest_formats::json::pointer::Pointer;
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows, State};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::transform::Transforms;
use futures::StreamExt;
use serde_json::{Map, Value as Json};

use super::mark::Mark;
use super::page::{Page, Pages, Run};
use super::pages;
use super::parents::Range;
use super::plan::Plan;
use super::sink::{Parents, Progress, Sink};
use super::tracker::Tracker;

/// Pages larger than this are taken on a thread of their own, so that others are not held up.
const LARGE: u64 = 256 * 1024;

/// What landing asks of an extraction.
pub(crate) struct ExtractionRequest {
    /// What `_origin` calls the records.
    pub(crate) name: String,
    pub(crate) state: Option<State>,
    pub(crate) replace: bool,
    pub(crate) transforms: Arc<Transforms>,
    pub(crate) records: Arc<Reading>,
    pub(crate) task: Arc<dyn Task>,
    /// Whether parents have values that must not get into the state.
    pub(crate) personal_parents: bool,
}

impl ExtractionRequest {
    /// What a request asks.
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self {
            name: format!("{}.{}", request.source, request.stream),
            state: request.state.clone(),
            replace: request.replace,
            transforms: request.transforms.clone(),
            records: request.records.clone(),
            task: request.task.clone(),
            personal_parents: false,
        }
    }
}

/// A stream, being read.
pub(crate) struct RestExtraction {
    run: Arc<Run>,
    plan: Arc<Plan>,
    name: String,
    transforms: Arc<Transforms>,
    records: Arc<Reading>,
    task: Arc<dyn Task>,
    replace: bool,
    /// Whether a row that lands twice is one row, so that a chunk can end anywhere.
    keyed: bool,
    ranges: VecDeque<Range>,
    current: Option<(Pages, Range)>,
    /// Between two chunks.
    progress: Option<Progress>,
    seen: u64,
    pub(super) chunk: u64,
    state: Option<State>,
    emitted: bool,
    done: bool,
}

impl RestExtraction {
    /// The stream as it is asked for, from its state on.
    ///
    /// # Errors
    /// Failed for a state that does not fit; config for a manifest whose `initial` is not a position.
    pub(crate) fn new(request: ExtractionRequest, run: Arc<Run>, plan: Arc<Plan>, options: &Options) -> Result<Self> {
        let disposition = options.disposition();
        let state = request.state.as_ref().filter(|_| !request.replace);
        let key = (disposition == Disposition::Append)
            .then(|| Arc::new(options.key.iter().map(|name| Pointer::dotted(name)).collect::<Vec<_>>()));
        let mut start = None;
        let mut shared = Range {
            pseudonyms: request.personal_parents.then(|| request.transforms.clone()),
            ..Range::default()
        };
        let follows = plan.parent.as_ref().filter(|parent| parent.incremental);
        let progress = match (&plan.positions, follows) {
            (_, Some(parent)) => {
                let positions = parent.plan.positions.as_ref();
                let positions =
                    positions.ok_or_else(|| Error::config("following the parent", "it is not incremental"))?;
                let ceiling = positions.cursor.end(run.load_at);
                let state = state.and_then(|state| state.get("parent"));
                let tracker = Tracker::new(positions.cursor.clone(), state, ceiling, None)?;
                let tracker = Arc::new(Mutex::new(tracker));
                shared.of_parents = Some(tracker.clone());
                Progress::OfParents(tracker)
            }
            (Some(positions), None) if positions.per_parent => {
                let before = state.and_then(|state| state.get("parents")?.as_object().cloned());
                let before = before.unwrap_or_default().into_iter();
                let before = before.map(|(parent, state)| (shared.name_of(parent), state));
                let parents = Parents {
                    cursor: positions.cursor.clone(),
                    ceiling: positions.cursor.end(run.load_at),
                    key,
                    before: before.collect(),
                    trackers: HashMap::new(),
                };
                shared.by_parent = Arc::new(starts(&parents)?);
                Progress::PerParent(parents)
            }
            (Some(positions), None) => {
                let ceiling = positions.cursor.end(run.load_at);
                let tracker = Tracker::new(positions.cursor.clone(), state, ceiling, key)?;
                start = tracker.start();
                Progress::Stream(tracker)
            }
            (None, None) => Progress::Nothing,
        };
        let ranges = Range::everything(&plan, &run, start)?;
        let with_shared = |range: Range| Range {
            by_parent: shared.by_parent.clone(),
            of_parents: shared.of_parents.clone(),
            pseudonyms: shared.pseudonyms.clone(),
            ..range
        };
        Ok(Self {
            name: request.name,
            transforms: request.transforms,
            records: request.records,
            task: request.task,
            replace: request.replace,
            keyed: disposition != Disposition::Append,
            ranges: ranges.into_iter().map(with_shared).collect(),
            current: None,
            progress: Some(progress),
            seen: 0,
            chunk: CHUNK_BYTES,
            state: request.state.filter(|_| !request.replace),
            emitted: false,
            done: false,
            run,
            plan,
        })
    }

    /// The next pages' stream; none if all ranges have been read.
    fn current(&mut self) -> Option<(Pages, Range)> {
        self.current.take().or_else(|| {
            let range = self.ranges.pop_front()?;
            Some((pages::all(&self.run, &self.plan, range.clone()), range))
        })
    }

    /// Whether the state is right in the middle of a range.
    fn resumes(&self) -> bool {
        let positions = self.plan.positions.as_ref();
        self.plan.parent.is_none() && positions.is_some_and(|positions| positions.ascending)
    }

    fn sink(&mut self) -> Result<Sink> {
        let lost = || Error::failed(format!("reading {}", self.name), "it ended with an error before");
        Ok(Sink {
            spool: Spool::new(&self.name, &self.records)?,
            progress: self.progress.take().ok_or_else(lost)?,
            filter: self.plan.filter.clone(),
            transforms: self.transforms.clone(),
            bytes: 0,
            seen: self.seen,
            rejected: 0,
        })
    }

    /// Takes a page; the sink is lost if that fails.
    async fn take(mut sink: Sink, page: Page) -> Result<Sink> {
        let bytes = page.answer.bytes;
        let sink = match bytes > LARGE {
            false => {
                sink.take(&page)?;
                sink
            }
            true => {
                let work = move || sink.take(&page).map(|()| sink);
                let ended = |_| Error::failed("reading the records", "the thread that read them ended");
                tokio::task::spawn_blocking(work).await.map_err(ended)??
            }
        };
        Ok(sink)
    }

    /// Makes a chunk of what the sink holds. `state` is none where a load could not go on from here.
    fn chunk(&mut self, sink: Sink, state: Option<State>, last: bool) -> Chunk {
        (self.seen, self.emitted) = (sink.seen, true);
        self.progress = Some(sink.progress);
        if let Some(state) = &state {
            self.state = Some(state.clone());
        }
        let mut chunk = Chunk::new(
            Rows::Records(vec![sink.spool]),
            state.filter(|_| !self.replace),
            sink.bytes,
        );
        chunk.last = last;
        chunk
    }
}

#[async_trait]
impl Extraction for RestExtraction {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        if self.done {
            return Ok(None);
        }
        let mut sink = self.sink()?;
        while let Some((mut pages, range)) = self.current() {
            while let Some(page) = pages.next().await {
                let page = page?;
                let bytes = page.answer.bytes;
                sink = Self::take(sink, page).await?;
                self.task.advance(bytes);
                if sink.spool.bytes() >= self.chunk && (self.keyed || self.resumes()) {
                    self.current = Some((pages, range));
                    let state = if self.resumes() { sink.progress.state()? } else { None };
                    return Ok(Some(self.chunk(sink, state, false)));
                }
            }
            // All of this range has been read: what is left of the stream begins at its end.
            let is_last = self.ranges.is_empty();
            if let (Progress::Stream(tracker), Some(end), false) = (&mut sink.progress, &range.end, is_last) {
                tracker.reach(end);
            }
            let has_rows = sink.spool.rows() > 0 || sink.rejected > 0;
            if !is_last && has_rows && !self.replace {
                let state = sink.progress.state()?;
                return Ok(Some(self.chunk(sink, state, false)));
            }
        }
        self.done = true;
        let state = sink.progress.state()?;
        let has_rows = sink.spool.rows() > 0 || sink.rejected > 0;
        let is_new = state.is_some() && state != self.state;
        // A replacement by nothing is one too.
        let replaces = self.replace && !self.emitted;
        if has_rows || replaces || (self.emitted && is_new) {
            return Ok(Some(self.chunk(sink, state, true)));
        }
        Ok(None)
    }
}

/// Where each parent's children begin.
fn starts(parents: &Parents) -> Result<HashMap<String, Mark>> {
    let start = |(parent, state): (&String, &Json)| -> Result<Option<(String, Mark)>> {
        let tracker = Tracker::new(parents.cursor.clone(), Some(state), None, None)?;
        Ok(tracker.start().map(|start| (parent.clone(), start)))
    };
    let before: &Map<String, Json> = &parents.before;
    before.iter().filter_map(|entry| start(entry).transpose()).collect()
}
