//! Writing a table: batches in, one Delta commit out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Fields, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, Add, Metadata, MetadataExt, Protocol, StructType, Transaction, new_metadata};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::StreamExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::data_file::{self, FileWriter};
use crate::error::{Classify, Context, Error, Result};
use crate::lake::Lake;
use crate::names::TableName;
use crate::snapshot::{DataFile, TableSnapshot, data_file};
use crate::types;
use crate::upsert::{self, KeyIndex};

/// What a write does with the rows that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Keeps them and adds the new ones.
    Append,
    /// Replaces all of them; the schema becomes the new rows' own.
    Overwrite,
    /// Replaces those with the same key. Of new rows with the same key the last one stays: a later partition's
    /// before an earlier one's, a later row's before an earlier one's.
    Upsert {
        /// The columns that identify a row. Null equals null.
        key: Vec<String>,
    },
}

/// Which state of the table the write builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The newest version, published or not.
    Latest,
    /// This version: whatever later versions changed is undone in the same commit.
    Version(u64),
    /// Nothing: as if the table were empty.
    Nothing,
}

/// A write to be done.
#[derive(Debug, Clone)]
pub struct Write {
    /// What to do with the rows that are there.
    pub mode: Mode,
    /// The state to build on.
    pub base: Base,
    /// The new rows' columns, any Arrow types; what Delta cannot hold is converted ([`crate::types::storable`]).
    /// Of the field metadata `comment` (text for people) and `pii` (no statistics for that column) are kept.
    pub schema: SchemaRef,
    /// Whether a column that no longer fits its type makes the table's column wider, rewriting its files in
    /// the same commit. Otherwise such a write is refused.
    pub widen: bool,
    /// Application transactions that go into the same commit: `(application id, version)`.
    pub transactions: Vec<(String, i64)>,
}

impl Write {
    /// A write of rows of `schema` in `mode` on the latest version.
    pub fn new(mode: Mode, schema: SchemaRef) -> Self {
        Self {
            mode,
            base: Base::Latest,
            schema,
            widen: false,
            transactions: Vec::new(),
        }
    }
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The Delta version it made.
    pub version: u64,
    /// Rows that it added, replaced ones included.
    pub rows_added: u64,
    /// Rows of the table that went: replaced by the same key, or overwritten.
    pub rows_removed: u64,
    /// Rows that the table has now.
    pub rows: u64,
    /// Bytes of the new files.
    pub bytes_added: u64,
}

impl Lake {
    /// Writes the rows of all partitions, each partition in a task of its own, as one commit.
    ///
    /// Creates the table when there is none. Columns that the table lacks are added to it; columns that the
    /// rows lack become null. If anything fails, or the future is dropped, the table is as it was.
    ///
    /// # Errors
    /// Config for a type that does not fit, a key column that is missing; conflict when another writer came first.
    pub async fn write(
        &self,
        table: &TableName,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
    ) -> Result<Written> {
        let path = self.path_of(table);
        let turn = self.writer(&path);
        let _turn = turn.lock().await;
        Writing::begin(self, table, &path, write).await?.run(partitions).await
    }
}

/// A write in progress.
struct Writing<'a> {
    lake: &'a Lake,
    table: &'a TableName,
    path: &'a str,
    write: Write,
    /// The newest version, if the table exists.
    latest: Option<Arc<TableSnapshot>>,
    /// The files that the write builds on, and their columns.
    base: Vec<DataFile>,
    /// The columns that the table will have.
    schema: SchemaRef,
    /// Whether the base's files must be rewritten because a column became wider.
    widened: bool,
}

/// The files that a write made, and how many rows and files it took from the base.
#[derive(Default)]
struct Outcome {
    added: Vec<Add>,
    /// Indexes into the base.
    replaced: Vec<usize>,
    rows_removed: u64,
}

impl<'a> Writing<'a> {
    async fn begin(lake: &'a Lake, table: &'a TableName, path: &'a str, write: Write) -> Result<Self> {
        let latest = match lake.latest_version_at(path).await? {
            Some(version) => Some(lake.snapshot(path, version).await?),
            None => None,
        };
        let base = match (&write.mode, write.base, &latest) {
            (Mode::Overwrite, ..) | (_, Base::Nothing, _) | (_, _, None) => None,
            (_, Base::Latest, Some(latest)) => Some(latest.clone()),
            (_, Base::Version(version), Some(_)) => Some(lake.snapshot(path, version).await?),
        };
        let incoming = types::storable(&write.schema);
        check_names(table, &incoming)?;
        let (schema, widened) = match &base {
            None => (Arc::new(incoming), false),
            Some(base) => evolve(table, base.schema(), &incoming, write.widen)?,
        };
        let base = base.map(|base| base.files().to_vec()).unwrap_or_default();
        Ok(Self {
            lake,
            table,
            path,
            write,
            latest,
            base,
            schema,
            widened,
        })
    }

