//! What lies between a kind of source and landing: an [`Extraction`] gives chunks of rows, each with the state that
//! the stream is in once they have landed.
//!
//! Rows and state of a chunk are one Delta commit. Whatever is interrupted begins again from the state that was
//! committed, so that a chunk which neither skips nor repeats rows from one state to the next lands exactly once.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cordada_core::progress::{Progress, Task};
use cordada_core::source_names::SourceNames;
use cordada_core::{Result, TableName};
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_formats::spool::Spool;
use datafusion_execution::SendableRecordBatchStream;
use tokio_util::sync::CancellationToken;

use crate::landed::Landed;
use crate::transform::Transforms;

/// What a stream remembers from one load to the next: a cursor, a position in a log.
pub type State = serde_json::Value;

/// What an extraction is asked for.
#[derive(Clone)]
pub struct Request<'a> {
    /// The project's folder; relative paths begin there.
    pub project: &'a Path,
    /// The source's name.
    pub source: &'a str,
    /// The stream's.
    pub stream: &'a str,
    /// Where the rows land.
    pub table: &'a TableName,
    /// That table, as it is.
    pub landed: Arc<dyn Landed>,
    /// What its columns are called, and those that the configuration names.
    pub columns: Arc<SourceNames>,
    /// How much may be done at a time: threads, connections.
    pub parallelism: usize,
    /// Whether what lands is a trial, so that the source must not forget it.
    pub rehearsal: bool,
    /// What the last chunk left; `None` at the first load, and when everything is to be extracted again.
    pub state: Option<State>,
    /// Whether the rows replace all that are there.
    pub replace: bool,
    /// What becomes of columns before they are written anywhere.
    pub transforms: Arc<Transforms>,
    /// How JSON records are read: their declared types, and the zone of times that carry none.
    pub records: Arc<Reading>,
    /// When the load began.
    pub load_at: DateTime<Utc>,
    /// Whoever watches; files begin a task of their own, whose size they know.
    pub progress: &'a dyn Progress,
    /// The task of the other kinds: bytes read.
    pub task: Arc<dyn Task>,
    /// Asks to stop: whatever is asked of the extraction or read of its rows then ends with a cancellation.
    pub cancel: CancellationToken,
}

/// Rows that land in one commit.
pub struct Chunk {
    /// The rows.
    pub rows: Rows,
    /// The state once they have landed; `None` if it does not change.
    pub state: Option<State>,
    /// Transactions of the same commit, by which what has landed is known again.
    pub transactions: Vec<(String, i64)>,
    /// Ids of further ones, which say when the load was, in microseconds UTC.
    pub dated: Vec<String>,
    /// Rows that go in the same commit.
    pub supersedes: Vec<Superseded>,
    /// Bytes that were read from the source.
    pub bytes: u64,
    /// Files that land with it.
    pub files: usize,
    /// The task that goes on while they land, instead of the request's.
    pub task: Option<Arc<dyn Task>>,
    /// Whether it is known that nothing follows it.
    pub last: bool,
}

impl Chunk {
    /// Rows that land with a state, out of `bytes` of the source.
    pub fn new(rows: Rows, state: Option<State>, bytes: u64) -> Self {
        Self {
            rows,
            state,
            transactions: Vec::new(),
            dated: Vec::new(),
            supersedes: Vec::new(),
            bytes,
            files: 0,
            task: None,
            last: false,
        }
    }
}

/// Rows of a file that have landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    /// The file, as `_origin` names it.
    pub file: String,
    /// They came no earlier than that, in microseconds UTC.
    pub since: i64,
    /// And earlier than that, if anything landed under the name of the file afterwards.
    pub until: Option<i64>,
}

/// Rows of a chunk.
pub enum Rows {
    /// Rows whose types are known before they are read.
    Typed {
        /// The columns, by the source's own names.
        schema: SchemaRef,
        /// Rows of `schema`; those of a later partition come later.
        partitions: Vec<SendableRecordBatchStream>,
        /// What goes into `_origin`.
        origin: String,
        /// A column of booleans that are true for rows that are gone from the source; it does not land.
        deleted: Option<String>,
        /// Whether one more column behind the others says which values cannot land: see [`crate::misfits`].
        misfits: bool,
    },
    /// JSON records whose types are inferred over all of them; each spool has a name of its own for `_origin`.
    Records(Vec<Spool>),
    /// Files that have been read once.
    Files(Vec<ScannedFile>),
}

/// One stream, being extracted.
#[async_trait]
pub trait Extraction: Send {
    /// The next rows; `None` when there is nothing more for now. From one state of an unchanged source the first of them
    /// are always the same, with the same state and transactions: by these a chunk is known again.
    ///
    /// # Errors
    /// Cancelled; unavailable for a source that cannot be reached, and what the kind of source says.
    async fn next(&mut self) -> Result<Option<Chunk>>;

    /// Called when the last chunk is durable in the lake, so that the source can forget it.
    ///
    /// # Errors
    /// As [`Extraction::next`].
    async fn landed(&mut self) -> Result<()> {
        Ok(())
    }

    /// Files of the stream that had landed before.
    fn skipped_files(&self) -> usize {
        0
    }
}
