//! A system with its source, put to the test: loads as landing makes them, step by step.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::TimeDelta;
use cordada_core::progress::Silent;
use cordada_core::source_names::SourceNames;
use cordada_core::{Result, TableName};
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Chunk, Extraction, Request};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::transform::{PiiKey, Transforms};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::listening::Sender;
use crate::rows::{ChunkRows, take};
use crate::table::{Commit, Content, Table};
use crate::{SOURCE, System, came_at, log};

/// A system with its source, and the table of each of its streams.
pub struct Trial<S> {
    pub(crate) system: S,
    pub(crate) source: Box<dyn Source>,
    streams: BTreeMap<String, StreamTable>,
    loads: AtomicI64,
    /// Records so far, and how often some were added.
    records: AtomicU64,
    additions: AtomicU64,
    folder: TempDir,
}

/// A stream and where it lands.
struct StreamTable {
    name: TableName,
    options: Options,
    table: Arc<Table>,
}

/// The key of hashes and tokens.
pub(crate) fn key() -> PiiKey {
    PiiKey::new("correct horse battery staple").unwrap()
}

impl<S: System> Trial<S> {
    /// A system with so many records.
    pub(crate) async fn with(records: u64) -> Self {
        let trial = Self::new().await;
        trial.add(records).await;
        trial
    }

    /// A system without records.
    pub(crate) async fn new() -> Self {
        log::keep();
        let folder = tempfile::tempdir().unwrap();
        let system = S::new(folder.path()).await;
        std::fs::create_dir_all(folder.path().join("sources")).unwrap();
        let file = folder.path().join("sources").join(format!("{SOURCE}.yml"));
        std::fs::write(&file, system.configuration()).unwrap();
        let source = (S::KIND.load)(&file).unwrap();
        let place = |(stream, options)| {
            let name = TableName::new(format!("raw_{SOURCE}"), &stream).unwrap();
            let table = Table::new(S::COLUMN);
            (stream, StreamTable { name, options, table })
        };
        let streams: BTreeMap<_, _> = source.streams().into_iter().map(place).collect();
        assert!(!streams.is_empty(), "without streams nothing is put to the test");
        Self {
            system,
            source,
            streams,
            loads: AtomicI64::default(),
            records: AtomicU64::default(),
            additions: AtomicU64::default(),
            folder,
        }
    }

    /// The source as another process reads it.
    pub(crate) fn another(&self) -> Box<dyn Source> {
        let file = self.project().join("sources").join(format!("{SOURCE}.yml"));
        (S::KIND.load)(&file).unwrap()
    }

    /// The folder of the project.
    pub(crate) fn project(&self) -> &Path {
        self.folder.path()
    }

    /// Adds so many records.
    pub(crate) async fn add(&self, count: u64) {
        let first = self.records.fetch_add(count, Ordering::SeqCst);
        self.additions.fetch_add(1, Ordering::SeqCst);
        self.system.add(&*self.source, first..first + count).await;
    }

    /// The streams, each with its table.
    pub(crate) fn streams(&self) -> impl Iterator<Item = Stream<'_, S>> {
        self.streams.iter().map(|(name, place)| Stream {
            trial: self,
            name,
            options: &place.options,
            lands_in: &place.name,
            table: place.table.clone(),
        })
    }

    /// The stream of that name.
    pub(crate) fn stream(&self, name: &str) -> Stream<'_, S> {
        self.streams().find(|stream| stream.name == name).unwrap()
    }

    /// The records that there are, in the order of texts.
    pub(crate) fn expected(&self) -> Vec<String> {
        let mut expected: Vec<_> = (0..self.records.load(Ordering::SeqCst)).map(S::value).collect();
        expected.sort();
        expected
    }
}

impl<S: Sender> Trial<S> {
    /// Sends so many records to whoever listens there.
    pub(crate) async fn send(&self, to: SocketAddr, count: u64) {
        let first = self.records.fetch_add(count, Ordering::SeqCst);
        self.system.send(to, first..first + count).await;
    }
}

/// A stream and the table that it lands in.
pub(crate) struct Stream<'t, S> {
    trial: &'t Trial<S>,
    pub(crate) name: &'t str,
    pub(crate) options: &'t Options,
    lands_in: &'t TableName,
    table: Arc<Table>,
}

impl<S> fmt::Display for Stream<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<'t, S: System> Stream<'t, S> {
    /// The same stream, landing in a table of its own that is empty.
    pub(crate) fn aside(&self) -> Self {
        Self {
            table: Table::new(S::COLUMN),
            ..*self
        }
    }

    pub(crate) fn disposition(&self) -> Disposition {
        self.options.disposition()
    }