    async fn run(self, partitions: Vec<SendableRecordBatchStream>) -> Result<Written> {
        let mut outcome = Outcome::default();
        if let Err(error) = self.produce(partitions, &mut outcome).await {
            data_file::discard(self.lake.object_store(), self.path, &outcome.added).await;
            return Err(error);
        }
        // From here on nothing is discarded: a commit that reports an error may be durable all the same (its
        // checkpoint failed, its answer was lost), and then the files are the table's. Otherwise they are garbage.
        self.commit(&outcome).await
    }

    /// Writes all files that the commit will add, into `outcome` as they come, so that a failure can discard them.
    async fn produce(&self, partitions: Vec<SendableRecordBatchStream>, outcome: &mut Outcome) -> Result<()> {
        let key = match &self.write.mode {
            Mode::Upsert { key } => Some(upsert::Key::new(self.table, key, &self.schema)?),
            Mode::Append | Mode::Overwrite => None,
        };
        let index = self.stage(partitions, key.as_ref(), outcome).await?;
        if let (Some(key), Some(index)) = (key, index) {
            let (lake, path, schema) = (self.lake.clone(), self.path.to_owned(), self.schema.clone());
            let target = upsert::Target {
                lake,
                path,
                schema,
                key,
            };
            target.drop_superseded(&index, &mut outcome.added).await?;
            let replaced = target.replace(index, &outcome.added, &self.base, self.widened).await?;
            for (file, rewritten) in replaced {
                outcome.replaced.push(file);
                outcome.rows_removed += rewritten.rows_removed;
                outcome.added.extend(rewritten.files);
            }
        } else if self.widened {
            for (index, file) in self.base.iter().enumerate() {
                outcome
                    .added
                    .extend(upsert::rewrite(self.lake, self.path, &self.schema, file, None).await?);
                outcome.replaced.push(index);
            }
        }
        Ok(())
    }

    /// Writes the incoming rows as files; for an upsert, with the index of their keys.
    async fn stage(
        &self,
        partitions: Vec<SendableRecordBatchStream>,
        key: Option<&upsert::Key>,
        outcome: &mut Outcome,
    ) -> Result<Option<KeyIndex>> {
        let mut tasks = JoinSet::new();
        let stop = CancellationToken::new();
        for (number, partition) in partitions.into_iter().enumerate() {
            let writer = FileWriter::new(self.lake.object_store().clone(), self.path, self.schema.clone())?;
            let doing = format!("writing {}", self.table);
            tasks.spawn(write_partition(
                number,
                partition,
                writer,
                self.schema.clone(),
                key.cloned(),
                doing,
                stop.clone(),
            ));
        }
        let mut written = Vec::new();
        let mut failure = None;
        while let Some(joined) = tasks.join_next().await {
            let joined = joined.map_err(|error| Error::failed(format!("writing {}", self.table), error));
            match joined.and_then(|result| result) {
                Ok(partition) => written.push(partition),
                // The others are asked to stop, and not aborted: what they have written must be known to be discarded.
                Err(error) => {
                    stop.cancel();
                    failure.get_or_insert(error);
                }
            }
        }
        written.sort_by_key(|partition| partition.number);
        let mut index = key.map(|_| KeyIndex::default());
        for partition in written {
            if let (Some(index), Some(keys)) = (&mut index, partition.keys) {
                index.add_partition(keys, &partition.files, outcome.added.len());
            }
            outcome.added.extend(partition.files);
        }
        failure.map_or(Ok(index), Err)
    }

    async fn commit(&self, outcome: &Outcome) -> Result<Written> {
        let mut actions = Vec::new();
        self.describe(&mut actions)?;
        let replaced: Vec<&str> = outcome
            .replaced
            .iter()
            .map(|&file| self.base[file].add.path.as_str())
            .collect();
        let kept: HashMap<&str, &DataFile> = self
            .base
            .iter()
            .map(|file| (file.add.path.as_str(), file))
            .filter(|(path, _)| !replaced.contains(path))
            .collect();
        let latest = self.latest.as_deref().map(TableSnapshot::files).unwrap_or_default();
        let gone = latest.iter().filter(|file| !kept.contains_key(file.add.path.as_str()));
        actions.extend(gone.map(|file| Action::Remove(file.remove())));
        // What a version that is being undone had taken away comes back.
        let back = kept
            .values()
            .filter(|file| !latest.iter().any(|there| there.add.path == file.add.path));
        actions.extend(back.map(|file| Action::Add(file.add.clone())));
        actions.extend(outcome.added.iter().cloned().map(Action::Add));

        let transactions = self
            .write
            .transactions
            .iter()
            .map(|(id, version)| Transaction::new(id, *version));
        let overwrites = self.write.mode != Mode::Append;
        let append_only = !overwrites && self.write.base == Base::Latest && !self.widened;
        let mut properties = CommitProperties::default()
            // Old versions belong to old releases: only the lake's own maintenance may clean the log up.
            .with_cleanup_expired_logs(Some(false))
            .with_application_transactions(transactions.collect());
        if !append_only {
            // Whatever somebody else commits meanwhile could be undone or doubled by this one.
            properties = properties.with_max_retries(0);
        }
        let operation = DeltaOperation::Write {
            mode: if overwrites {
                SaveMode::Overwrite
            } else {
                SaveMode::Append
            },
            partition_by: None,
            predicate: None,
        };
        let state = self
            .latest
            .as_deref()
            .map(|latest| latest.state() as &dyn TableReference);
        let finished = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(state, self.lake.log_store(self.path)?, operation)
            .await
            .doing(|| format!("committing {}", self.table))?;

        let rows = |files: &[Add]| {
            files
                .iter()
                .filter_map(|add| data_file(self.path, add.clone(), &self.schema).rows())
                .sum()
        };
        let rows_written: u64 = rows(&outcome.added);
        let kept_rows: u64 = kept.values().filter_map(|file| file.rows()).sum();
        let base_rows: u64 = self.base.iter().filter_map(DataFile::rows).sum();
        let latest_rows: u64 = latest.iter().filter_map(DataFile::rows).sum();
        let total = kept_rows + rows_written;
        let rows_removed = if self.base.is_empty() {
            latest_rows
        } else {
            outcome.rows_removed
        };
        Ok(Written {
            version: finished.version(),
            rows_added: total + outcome.rows_removed - base_rows,
            rows_removed,
            rows: total,
            bytes_added: outcome
                .added
                .iter()
                .map(|add| u64::try_from(add.size).unwrap_or_default())
                .sum(),
        })
    }

