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
use cordada_core::{Result, TableName};
use cordada_core::progress::{Progress, Task};
use cordada_lake::Lake;
use datafusion::execution::SendableRecordBatchStream;
use tokio_util::sync::CancellationToken;

use crate::files::ScannedFile;
use crate::spool::Spool;
use crate::transform::Transforms;

/// What a stream remembers from one load to the next: a cursor, a position in a log.
pub(crate) type State = serde_json::Value;

/// What an extraction is asked for.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    /// The project's folder; relative paths begin there.
    pub(crate) project: &'a Path,
    pub(crate) source: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) lake: &'a Lake,
    /// Where the rows land.
    pub(crate) table: &'a TableName,
    /// What the last chunk left; `None` at the first load, and when everything is to be extracted again.
    pub(crate) state: Option<State>,
    /// Whether the rows replace all that are there.
    pub(crate) replace: bool,
    /// What becomes of columns before they are written anywhere.
    pub(crate) transforms: Arc<Transforms>,
    /// When the load began.
    pub(crate) load_at: DateTime<Utc>,
    /// Whoever watches; files begin a task of their own, whose size they know.
    pub(crate) progress: &'a dyn Progress,
    /// The task of the other kinds: bytes read.
    pub(crate) task: Arc<dyn Task>,
    pub(crate) cancel: CancellationToken,
}

/// Rows that land in one commit.
pub(crate) struct Chunk {
    pub(crate) rows: Rows,
    /// The state once they have landed; `None` if it does not change.
    pub(crate) state: Option<State>,
    /// Transactions of the same commit, by which what has landed is known again.
    pub(crate) transactions: Vec<(String, i64)>,
    /// Bytes that were read from the source.
    pub(crate) bytes: u64,
    /// Files that land with it.
    pub(crate) files: usize,
    /// The task that goes on while they land, instead of the request's.
    pub(crate) task: Option<Arc<dyn Task>>,
    /// Whether it is known that nothing follows it.
    pub(crate) last: bool,
}

impl Chunk {
    /// Rows that land with a state, out of `bytes` of the source.
    pub(crate) fn new(rows: Rows, state: Option<State>, bytes: u64) -> Self {
        Self {
            rows,
            state,
            transactions: Vec::new(),
            bytes,
            files: 0,
            task: None,
            last: false,
        }
    }
}

/// Rows of a chunk.
pub(crate) enum Rows {
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
    },
    /// JSON records whose types are inferred over all of them; each spool has a name of its own for `_origin`.
    Records(Vec<Spool>),
    /// Files that have been read once.
    Files(Vec<ScannedFile>),
}

/// One stream, being extracted.
#[async_trait]
pub(crate) trait Extraction: Send {
    /// The next rows; `None` when there is nothing more for now.
    ///
    /// # Errors
    /// Unavailable for a source that cannot be reached, and what the kind of source says.
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
