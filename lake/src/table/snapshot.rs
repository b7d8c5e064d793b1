//! A table at one version: its columns and properties, its files, and what the log says of their rows.
//!
//! A version is made from the one before it and shares with it what did not change. Its files are read when somebody asks
//! for them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};
use cordada_core::{Context, Error, Result, types};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use deltalake::DeltaTableError;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Action, Add, Metadata, Remove, StructType};
use object_store::path::Path;

use crate::delta_error::DeltaContext;
use crate::table::files::{FileList, Files};
use crate::table::layers::Layers;
use crate::table::log::{AddedFile, Changes, Checkpoint, Head, Log, Protocol};
use crate::table::statistics::{self, FileStatistics};

/// The table property that says how columns are named in the files.
const COLUMN_MAPPING: &str = "delta.columnMapping.mode";

/// The table property that lists the columns that no row has a value of yet (JSON).
pub(crate) const OPEN: &str = "cordada.open";

/// What the number of an application takes in memory, about, in bytes: an id of a file's name and a number, in a table
/// that is half full.
const TRANSACTION_BYTES: usize = 192;

/// A table at one version.
#[derive(Debug)]
pub struct TableSnapshot {
    path: String,
    version: u64,
    protocol: Arc<Protocol>,
    metadata: Arc<Metadata>,
    schema: SchemaRef,
    readable: OnceLock<SchemaRef>,
    files: FileList,
    /// The numbers that applications recorded last, by their ids.
    transactions: Layers<i64>,
    since_checkpoint: SinceCheckpoint,
}

/// How much there is to read after the last checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SinceCheckpoint {
    /// The checkpoint, if there is one, and how many actions it has.
    pub(crate) checkpoint: Option<(u64, usize)>,
    pub(crate) versions: u64,
    /// Those of these versions that a checkpoint would keep.
    pub(crate) actions: usize,
}

/// One Parquet file of a table.
#[derive(Debug)]
pub struct DataFile {
    /// Where it is, relative to the lake.
    pub location: Path,
    /// The log's entry, whose path is relative to the table.
    pub add: Add,
    /// The table's columns.
    schema: SchemaRef,
    rows: OnceLock<Option<u64>>,
    statistics: OnceLock<FileStatistics>,
}

impl DataFile {
    /// The file of that entry of the log of the table at `table`, whose columns are those of `schema`.
    pub(crate) fn new(table: &str, add: Add, schema: &SchemaRef) -> Self {
        let location = Path::from_iter(Path::from(table).parts().chain(Path::from(add.path.as_str()).parts()));
        Self {
            location,
            add,
            schema: schema.clone(),
            rows: OnceLock::new(),
            statistics: OnceLock::new(),
        }
    }

    /// The same file where the table has other columns.
    pub(crate) fn with_schema(&self, schema: &SchemaRef) -> Self {
        Self {
            location: self.location.clone(),
            add: self.add.clone(),
            schema: schema.clone(),
            rows: self.rows.clone(),
            statistics: OnceLock::new(),
        }
    }

    /// Whether it is one of a table that has those columns.
    pub(crate) fn has(&self, schema: &SchemaRef) -> bool {
        Arc::ptr_eq(&self.schema, schema)
    }

    /// The number of rows, if the log says it.
    pub fn rows(&self) -> Option<u64> {
        *self
            .rows
            .get_or_init(|| self.add.stats.as_deref().and_then(statistics::rows))
    }

    /// What the log says of the column of that number among the table's; `None` if there is no such column.
    pub fn column(&self, column: usize) -> Option<ColumnStatistics> {
        self.parsed().column(column)
    }

    /// What the log says of the file's rows, for the table's columns.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            num_rows: self
                .rows()
                .map_or(Precision::Absent, |rows| Precision::Exact(rows as usize)),
            total_byte_size: Precision::Inexact(usize::try_from(self.add.size).unwrap_or_default()),
            column_statistics: self.parsed().columns(),
        }
    }

    fn parsed(&self) -> &FileStatistics {
        self.statistics
            .get_or_init(|| FileStatistics::parse(self.add.stats.as_deref(), &self.schema))
    }

    /// The log's entry that takes the file out of the table.
    pub fn remove(&self) -> Remove {
        Remove {
            path: self.add.path.clone(),
            data_change: true,
            deletion_timestamp: Some(chrono::Utc::now().timestamp_millis()),
            extended_file_metadata: Some(true),
            partition_values: Some(self.add.partition_values.clone()),
            size: Some(self.add.size),
            ..Remove::default()
        }
    }

    /// About how much memory it takes, in bytes; its statistics are there twice once a query has asked for them.
    pub(crate) fn bytes(&self) -> usize {
        let stats = self.add.stats.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.location.as_ref().len() + self.add.path.len() + 2 * stats
    }
}

