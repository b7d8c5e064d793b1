//! The `ops` tables: what ran, what was loaded, what was rejected. Append-only, read at their newest version, never
//! part of a release, so that a run that published nothing is on record too.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use cordada_core::{Error, Result, TableName};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use crate::lake::Lake;
use crate::table::mode::{Mode, Write};

/// The schema of the journals.
pub const SCHEMA: &str = "ops";

/// A journal of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// One row a stream and load.
    Loads,
    /// One row a record that could not be landed.
    RejectedRows,
    /// One row a node and build.
    Runs,
    /// One row a test and build.
    TestResults,
}

impl Journal {
    /// All of them.
    pub const ALL: [Journal; 4] = [
        Journal::Loads,
        Journal::RejectedRows,
        Journal::Runs,
        Journal::TestResults,
    ];

    /// Its name in `ops`.
    pub fn name(self) -> &'static str {
        match self {
            Journal::Loads => "loads",
            Journal::RejectedRows => "rejected_rows",
            Journal::Runs => "runs",
            Journal::TestResults => "test_results",
        }
    }

    /// Its table.
    pub fn table(self) -> Result<TableName> {
        TableName::new(SCHEMA, self.name())
    }

    /// Its columns.
    pub fn schema(self) -> SchemaRef {
        let utf8 = |name: &str| Field::new(name, DataType::Utf8, true);
        let int = |name: &str| Field::new(name, DataType::Int64, true);
        let time = |name: &str| {
            Field::new(
                name,
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                true,
            )
        };
        Arc::new(Schema::new(match self {
            Journal::Loads => vec![
                utf8("load_id"),
                utf8("source"),
                utf8("stream"),
                utf8("table_name"),
                time("started_at"),
                time("ended_at"),
                int("files"),
                int("rows"),
                int("rejected"),
                int("bytes"),
                int("version"),
                utf8("status"),
                utf8("error"),
                // What the stream remembers: a cursor, a position in a log.
                utf8("state"),
            ],
            Journal::RejectedRows => vec![
                utf8("load_id"),
                time("rejected_at"),
                utf8("source"),
                utf8("stream"),
                utf8("file"),
                int("line"),
                utf8("reason"),
                utf8("record"),
            ],
            Journal::Runs => vec![
                utf8("run_id"),
                utf8("node"),
                utf8("materialization"),
                time("started_at"),
                time("ended_at"),
                utf8("status"),
                int("rows"),
                int("version"),
                utf8("message"),
            ],
            Journal::TestResults => vec![
                utf8("run_id"),
                utf8("test"),
                utf8("node"),
                utf8("severity"),
                utf8("status"),
                int("failures"),
                time("executed_at"),
                utf8("sql"),
            ],
        }))
    }
}

impl Lake {
    /// Appends rows of the journal's schema, as one commit. Many rows go through [`Lake::write`] with
    /// [`Journal::table`] instead.
    pub async fn journal(&self, journal: Journal, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if rows.schema().fields() != journal.schema().fields() {
            return Err(Error::failed(
                format!("appending to ops.{}", journal.name()),
                "the columns are not the journal's",
            ));
        }
        let write = Write::new(Mode::Append, journal.schema());
        let stream = futures::stream::iter([Ok(rows)]);
        let stream = Box::pin(RecordBatchStreamAdapter::new(journal.schema(), stream));
        self.write(&journal.table()?, write, vec![stream]).await.map(|_| ())
    }
}
