//! Writing a checkpoint: the last one, without what later entries changed, and what those say instead. Neither the files
//! of the table nor those that it once had are in memory meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, StructArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::reader::Decoder;
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use super::changes::decoded;
use super::checkpoint::{self, Checkpoint, Hint, actions, texts};
use super::{LAST_CHECKPOINT, Log, PARALLEL_READS};
use crate::table::snapshot::TableSnapshot;

/// The property that says after how many versions there is a checkpoint.
const INTERVAL: &str = "delta.checkpointInterval";

/// Versions without a checkpoint, at least, unless the property says otherwise: to write one after each would cost more
/// than it saves.
const FEWEST_VERSIONS: u64 = 10;

/// Versions without a checkpoint, at most, unless the property says otherwise: each is one more file to read.
const MOST_VERSIONS: u64 = 100;

/// In between, a checkpoint is due when it has grown by this part: what is written again stays a fixed multiple of what is
/// new, however large the table is.
const GROWTH: usize = 4;

/// Rows a batch.
const BATCH_ROWS: usize = 4096;

/// The actions that a checkpoint keeps, each with what tells one of its kind from another. A file that was taken out stays
/// on record, so that those who clean up know since when.
const KINDS: [(&str, Option<&str>); 6] = [
    ("protocol", None),
    ("metaData", None),
    ("txn", Some("appId")),
    ("domainMetadata", Some("domain")),
    ("add", Some("path")),
    ("remove", Some("path")),
];

