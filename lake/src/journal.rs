//! Journals, the tables of `ops`: what ran, what was loaded, what was rejected. Append-only, read at their newest
//! version, never part of a release, so that a run that published nothing is on record too.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use cordada_core::types::PII;
use cordada_core::{Error, Result, TableName};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use crate::lake::Lake;
use crate::table::mode::{Mode, Write};

/// The schema of the journals.
pub const SCHEMA: &str = "ops";

/// A journal, as whoever writes it declares it. Sessions show those that the lake was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    name: &'static str,
    columns: &'static [(&'static str, JournalType)],
}

/// The type of a journal's column, any of which can be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalType {
    /// `Utf8`.
    Text,
    /// `Utf8` that may hold somebody's data: it is tagged, so that no statistics tell of it.
    Personal,
    /// `Int64`.
    Integer,
    /// Microseconds in UTC.
    Time,
}

impl Journal {
    /// The journal `ops.name` with those columns.
    pub const fn new(name: &'static str, columns: &'static [(&'static str, JournalType)]) -> Self {
        Self { name, columns }
    }

    /// Its name in `ops`.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Its table.
    ///
    /// # Errors
    /// As [`TableName::new`].
    pub fn table(self) -> Result<TableName> {
        TableName::new(SCHEMA, self.name)
    }

    /// Its columns.
    pub fn schema(self) -> SchemaRef {
        let fields = self.columns.iter().map(|(name, column)| column.field(name));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

impl JournalType {
    fn field(self, name: &str) -> Field {
        let field = Field::new(name, self.data_type(), true);
        match self {
            Self::Personal => field.with_metadata([(PII.to_owned(), "record".to_owned())].into()),
            _ => field,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Personal => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// Whether the plan reads a journal: those are read as they are now, so that such a plan is good once. `default_schema`
/// is that of tables that are named without one.
///
/// # Errors
/// The plan is not sound.
pub fn is_read_by(plan: &LogicalPlan, default_schema: &str) -> datafusion::error::Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= scan.table_name.schema().unwrap_or(default_schema) == SCHEMA;
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

impl Lake {
    /// Appends rows of the journal's schema, as one commit. Many rows go through [`Lake::write`] with
    /// [`Journal::table`] instead.
    ///
    /// # Errors
    /// Rows with other columns; else as [`Lake::write`].
    pub async fn journal(&self, journal: Journal, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let schema = journal.schema();
        if rows.schema().fields() != schema.fields() {
            return Err(Error::failed(
                format!("appending to {SCHEMA}.{}", journal.name),
                "the columns are not the journal's",
            ));
        }
        let write = Write::new(Mode::Append, schema.clone());
        let stream = futures::stream::iter([Ok(rows)]);
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema, stream));
        self.write(&journal.table()?, write, vec![stream]).await.map(|_| ())
    }
}
