//! Checkpoints of a log: what a table is at a version, in Parquet, so that earlier entries need not be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, StringArray, StructArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use cordada_core::{Classify, Context, Error, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{DefaultParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use serde::{Deserialize, Serialize};

use super::changes::{AddedFile, Changes, Line, decoded};

/// The folder, within the log's, of files that belong to checkpoints.
const SIDECARS: &str = "_sidecars";

/// Rows a batch: as few as keep the statistics of tables of many columns small.
const BATCH_ROWS: usize = 4096;

/// What a reader of the table wants of a checkpoint, as columns.
const WANTED: [&str; 10] = [
    "protocol",
    "metaData",
    "txn.appId",
    "txn.version",
    "add.path",
    "add.size",
    "add.modificationTime",
    "add.stats",
    "add.deletionVector.storageType",
    "sidecar",
];

/// What `_last_checkpoint` says: where to begin to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hint {
    pub(super) version: u64,
    /// How many actions it has.
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<u64>,
}

impl Hint {
    /// That of a checkpoint in one file.
    pub(super) fn of(version: u64, size: u64) -> Self {
        Self {
            version,
            size,
            parts: None,
        }
    }
}

/// A checkpoint, whole as far as the names of its files tell.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) version: u64,
    pub(super) files: Vec<Path>,
}

impl Checkpoint {
    /// The one that a hint means, unless it has a name of its own.
    pub(super) fn hinted(folder: &Path, hint: &Hint) -> Self {
        let version = hint.version;
        let names = match hint.parts {
            None => vec![format!("{version:020}.checkpoint.parquet")],
            Some(parts) => (1..=parts)
                .map(|part| format!("{version:020}.checkpoint.{part:010}.{parts:010}.parquet"))
                .collect(),
        };
        let files = names
            .into_iter()
            .map(|name| folder.clone().join(name.as_str()))
            .collect();
        Self { version, files }
    }

    /// Those among the files of a log that have all their parts, newest first.
    pub(super) fn among(files: impl IntoIterator<Item = Path>) -> Vec<Self> {
        let mut found: BTreeMap<(u64, String), (usize, Vec<Path>)> = BTreeMap::new();
        for file in files {
            let Some((version, set, parts)) = file.filename().and_then(part_of) else {
                continue;
            };
            let (_, files) = found.entry((version, set)).or_insert((parts, Vec::new()));
            files.push(file);
        }
        let whole = found.into_iter().filter(|(_, (parts, files))| files.len() == *parts);
        whole
            .rev()
            .map(|((version, _), (_, files))| Self { version, files })
            .collect()
    }
}

/// Of which version's checkpoint a file is a part; which of them, if there are several; and of how many parts that is.
fn part_of(name: &str) -> Option<(u64, String, usize)> {
    let (version, rest) = name.split_once(".checkpoint.")?;
    let version = version.parse().ok().filter(|_| version.len() == 20)?;
    match rest.split('.').collect::<Vec<_>>()[..] {
        ["parquet"] => Some((version, String::new(), 1)),
        [_, parts, "parquet"] => Some((version, parts.to_owned(), parts.parse().ok()?)),
        [id, "parquet" | "json"] => Some((version, id.to_owned(), 1)),
        _ => None,
    }
}

/// What a checkpoint says.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// All but its files.
    pub(crate) changes: Changes,
    pub(crate) files: Vec<AddedFile>,
    sidecars: Vec<Path>,
}

/// Reads a checkpoint for what a reader of the table wants.
///
/// # Errors
/// A file of it is missing, or cannot be read.
pub(super) async fn read(store: &Arc<dyn ObjectStore>, checkpoint: &Checkpoint) -> Result<Content> {
    let mut content = Content::default();
    let mut files = checkpoint.files.clone();
    while let Some(file) = files.pop() {
        if file.filename().is_some_and(|name| name.ends_with(".json")) {
            content.read_json(store, &file).await?;
        } else {
            let mut batches = batches(store, &file, Some(&WANTED)).await?;
            while let Some(batch) = batches.try_next().await? {
                content.take(&file, &batch)?;
            }
        }
        files.append(&mut content.sidecars);
    }
    Ok(content)
}

/// The files of a checkpoint that are Parquet, those beside it too.
///
/// # Errors
/// A file of it is missing, or cannot be read.
pub(super) async fn parquet_files(store: &Arc<dyn ObjectStore>, checkpoint: &Checkpoint) -> Result<Vec<Path>> {
    let mut content = Content::default();
    let mut all = checkpoint.files.clone();
    for file in &checkpoint.files {
        if file.filename().is_some_and(|name| name.ends_with(".json")) {
            content.read_json(store, file).await?;
        } else {
            let mut batches = batches(store, file, Some(&["sidecar"])).await?;
            while let Some(batch) = batches.try_next().await? {
                content.take(file, &batch)?;
            }
        }
    }
    all.append(&mut content.sidecars);
    Ok(all)
}