    /// The protocol of a new table, and the columns where they are new.
    fn describe(&self, actions: &mut Vec<Action>) -> Result<()> {
        let doing = || format!("describing the columns of {}", self.table);
        let columns: StructType = self.schema.as_ref().try_into_kernel().doing(doing)?;
        match &self.latest {
            None => {
                let protocol = serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2});
                let protocol: Protocol = serde_json::from_value(protocol).doing(doing)?;
                let metadata: Metadata = new_metadata(&columns, [""; 0], [("", ""); 0])
                    .and_then(|m| m.with_name(self.table.to_string()))
                    .doing(doing)?;
                actions.extend([Action::Protocol(protocol), Action::Metadata(metadata)]);
            }
            Some(latest) if latest.schema() != &self.schema => {
                let metadata = latest.state().metadata().clone().with_schema(&columns).doing(doing)?;
                actions.push(Action::Metadata(metadata));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

struct PartitionWritten {
    number: usize,
    files: Vec<Add>,
    keys: Option<upsert::PartitionKeys>,
}

async fn write_partition(
    number: usize,
    mut partition: SendableRecordBatchStream,
    mut writer: FileWriter,
    schema: SchemaRef,
    key: Option<upsert::Key>,
    doing: String,
    stop: CancellationToken,
) -> Result<PartitionWritten> {
    let mut keys = key.as_ref().map(|_| upsert::PartitionKeys::default());
    while let Some(Some(batch)) = stop.run_until_cancelled(partition.next()).await {
        let batch: RecordBatch = batch.map_err(|error| error.classify(doing.clone()))?;
        let batch = types::conform(&batch, &schema)?;
        if let (Some(key), Some(keys)) = (&key, &mut keys) {
            keys.extend(key.hashes(&batch)?);
        }
        writer.write(&batch).await?;
    }
    Ok(PartitionWritten {
        number,
        files: writer.finish().await?,
        keys,
    })
}

/// The table's columns after rows of `incoming` joined it, and whether any became wider.
fn evolve(table: &TableName, ours: &SchemaRef, incoming: &Schema, widen: bool) -> Result<(SchemaRef, bool)> {
    let merged = types::merge_fields(ours.fields(), incoming.fields());
    let wider: Vec<_> = ours
        .fields()
        .iter()
        .zip(&merged)
        .filter(|(old, new)| old.data_type() != new.data_type())
        .collect();
    // A struct with a field more reads old files as they are; anything else in them has to be cast.
    let widened = !wider.is_empty();
    if widened && !widen {
        let names: Vec<_> = wider
            .iter()
            .map(|(old, new)| format!("{} ({} cannot hold {})", old.name(), old.data_type(), new.data_type()))
            .collect();
        return Err(Error::config(
            format!("writing {table}"),
            format!("types do not fit: {}", names.join(", ")),
        )
        .hint("cast the columns, or rebuild the table with --full-refresh"));
    }
    let schema = Schema::new(Fields::from(merged));
    Ok((Arc::new(schema), widened))
}

fn check_names(table: &TableName, schema: &Schema) -> Result<()> {
    let mut seen = HashMap::new();
    for field in schema.fields() {
        if let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) {
            return Err(Error::config(
                format!("writing {table}"),
                format!("the columns `{other}` and `{}` have the same name", field.name()),
            )
            .hint("rename one of them"));
        }
    }
    if schema.fields().is_empty() {
        return Err(Error::config(format!("writing {table}"), "there are no columns"));
    }
    Ok(())
}