/// What tells an action from others: the kind, and the name among these.
type Key = (&'static str, String);

/// Whether a checkpoint of the table's version is due.
fn is_due(table: &TableSnapshot) -> bool {
    let since = table.since_checkpoint();
    let asked = table
        .property(INTERVAL)
        .and_then(|versions| versions.parse::<u64>().ok());
    match (asked.filter(|versions| *versions > 0), since.checkpoint) {
        (Some(versions), _) => since.versions >= versions,
        (None, Some((_, actions))) => {
            since.versions >= MOST_VERSIONS || (since.versions >= FEWEST_VERSIONS && since.actions >= actions / GROWTH)
        }
        (None, None) => since.versions >= FEWEST_VERSIONS,
    }
}

impl Log {
    /// Writes a checkpoint of the table's version if one is due; says the table with what is known of it then. It is not
    /// needed, so that a failure is a warning.
    pub(crate) async fn checkpoint_if_due(&self, table: TableSnapshot) -> TableSnapshot {
        if !is_due(&table) {
            return table;
        }
        match self.write_checkpoint(&table).await {
            Ok(actions) => table.checkpointed(actions),
            Err(error) => {
                tracing::warn!(table = table.path(), version = table.version(), %error, "no checkpoint was written");
                table
            }
        }
    }

    /// Writes the checkpoint of the table's version; says how many actions it has.
    pub(crate) async fn write_checkpoint(&self, table: &TableSnapshot) -> Result<usize> {
        let version = table.version();
        let doing = || {
            format!(
                "writing a checkpoint of version {version} of the table at {}",
                self.table
            )
        };
        let before = self.checkpoint_before(table).await?;
        let newer = Newer::read(self, before.as_ref().map_or(0, |before| before.version + 1), version).await?;
        let schema = schema();
        let file = Checkpoint::hinted(&self.folder, &Hint::of(version, 0)).files.remove(0);
        let options = ArrowWriterOptions::new()
            .with_properties(WriterProperties::builder().set_compression(Compression::SNAPPY).build())
            .with_skip_arrow_metadata(true);
        let sink = BufWriter::new(self.store.clone(), file);
        let writer = AsyncArrowWriter::try_new_with_options(sink, schema.clone(), options);
        let mut writer = writer.doing(doing)?;
        let mut decoder = Lines::new(&schema)?;
        if let Some(before) = &before {
            for file in checkpoint::parquet_files(&self.store, before).await? {
                let mut batches = checkpoint::batches(&self.store, &file, Some(&KINDS.map(|(kind, _)| kind))).await?;
                while let Some(batch) = batches.try_next().await? {
                    let batch = newer.without(&batch).doing(doing)?;
                    let rows = match batch.schema() == schema {
                        true => vec![batch],
                        false => decoder.batches(&lines(&batch).doing(doing)?)?,
                    };
                    for rows in rows {
                        writer.write(&rows).await.doing(doing)?;
                    }
                }
            }
        }
        for line in newer.actions.values().flatten() {
            for rows in decoder.batches(line)? {
                writer.write(&rows).await.doing(doing)?;
            }
        }
        if let Some(rows) = decoder.finish()? {
            writer.write(&rows).await.doing(doing)?;
        }
        let written = writer.finish().await.doing(doing)?;
        let actions = usize::try_from(written.file_metadata().num_rows()).unwrap_or_default();
        let hint = serde_json::to_vec(&Hint::of(version, actions as u64)).doing(doing)?;
        let last = self.folder.clone().join(LAST_CHECKPOINT);
        self.store.put(&last, hint.into()).await.doing(doing)?;
        Ok(actions)
    }

    /// The newest checkpoint before the table's version, as far as that is known.
    async fn checkpoint_before(&self, table: &TableSnapshot) -> Result<Option<Checkpoint>> {
        let known = table.since_checkpoint().checkpoint.map(|(version, _)| version);
        let newer = known.unwrap_or(0)..table.version();
        if let Some(hint) = self.hint().await?.filter(|hint| newer.contains(&hint.version)) {
            let hinted = Checkpoint::hinted(&self.folder, &hint);
            if self.store.head(&hinted.files[0]).await.is_ok() {
                return Ok(Some(hinted));
            }
        }
        let Some(known) = known else {
            return Ok(None);
        };
        let (_, checkpoints) = self.list().await?;
        Ok(checkpoints.into_iter().find(|checkpoint| checkpoint.version == known))
    }
}

/// The last action of each key in entries, as a line of JSON; `None` for one that is no more.
struct Newer {
    actions: HashMap<Key, Option<Vec<u8>>>,
}

impl Newer {
    async fn read(log: &Log, first: u64, last: u64) -> Result<Self> {
        let mut actions = HashMap::new();
        let mut entries = stream::iter(first..=last)
            .map(|version| async move { log.entry(version).await.map(|entry| (version, entry)) })
            .buffered(PARALLEL_READS);
        while let Some((version, entry)) = entries.try_next().await? {
            let entry = entry.ok_or_else(|| log.missing(version))?;
            let lines: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&entry).into_iter().collect();
            let mut lines = lines.doing(|| log.reading(version))?;
            // A version that adds a file again as it takes it out has it.
            lines.sort_by_key(|line| line.get("add").is_some());
            for line in lines {
                let Some((kind, name)) = KINDS.iter().find(|(kind, _)| line.get(kind).is_some()) else {
                    continue;
                };
                let action = &line[kind];
                let name = name.and_then(|name| action[name].as_str()).unwrap_or_default();
                let removed = *kind == "domainMetadata" && action["removed"] == Value::Bool(true);
                let text = (!removed).then(|| line.to_string().into_bytes());
                actions.insert(key(kind, name), text);
            }
        }
        Ok(Self { actions })
    }

    /// The rows of a checkpoint that stay.
    fn without(&self, batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
        let kinds = KINDS.iter().filter_map(|(kind, name)| {
            let actions: &StructArray = actions(batch, kind)?;
            let names = name.and_then(|name| texts(actions, name));
            Some((*kind, actions, names))
        });
        let kinds: Vec<_> = kinds.collect();
        let stays = |row: usize| {
            let (kind, _, names) = kinds.iter().find(|(_, actions, _)| actions.is_valid(row))?;
            let name = names.map_or("", |names| names.value(row));
            Some(!self.actions.contains_key(&key(kind, name)))
        };
        let stay: BooleanArray = (0..batch.num_rows())
            .map(|row| Some(stays(row) == Some(true)))
            .collect();
        filter_record_batch(batch, &stay)
    }
}