/// The rows of a checkpoint's file, of those columns or all.
///
/// # Errors
/// It is missing, or cannot be read.
pub(super) async fn batches(
    store: &Arc<dyn ObjectStore>,
    file: &Path,
    columns: Option<&[&str]>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let doing = format!("reading {file}");
    let size = store.head(file).await.doing(|| &doing)?.size;
    let reader: Box<dyn AsyncFileReader> = DefaultParquetFileReaderFactory::new(store.clone())
        .create_reader(
            0,
            PartitionedFile::new(file.as_ref(), size),
            None,
            &ExecutionPlanMetricsSet::new(),
        )
        .doing(|| &doing)?;
    // Whatever engine wrote it, text is text then.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options);
    let builder = builder.await.doing(|| &doing)?;
    let mask = match columns {
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        None => ProjectionMask::all(),
    };
    let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
    let batches = batches.doing(|| &doing)?;
    Ok(batches.map_err(move |error| error.classify(doing.clone())).boxed())
}

/// The actions of that kind in a checkpoint's rows, if its file has any.
pub(super) fn actions<'a>(batch: &'a RecordBatch, kind: &str) -> Option<&'a StructArray> {
    let actions = batch.column_by_name(kind)?.as_struct_opt()?;
    (actions.null_count() < actions.len()).then_some(actions)
}

/// A text of actions, such as their path.
pub(super) fn texts<'a>(actions: &'a StructArray, name: &str) -> Option<&'a StringArray> {
    actions.column_by_name(name)?.as_string_opt()
}

impl Content {
    async fn read_json(&mut self, store: &Arc<dyn ObjectStore>, file: &Path) -> Result<()> {
        let doing = || format!("reading {file}");
        let bytes = store.get(file).await.doing(doing)?.bytes().await.doing(doing)?;
        self.take_lines(file, &bytes)
    }

    fn take(&mut self, file: &Path, batch: &RecordBatch) -> Result<()> {
        let malformed = |what: &str| Error::failed(format!("reading {file}"), format!("it has no {what}"));
        if let Some(adds) = actions(batch, "add") {
            let integers = |name: &str| adds.column_by_name(name)?.as_primitive_opt::<Int64Type>();
            let paths = texts(adds, "path").ok_or_else(|| malformed("add.path"))?;
            let sizes = integers("size").ok_or_else(|| malformed("add.size"))?;
            let times = integers("modificationTime").ok_or_else(|| malformed("add.modificationTime"))?;
            let stats = texts(adds, "stats");
            let deletions = adds.column_by_name("deletionVector");
            self.changes.actions += adds.len() - adds.null_count();
            self.files
                .extend((0..adds.len()).filter(|row| adds.is_valid(*row)).map(|row| {
                    AddedFile {
                        path: decoded(paths.value(row)),
                        size: sizes.value(row),
                        modification_time: times.value(row),
                        stats: stats
                            .filter(|stats| stats.is_valid(row))
                            .map(|stats| stats.value(row).to_owned()),
                        has_deletions: deletions.is_some_and(|deletions| deletions.is_valid(row)),
                    }
                }));
        }
        if let Some(txns) = actions(batch, "txn") {
            let ids = texts(txns, "appId").ok_or_else(|| malformed("txn.appId"))?;
            let versions = txns
                .column_by_name("version")
                .and_then(|column| column.as_primitive_opt::<Int64Type>());
            let versions = versions.ok_or_else(|| malformed("txn.version"))?;
            self.changes.actions += txns.len() - txns.null_count();
            let rows = (0..txns.len()).filter(|row| txns.is_valid(*row));
            let numbers = rows.map(|row| (ids.value(row).to_owned(), versions.value(row)));
            self.changes.transactions.extend(numbers);
        }
        let rare = ["protocol", "metaData", "sidecar"];
        let columns: Vec<usize> = rare
            .iter()
            .filter_map(|kind| batch.schema().index_of(kind).ok())
            .collect();
        let rare: Vec<_> = rare.iter().filter_map(|kind| actions(batch, kind)).collect();
        if rare.is_empty() {
            return Ok(());
        }
        let doing = || format!("reading {file}");
        let rows: BooleanArray = (0..batch.num_rows())
            .map(|row| Some(rare.iter().any(|actions| actions.is_valid(row))))
            .collect();
        let rows = batch
            .project(&columns)
            .and_then(|batch| filter_record_batch(&batch, &rows));
        let mut lines = LineDelimitedWriter::new(Vec::new());
        lines.write(&rows.doing(doing)?).doing(doing)?;
        self.take_lines(file, &lines.into_inner())
    }

    fn take_lines(&mut self, file: &Path, json: &[u8]) -> Result<()> {
        let folder: Path = file.parts().take_while(|part| part.as_ref() != "_delta_log").collect();
        let folder = folder.join("_delta_log").join(SIDECARS);
        for line in serde_json::Deserializer::from_slice(json).into_iter::<Line>() {
            let mut line = line.doing(|| format!("reading {file}"))?;
            if let Some(sidecar) = line.sidecar.take() {
                self.sidecars.push(folder.clone().join(sidecar.path.as_str()));
            }
            self.changes.take(line);
        }
        // What a checkpoint has are files, not changes.
        let files = std::mem::take(&mut self.changes.files);
        self.files.extend(files.into_values().flatten());
        Ok(())
    }
}