impl TableSnapshot {
    /// The first version of the table at `path` that can be read.
    ///
    /// # Errors
    /// It is not a table that we can read.
    pub(crate) fn first(path: &str, version: u64, changes: Changes) -> Result<Self> {
        Self::make(path, version, None, changes)
    }

    /// The table as a checkpoint of its log has it, with those files if they were read too.
    ///
    /// # Errors
    /// It is not a table that we can read.
    pub(crate) fn of_checkpoint(
        log: &Log,
        checkpoint: Checkpoint,
        head: Head,
        files: Option<Vec<AddedFile>>,
    ) -> Result<Self> {
        let (version, actions) = (checkpoint.version, head.changes.actions);
        let known = files.is_some();
        if head.has_deletions {
            return Err(deletions(log.reading(version)));
        }
        let files = files.into_iter().flatten().map(|file| (file.path.clone(), Some(file)));
        let changes = Changes {
            files: files.collect(),
            ..head.changes
        };
        let mut table = Self::make(log.table(), version, None, changes)?;
        if !known {
            table.files = FileList::at(log.clone(), checkpoint);
        }
        table.since_checkpoint = SinceCheckpoint {
            checkpoint: Some((version, actions)),
            ..SinceCheckpoint::default()
        };
        Ok(table)
    }

    /// The table at a later version, once the changes between them were made.
    ///
    /// # Errors
    /// It is no longer a table that we can read.
    pub(crate) fn then(&self, version: u64, changes: Changes) -> Result<Self> {
        Self::make(&self.path, version, Some(self), changes)
    }

    /// The table as a commit of those actions on `latest` will make it, at the version after it, before anybody commits
    /// them; `latest` is `None` for a table that is yet to be.
    ///
    /// # Errors
    /// It would not be a table that we can read.
    pub(crate) fn candidate(path: &str, latest: Option<&Self>, actions: &[Action]) -> Result<Self> {
        let version = latest.map_or(0, |latest| latest.version + 1);
        Self::make(path, version, latest, Changes::of(actions)?)
    }

    fn make(path: &str, version: u64, before: Option<&Self>, mut changes: Changes) -> Result<Self> {
        let doing = || format!("reading version {version} of the table at {path}");
        let unknown = |what: &str| Error::failed(doing(), format!("its log does not say what {what} it has"));
        let protocol = match changes.protocol.take() {
            Some(protocol) => {
                protocol.check_readable(doing)?;
                Arc::new(protocol)
            }
            None => before
                .map(|before| before.protocol.clone())
                .ok_or_else(|| unknown("protocol"))?,
        };
        let (metadata, schema) = match (changes.metadata.take(), before) {
            (Some(metadata), before) => {
                let schema = Arc::new(columns(&metadata, doing)?);
                let known = before.map(|before| &before.schema).filter(|known| **known == schema);
                (Arc::new(metadata), known.cloned().unwrap_or(schema))
            }
            (None, Some(before)) => (before.metadata.clone(), before.schema.clone()),
            (None, None) => return Err(unknown("columns")),
        };
        let since = before.map(|before| before.since_checkpoint).unwrap_or_default();
        let since_checkpoint = SinceCheckpoint {
            checkpoint: since.checkpoint,
            versions: since.versions + version + 1 - before.map_or(0, |before| before.version + 1),
            actions: since.actions + changes.actions,
        };
        let transactions = before.map(|before| before.transactions.clone()).unwrap_or_default();
        let transactions = transactions.then(std::mem::take(&mut changes.transactions));
        if changes.files.values().flatten().any(|file| file.has_deletions) {
            return Err(deletions(doing()));
        }
        let files = match before {
            Some(before) => before.files.then(path, changes.files, &schema),
            None => FileList::none(&schema).then(path, changes.files, &schema),
        };
        Ok(Self {
            path: path.to_owned(),
            version,
            protocol,
            metadata,
            readable: before
                .filter(|before| Arc::ptr_eq(&before.schema, &schema))
                .map(|before| before.readable.clone())
                .unwrap_or_default(),
            schema,
            files,
            transactions,
            since_checkpoint,
        })
    }