/// A file is one thing, whether it was added or taken out.
fn key(kind: &'static str, name: &str) -> Key {
    match kind {
        "add" | "remove" => ("file", decoded(name)),
        _ => (kind, name.to_owned()),
    }
}

/// The rows as lines of JSON, which have no columns that are null.
fn lines(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let mut lines = LineDelimitedWriter::new(Vec::new());
    lines.write(batch)?;
    Ok(lines.into_inner())
}

/// Lines of JSON on their way into batches.
struct Lines(Decoder);

impl Lines {
    fn new(schema: &SchemaRef) -> Result<Self> {
        let decoder = ReaderBuilder::new(schema.clone())
            .with_batch_size(BATCH_ROWS)
            .build_decoder();
        decoder.doing(|| "preparing a checkpoint").map(Self)
    }

    /// The batches that have become full.
    fn batches(&mut self, mut lines: &[u8]) -> Result<Vec<RecordBatch>> {
        let mut full = Vec::new();
        loop {
            let taken = self.0.decode(lines).doing(|| "writing a checkpoint")?;
            lines = &lines[taken..];
            if lines.is_empty() {
                return Ok(full);
            }
            full.extend(self.finish()?);
        }
    }

    /// What there is.
    fn finish(&mut self) -> Result<Option<RecordBatch>> {
        self.0.flush().doing(|| "writing a checkpoint")
    }
}

/// The columns of a checkpoint (Delta protocol, "Checkpoint Schema").
fn schema() -> SchemaRef {
    let text = || DataType::Utf8;
    let group = |fields: &[(&str, DataType)]| {
        let fields = fields
            .iter()
            .map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        DataType::Struct(fields.collect())
    };
    let map = || {
        let entry = Fields::from(vec![
            Field::new("key", text(), false),
            Field::new("value", text(), true),
        ]);
        DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
    };
    let list = || DataType::List(Arc::new(Field::new("element", text(), true)));
    let deletions = || {
        group(&[
            ("storageType", text()),
            ("pathOrInlineDv", text()),
            ("offset", DataType::Int32),
            ("sizeInBytes", DataType::Int32),
            ("cardinality", DataType::Int64),
        ])
    };
    let kinds = [
        (
            "txn",
            group(&[
                ("appId", text()),
                ("version", DataType::Int64),
                ("lastUpdated", DataType::Int64),
            ]),
        ),
        (
            "add",
            group(&[
                ("path", text()),
                ("partitionValues", map()),
                ("size", DataType::Int64),
                ("modificationTime", DataType::Int64),
                ("dataChange", DataType::Boolean),
                ("stats", text()),
                ("tags", map()),
                ("deletionVector", deletions()),
            ]),
        ),
        (
            "remove",
            group(&[
                ("path", text()),
                ("deletionTimestamp", DataType::Int64),
                ("dataChange", DataType::Boolean),
                ("extendedFileMetadata", DataType::Boolean),
                ("partitionValues", map()),
                ("size", DataType::Int64),
                ("deletionVector", deletions()),
            ]),
        ),
        (
            "metaData",
            group(&[
                ("id", text()),
                ("name", text()),
                ("description", text()),
                ("format", group(&[("provider", text()), ("options", map())])),
                ("schemaString", text()),
                ("partitionColumns", list()),
                ("configuration", map()),
                ("createdTime", DataType::Int64),
            ]),
        ),
        (
            "protocol",
            group(&[
                ("minReaderVersion", DataType::Int32),
                ("minWriterVersion", DataType::Int32),
                ("readerFeatures", list()),
                ("writerFeatures", list()),
            ]),
        ),
        (
            "domainMetadata",
            group(&[
                ("domain", text()),
                ("configuration", text()),
                ("removed", DataType::Boolean),
            ]),
        ),
    ];
    let fields = kinds
        .into_iter()
        .map(|(kind, data_type)| Field::new(kind, data_type, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
