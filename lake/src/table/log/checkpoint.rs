//! Checkpoints of a log: what a table is at a version, in Parquet, so that earlier entries need not be read.

use std::collections::{BTreeMap, HashMap};
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

/// All but the files of the table, as columns; of those, whether some of their rows are deleted.
const HEAD: [&str; 5] = [
    "protocol",
    "metaData",
    "txn.appId",
    "txn.version",
    "add.deletionVector.storageType",
];

/// The files of the table, as columns.
const FILES: [&str; 6] = [
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
pub(crate) struct Checkpoint {
    pub(crate) version: u64,
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

/// What a checkpoint says, but for the files of the table.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) changes: Changes,
    /// Whether rows of some files are deleted, as far as that can be told without those.
    pub(crate) has_deletions: bool,
}

/// Reads what a checkpoint says, but for the files of the table.
///
/// # Errors
/// A file of it is missing, or cannot be read.
pub(super) async fn head(store: &Arc<dyn ObjectStore>, checkpoint: &Checkpoint) -> Result<Head> {
    let mut head = Head::default();
    for file in &checkpoint.files {
        if is_json(file) {
            let changes = json(store, file).await?.changes;
            let mut files = changes.files.values().flatten();
            head.has_deletions |= files.any(|file| file.has_deletions);
            head.changes.extend(Changes {
                files: HashMap::new(),
                ..changes
            });
        } else {
            let mut batches = batches(store, file, Some(&HEAD)).await?;
            while let Some(batch) = batches.try_next().await? {
                head.take(file, &batch)?;
            }
        }
    }
    Ok(head)
}

/// Reads the files of the table in a checkpoint.
///
/// # Errors
/// A file of it is missing, or cannot be read; rows of some are deleted.
pub(super) async fn table_files(store: &Arc<dyn ObjectStore>, checkpoint: &Checkpoint) -> Result<Vec<AddedFile>> {
    let mut all = Vec::new();
    let mut parts = checkpoint.files.clone();
    while let Some(part) = parts.pop() {
        if is_json(&part) {
            let Json { changes, sidecars } = json(store, &part).await?;
            all.extend(changes.files.into_values().flatten());
            parts.extend(sidecars);
        } else {
            let mut batches = batches(store, &part, Some(&FILES)).await?;
            while let Some(batch) = batches.try_next().await? {
                take_files(&part, &batch, &mut all)?;
                parts.extend(sidecars(&part, &batch));
            }
        }
    }
    Ok(all)
}

/// The files of a checkpoint, those beside it too.
///
/// # Errors
/// A file of it is missing, or cannot be read.
pub(super) async fn parts(store: &Arc<dyn ObjectStore>, checkpoint: &Checkpoint) -> Result<Vec<Path>> {
    let mut all = checkpoint.files.clone();
    for part in &checkpoint.files {
        if is_json(part) {
            all.extend(json(store, part).await?.sidecars);
        } else {
            let mut batches = batches(store, part, Some(&["sidecar"])).await?;
            while let Some(batch) = batches.try_next().await? {
                all.extend(sidecars(part, &batch));
            }
        }
    }
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

fn malformed(file: &Path, what: &str) -> Error {
    Error::failed(format!("reading {file}"), format!("it has no {what}"))
}

impl Head {
    fn take(&mut self, file: &Path, batch: &RecordBatch) -> Result<()> {
        let actions_before = self.changes.actions;
        if let Some(deletions) = actions(batch, "add").and_then(|adds| adds.column_by_name("deletionVector")) {
            self.has_deletions |= deletions.null_count() < deletions.len();
        }
        if let Some(txns) = actions(batch, "txn") {
            let ids = texts(txns, "appId").ok_or_else(|| malformed(file, "txn.appId"))?;
            let versions = txns
                .column_by_name("version")
                .and_then(|column| column.as_primitive_opt::<Int64Type>());
            let versions = versions.ok_or_else(|| malformed(file, "txn.version"))?;
            let rows = (0..txns.len()).filter(|row| txns.is_valid(*row));
            let numbers = rows.map(|row| (ids.value(row).to_owned(), versions.value(row)));
            self.changes.transactions.extend(numbers);
        }
        for line in rare(file, batch)? {
            self.changes.take(line);
        }
        self.changes.actions = actions_before + batch.num_rows();
        Ok(())
    }
}

/// The rows that are about the table as a whole, of which there are few.
fn rare(file: &Path, batch: &RecordBatch) -> Result<Vec<Line>> {
    let kinds = ["protocol", "metaData"];
    let columns = kinds.iter().filter_map(|kind| batch.schema().index_of(kind).ok());
    let columns: Vec<usize> = columns.collect();
    let there: Vec<_> = kinds.iter().filter_map(|kind| actions(batch, kind)).collect();
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let doing = || format!("reading {file}");
    let rows: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(there.iter().any(|actions| actions.is_valid(row))))
        .collect();
    let rows = batch
        .project(&columns)
        .and_then(|batch| filter_record_batch(&batch, &rows));
    let mut lines = LineDelimitedWriter::new(Vec::new());
    lines.write(&rows.doing(doing)?).doing(doing)?;
    let lines = lines.into_inner();
    let lines = serde_json::Deserializer::from_slice(&lines).into_iter::<Line>();
    lines.collect::<Result<_, _>>().doing(doing)
}

fn take_files(file: &Path, batch: &RecordBatch, files: &mut Vec<AddedFile>) -> Result<()> {
    let Some(adds) = actions(batch, "add") else {
        return Ok(());
    };
    let integers = |name: &str| adds.column_by_name(name)?.as_primitive_opt::<Int64Type>();
    let paths = texts(adds, "path").ok_or_else(|| malformed(file, "add.path"))?;
    let sizes = integers("size").ok_or_else(|| malformed(file, "add.size"))?;
    let times = integers("modificationTime").ok_or_else(|| malformed(file, "add.modificationTime"))?;
    let stats = texts(adds, "stats");
    let deletions = adds.column_by_name("deletionVector");
    for row in (0..adds.len()).filter(|row| adds.is_valid(*row)) {
        files.push(AddedFile {
            path: decoded(paths.value(row)),
            size: sizes.value(row),
            modification_time: times.value(row),
            stats: stats
                .filter(|stats| stats.is_valid(row))
                .map(|stats| stats.value(row).to_owned()),
            has_deletions: deletions.is_some_and(|deletions| deletions.is_valid(row)),
        });
    }
    Ok(())
}

/// The files beside a checkpoint that a part of it names.
fn sidecars(part: &Path, batch: &RecordBatch) -> Vec<Path> {
    let Some(named) = actions(batch, "sidecar") else {
        return Vec::new();
    };
    let names = texts(named, "path")
        .into_iter()
        .flat_map(|names| names.iter().flatten());
    names.map(|name| sidecar(part, name)).collect()
}

fn sidecar(part: &Path, name: &str) -> Path {
    let folder: Path = part.parts().take_while(|part| part.as_ref() != "_delta_log").collect();
    folder.join("_delta_log").join(SIDECARS).join(name)
}

fn is_json(part: &Path) -> bool {
    part.filename().is_some_and(|name| name.ends_with(".json"))
}

/// A part of a checkpoint that is JSON.
struct Json {
    changes: Changes,
    sidecars: Vec<Path>,
}

async fn json(store: &Arc<dyn ObjectStore>, part: &Path) -> Result<Json> {
    let doing = || format!("reading {part}");
    let bytes = store.get(part).await.doing(doing)?.bytes().await.doing(doing)?;
    let (mut changes, mut sidecars) = (Changes::default(), Vec::new());
    for line in serde_json::Deserializer::from_slice(&bytes).into_iter::<Line>() {
        let mut line = line.doing(doing)?;
        sidecars.extend(line.sidecar.take().map(|named| sidecar(part, &named.path)));
        changes.take(line);
    }
    Ok(Json { changes, sidecars })
}