    /// The table's folder, relative to the lake.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The Delta version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Identifies the table: another one at the same place has another id.
    pub fn id(&self) -> &str {
        self.metadata.id()
    }

    /// The columns as the table stores them, with `comment` and `pii` as field metadata.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns as sessions read them.
    pub(crate) fn readable_schema(&self) -> &SchemaRef {
        self.readable.get_or_init(|| types::readable(&self.schema))
    }

    /// The files, oldest first; read now if nobody asked for them before.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn files(&self) -> Result<Arc<Files>> {
        self.files.get(self.version, &self.schema).await.cloned()
    }

    /// The files, if they are in memory.
    pub(crate) fn known_files(&self) -> Option<Arc<Files>> {
        self.files.known(&self.schema)
    }

    /// The table property of that name.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.metadata.configuration().get(name).map(String::as_str)
    }

    /// The columns that no row has a value of yet: they are text to readers, and in none of the files.
    pub fn open_columns(&self) -> Vec<String> {
        let names = self.property(OPEN).map(serde_json::from_str);
        names.and_then(std::result::Result::ok).unwrap_or_default()
    }

    /// The columns with all that is said of them, by whomever.
    ///
    /// # Errors
    /// The log says what is not a column.
    pub(crate) fn described(&self) -> Result<StructType> {
        let doing = || format!("reading the columns of the table at {}", self.path);
        self.metadata.parse_schema().map_err(DeltaTableError::from).doing(doing)
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    pub(crate) fn since_checkpoint(&self) -> SinceCheckpoint {
        self.since_checkpoint
    }

    /// The same version, once the log has that checkpoint of it, of so many actions.
    pub(crate) fn checkpointed(self, log: &Log, checkpoint: Checkpoint, actions: usize) -> Self {
        let since_checkpoint = SinceCheckpoint {
            checkpoint: Some((self.version, actions)),
            ..SinceCheckpoint::default()
        };
        Self {
            since_checkpoint,
            files: self.files.checkpointed(log.clone(), checkpoint),
            ..self
        }
    }

    /// The numbers that those applications recorded last, by their ids.
    pub(crate) fn transactions(&self, ids: &[String]) -> HashMap<String, i64> {
        let known = ids
            .iter()
            .filter_map(|id| Some((id.clone(), *self.transactions.get(id)?)));
        known.collect()
    }

    /// Those whose ids begin with `prefix`.
    pub(crate) fn transactions_beginning(&self, prefix: &str) -> HashMap<String, i64> {
        self.transactions.beginning(prefix)
    }

    /// About how much memory it takes, in bytes, what it shares with other versions included.
    pub(crate) fn bytes(&self) -> usize {
        let transactions = self.transactions.len() * TRANSACTION_BYTES;
        let columns = self.schema.fields().len() * size_of::<ColumnStatistics>();
        let configuration = self.metadata.configuration().iter();
        let properties: usize = configuration.map(|(key, value)| key.len() + value.len()).sum();
        size_of::<Self>() + self.files.bytes() + transactions + 4 * columns + properties
    }
}

/// That rows of files are deleted by what is beside them, which the lake does not read.
pub(crate) fn deletions(doing: String) -> Error {
    let why = "another writer left deletion vectors in the table";
    Error::failed(doing, why).hint("purge them with the tool that wrote them")
}

/// The columns of `schema` that a file gets: all but those that are open, of which it gets what `others` have.
pub(crate) fn written(schema: &SchemaRef, open: &[String], others: &[String]) -> SchemaRef {
    if open.is_empty() {
        return schema.clone();
    }
    let is_written = |name: &String| !open.contains(name) || others.contains(name);
    let fields = schema.fields().iter().filter(|field| is_written(field.name()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

fn columns(metadata: &Metadata, doing: impl Fn() -> String) -> Result<Schema> {
    if !metadata.partition_columns().is_empty() {
        return Err(Error::failed(
            doing(),
            "the table is partitioned, which the lake's own tables never are",
        )
        .hint("rewrite it without partitions"));
    }
    let mapping = metadata.configuration().get(COLUMN_MAPPING);
    if mapping.is_some_and(|mode| mode != "none") {
        let why = "another writer mapped the table's columns to other names in its files";
        return Err(Error::failed(doing(), why).hint("rewrite it without `delta.columnMapping.mode`"));
    }
    let schema = metadata.parse_schema().map_err(DeltaTableError::from).doing(&doing)?;
    let schema: Schema = (&schema).try_into_arrow().doing(&doing)?;
    Ok(types::storable(&schema))
}