    /// What landing asks for at its next load.
    pub(crate) fn request(&self) -> Request<'t> {
        // No two loads begin at the same time.
        let seconds = self.trial.loads.fetch_add(1, Ordering::SeqCst);
        let last = came_at(self.trial.records.load(Ordering::SeqCst).saturating_sub(1));
        let replace = self.disposition() == Disposition::Replace;
        Request {
            project: self.trial.project(),
            source: SOURCE,
            stream: self.name,
            table: self.lands_in,
            landed: self.table.clone(),
            columns: Arc::default(),
            parallelism: 2,
            rehearsal: false,
            state: self.table.content().state.filter(|_| !replace),
            replace,
            transforms: Arc::new(Transforms::new(self.options, Some(&key())).unwrap()),
            records: Arc::new(Reading::of_records(
                self.options.declared_types(&SourceNames::default()),
                self.trial.source.timezone(),
            )),
            load_at: last + TimeDelta::seconds(1 + seconds),
            progress: &Silent,
            task: Arc::new(Silent),
            cancel: CancellationToken::new(),
        }
    }

    /// Begins a load.
    pub(crate) async fn begin(&self) -> Load<'t> {
        self.begin_as(self.request()).await.unwrap()
    }

    /// Begins a rehearsal.
    pub(crate) async fn rehearse(&self) -> Load<'t> {
        let request = Request {
            rehearsal: true,
            ..self.request()
        };
        self.begin_as(request).await.unwrap()
    }

    /// Begins the load that is asked for.
    pub(crate) async fn begin_as(&self, request: Request<'t>) -> Result<Load<'t>> {
        self.trial.source.begin();
        Ok(Load {
            extraction: self.trial.source.extract(request).await?,
            options: self.options,
            table: self.table.clone(),
            column: S::COLUMN,
            first: true,
        })
    }

    /// A load from its beginning to its end: the records that it took.
    pub(crate) async fn load(&self) -> Result<Vec<String>> {
        self.begin_as(self.request()).await?.finish().await
    }

    /// What has landed.
    pub(crate) fn content(&self) -> Content {
        self.table.content()
    }

    /// Every record has landed once, and what cannot land is on record once.
    pub(crate) fn assert_complete(&self) {
        let mut content = self.content();
        assert_eq!(content.records, self.trial.expected(), "{self}");
        let rejected = content.rejected.len();
        content.rejected.dedup();
        let additions = usize::try_from(self.trial.additions.load(Ordering::SeqCst)).unwrap();
        let expected = additions * S::REJECTED;
        assert_eq!(
            (rejected, content.rejected.len()),
            (expected, expected),
            "{self}: rejected, and at different places"
        );
    }
}

/// A load on its way.
pub(crate) struct Load<'t> {
    extraction: Box<dyn Extraction + 't>,
    options: &'t Options,
    table: Arc<Table>,
    column: &'static str,
    /// Whether nothing of it has been committed.
    first: bool,
}

impl Load<'_> {
    /// The next chunk.
    pub(crate) async fn next(&mut self) -> Result<Option<Chunk>> {
        self.extraction.next().await
    }

    /// Reads the rows of a chunk: what they are, and what is to be committed.
    pub(crate) async fn take(&mut self, chunk: Chunk) -> Result<(ChunkRows, Commit)> {
        let taken = take(chunk.rows).await?;
        let (records, gone) = taken.records(self.column);
        let places = taken.rejected.iter();
        let commit = Commit {
            records,
            gone,
            rejected: places.map(|(file, rejected)| (file.clone(), rejected.line)).collect(),
            state: chunk.state,
            transactions: chunk.transactions,
        };
        Ok((taken, commit))
    }

    /// Commits what was taken.
    pub(crate) fn commit(&mut self, commit: Commit) {
        self.table.commit(commit, self.options.disposition(), self.first);
        self.first = false;
    }

    /// Tells the source that what was committed is durable.
    pub(crate) async fn told(&mut self) -> Result<()> {
        self.extraction.landed().await
    }

    /// Takes a chunk, commits it and tells the source: what was taken.
    pub(crate) async fn land(&mut self, chunk: Chunk) -> Result<ChunkRows> {
        let (taken, commit) = self.take(chunk).await?;
        self.commit(commit);
        self.told().await?;
        Ok(taken)
    }

    /// The rest of the load: the records that it took.
    pub(crate) async fn finish(mut self) -> Result<Vec<String>> {
        let mut records = Vec::new();
        while let Some(chunk) = self.next().await? {
            records.extend(self.land(chunk).await?.records(self.column).0);
        }
        Ok(records)
    }
}
