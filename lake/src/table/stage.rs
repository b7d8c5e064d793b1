//! Incoming rows become files before anything is known about the rows that are there; what turns out not to be wanted
//! is taken out of them again.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, BooleanBufferBuilder};
use arrow::compute::{filter_record_batch, not, prep_null_mask_filter};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::conform::conform;
use cordada_core::spelling::Former;
use cordada_core::threads::not_joined;
use cordada_core::{Classify, Context, Error, Result, TableName};
use datafusion::execution::SendableRecordBatchStream;
use deltalake::kernel::Add;
use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::incoming::IncomingRows;
use crate::lake::Lake;
use crate::table::constraints::{Constraints, TakeBroken};
use crate::table::data_file::{self, FileWriter};
use crate::table::fate::Findings;
use crate::table::history::{self, History};
use crate::table::keys::{Duplicates, Key, KeyBounds, KeyIndex, RowPosition};
use crate::table::snapshot::{self, DataFile};
use crate::table::statistics;

/// Where a write's files go, and the columns they have.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) lake: Lake,
    pub(crate) path: String,
    /// The table's columns.
    pub(crate) schema: SchemaRef,
    /// Those of them that no row has a value of, and so no file of ours has.
    pub(crate) open: Vec<String>,
    /// What is known of the rows that are there.
    pub(crate) former: Arc<Former>,
    /// Row groups that the write may have in memory at a time while it rewrites files.
    pub(crate) turns: Arc<Semaphore>,
}

impl Folder {
    /// The folder at `path` in the lake, for files of `schema`.
    pub(crate) fn new(lake: &Lake, path: &str, schema: &SchemaRef) -> Self {
        Self {
            lake: lake.clone(),
            path: path.to_owned(),
            schema: schema.clone(),
            open: Vec::new(),
            former: Arc::default(),
            turns: Arc::new(Semaphore::new(lake.parallelism())),
        }
    }

    /// The columns that files of ours have.
    pub(crate) fn written(&self) -> SchemaRef {
        snapshot::written(&self.schema, &self.open, &[])
    }

    fn writer(&self, written: &SchemaRef) -> Result<FileWriter> {
        FileWriter::new(&self.lake, &self.path, written.clone())
    }

    /// The columns that a file gets for the rows of `file`: an open one too if another engine wrote it.
    async fn written_for(&self, file: &DataFile) -> Result<SchemaRef> {
        if self.open.is_empty() {
            return Ok(self.schema.clone());
        }
        let size = u64::try_from(file.add.size).unwrap_or_default();
        let has = data_file::columns(self.lake.object_store(), &file.location, size).await?;
        Ok(snapshot::written(&self.schema, &self.open, &has))
    }

    /// Rows of a file that is there, with the table's columns.
    pub(crate) fn conform(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        conform(rows, &self.schema, &self.former)
    }

    /// Writes the file's rows again, as `change` makes them; it is given the rows' numbers in the file as well.
    pub(crate) async fn rewrite(
        &self,
        file: &DataFile,
        mut change: impl FnMut(Range<usize>, RecordBatch) -> Result<RecordBatch> + Send,
    ) -> Result<Vec<Add>> {
        let store = self.lake.object_store();
        let columns = self.written_for(file).await?;
        let mut writer = self.writer(&columns)?;
        let copied = async {
            let size = u64::try_from(file.add.size).unwrap_or_default();
            let mut batches = data_file::read(store, &file.location, size, None).await?;
            let mut row = 0;
            while let Some(batch) = batches.next().await {
                let batch = self.conform(&batch?)?;
                let rows = row..row + batch.num_rows();
                row = rows.end;
                let batch = change(rows, batch)?;
                writer.write(&written(&batch, &columns)?).await?;
            }
            writer.end().await
        };
        let copied = copied.await;
        self.keep(writer, copied).await
    }

    /// The files of an ended writer; or the error, once they are discarded.
    async fn keep(&self, writer: FileWriter, ended: Result<()>) -> Result<Vec<Add>> {
        let files = writer.into_files();
        if let Err(error) = ended {
            data_file::discard(self.lake.object_store(), &self.path, &files).await;
            return Err(error);
        }
        Ok(files)
    }
}

/// Which incoming rows a table lets in.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) constraints: Arc<Constraints>,
    /// What takes the others; without it there must be none.
    pub(crate) broken: Option<TakeBroken>,
}

/// How a write by key treats its incoming rows.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) key: Key,
    pub(crate) duplicates: Duplicates,
    /// The Boolean column of rows that only delete.
    pub(crate) deleted: Option<String>,
    pub(crate) history: Option<Arc<History>>,
}

/// The incoming rows as files, and which of them count.
pub(crate) struct StagedRows {
    pub(crate) files: Vec<StagedFile>,
    /// If the write goes by key.
    pub(crate) incoming: Option<IncomingRows>,
    /// Rows that another one with the same key supersedes.
    pub(crate) superseded: Vec<RowPosition>,
}

/// One file of incoming rows.
pub(crate) struct StagedFile {
    add: Add,
    partition: u16,
    /// The numbers of its rows among the partition's.
    rows: Range<u64>,
}

/// Writes the incoming rows as files, each partition in a task of its own; their entries go to `added`, also when
/// it fails.
pub(crate) async fn stage(
    folder: &Folder,
    table: &TableName,
    partitions: Vec<SendableRecordBatchStream>,
    admission: &Admission,
    rules: Option<&Rules>,
    added: &mut Vec<Add>,
) -> Result<StagedRows> {
    let doing = format!("writing {table}");
    let index = rules.map(|rules| Arc::new(KeyIndex::new(rules.duplicates)));
    let columns = snapshot::written(&folder.schema, &folder.open, &[]);
    let mut tasks = JoinSet::new();
    let stop = CancellationToken::new();
    for (number, rows) in partitions.into_iter().enumerate() {
        let number = u16::try_from(number).map_err(|_| Error::failed(&doing, "there are too many partitions"))?;
        let partition = Partition {
            number,
            writer: folder.writer(&columns)?,
            schema: folder.schema.clone(),
            written: columns.clone(),
            admission: admission.clone(),
            rules: rules.cloned(),
            index: index.clone(),
            doing: doing.clone(),
            bounds: KeyBounds::default(),
            contents: Vec::new(),
            rows: 0,
        };
        tasks.spawn(partition.run(rows, stop.clone()));
    }
    let mut done = Vec::new();
    let mut failure = None;
    while let Some(joined) = tasks.join_next().await {
        // The others are asked to stop, and not aborted: what they have written must be known to be discarded.
        let error = match joined {
            Ok((partition, ended)) => {
                done.push(partition);
                ended.err()
            }
            Err(ended) => Some(not_joined(&doing, &ended)),
        };
        if let Some(error) = error {
            stop.cancel();
            failure.get_or_insert(error);
        }
    }
    done.sort_by_key(|partition| partition.number);
    let mut files = Vec::new();
    let mut bounds = KeyBounds::default();
    let mut contents = Vec::new();
    for partition in done {
        bounds.merge(partition.bounds);
        contents.push(partition.contents);
        let mut start = 0;
        for add in partition.writer.into_files() {
            let rows = add.stats.as_deref().and_then(statistics::rows).unwrap_or_default();
            added.push(add.clone());
            files.push(StagedFile {
                add,
                partition: partition.number,
                rows: start..start + rows,
            });
            start += rows;
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let (incoming, superseded) = match index.and_then(Arc::into_inner).map(KeyIndex::finish) {
        Some((keys, superseded)) => (Some(IncomingRows { keys, bounds, contents }), superseded),
        None => (None, Vec::new()),
    };
    Ok(StagedRows {
        files,
        incoming,
        superseded,
    })
}

/// One partition of incoming rows on its way into files.
struct Partition {
    number: u16,
    writer: FileWriter,
    schema: SchemaRef,
    written: SchemaRef,
    admission: Admission,
    rules: Option<Rules>,
    index: Option<Arc<KeyIndex>>,
    doing: String,
    bounds: KeyBounds,
    contents: Vec<u128>,
    /// How many landed.
    rows: u64,
}

impl Partition {
    async fn run(mut self, mut rows: SendableRecordBatchStream, stop: CancellationToken) -> (Self, Result<()>) {
        let mut ended = Ok(());
        while let Some(Some(batch)) = stop.run_until_cancelled(rows.next()).await {
            ended = match batch {
                Ok(batch) => self.take(&batch).await,
                Err(error) => Err(error.classify(self.doing.clone())),
            };
            if ended.is_err() {
                break;
            }
        }
        let closed = self.writer.end().await;
        self.index = None;
        (self, ended.and(closed))
    }

    async fn take(&mut self, incoming: &RecordBatch) -> Result<()> {
        let (incoming, mut batch) = self.admit(incoming)?;
        if let (Some(rules), Some(index)) = (&self.rules, &self.index) {
            let lands = rules
                .deleted
                .as_ref()
                .map(|deleted| landing(&incoming, deleted))
                .transpose()?;
            self.bounds.extend(&rules.key, &batch)?;
            for (row, hash) in rules.key.hashes(&batch)?.into_iter().enumerate() {
                if lands.as_ref().is_none_or(|lands| lands.value(row)) {
                    index.add(hash, RowPosition::row(self.number, self.rows));
                    self.rows += 1;
                } else {
                    index.add(hash, RowPosition::deletes(self.number));
                }
            }
            if let Some(lands) = &lands {
                batch = filter_record_batch(&batch, lands).doing(|| &self.doing)?;
            }
            if let Some(history) = &rules.history {
                batch = history.begin(batch, &mut self.contents)?;
            }
        }
        self.writer.write(&written(&batch, &self.written)?).await
    }

    /// The rows that the table lets in: as they came in, and with the table's columns.
    fn admit(&self, incoming: &RecordBatch) -> Result<(RecordBatch, RecordBatch)> {
        let batch = conform(incoming, &self.schema, &Former::default())?;
        let mut broken = self.admission.constraints.broken(&batch)?;
        let deleted = self.rules.as_ref().and_then(|rules| rules.deleted.as_deref());
        if let Some(deleted) = deleted.filter(|_| !broken.is_empty()) {
            let lands = landing(incoming, deleted)?;
            broken.retain(|broken| lands.value(broken.row));
        }
        let Some(first) = broken.first() else {
            return Ok((incoming.clone(), batch));
        };
        let Some(take) = &self.admission.broken else {
            let rows = broken.iter().filter(|broken| broken.reason == first.reason).count();
            let why = format!("{}; rows that break it, at least: {rows}", first.reason);
            return Err(Error::failed(&self.doing, why).hint("mend the rows, or drop the constraint"));
        };
        take.take(incoming, &broken)?;
        let mut keep = BooleanBufferBuilder::new(batch.num_rows());
        keep.append_n(batch.num_rows(), true);
        for broken in &broken {
            keep.set_bit(broken.row, false);
        }
        let keep = BooleanArray::new(keep.finish(), None);
        let kept = |batch: &RecordBatch| filter_record_batch(batch, &keep).doing(|| &self.doing);
        Ok((kept(incoming)?, kept(&batch)?))
    }
}

/// The rows as files have them, of the table's columns.
pub(crate) fn written(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.num_columns() == schema.fields().len() {
        return Ok(batch.clone());
    }
    conform(batch, schema, &Former::default())
}

/// Which rows land: those that `deleted` does not say are gone.
fn landing(batch: &RecordBatch, deleted: &str) -> Result<BooleanArray> {
    let column = batch
        .column_by_name(deleted)
        .and_then(|column| column.as_any().downcast_ref::<BooleanArray>());
    let doing = || format!("reading which rows are deleted, in column {deleted}");
    let column = column.ok_or_else(|| Error::failed(doing(), "a batch has no such Boolean column"))?;
    let gone = match column.null_count() {
        0 => column.clone(),
        _ => prep_null_mask_filter(column),
    };
    not(&gone).doing(doing)
}

/// The incoming columns without the one that says which rows are deleted.
pub(crate) fn without_deleted(table: &TableName, incoming: &Schema, deleted: &str) -> Result<Schema> {
    let doing = || format!("writing {table}");
    match incoming.field_with_name(deleted).map(|field| field.data_type()) {
        Ok(DataType::Boolean) => {
            let fields = incoming.fields().iter().filter(|field| field.name() != deleted);
            Ok(Schema::new(fields.cloned().collect::<Vec<_>>()))
        }
        Ok(other) => Err(Error::config(
            doing(),
            format!("the column `{deleted}`, which says what rows are deleted, is a {other}"),
        )
        .hint("make it a Boolean")),
        Err(_) => Err(Error::config(
            doing(),
            format!("there is no column `{deleted}`, which says what rows are deleted"),
        )),
    }
}

/// Makes of the staged files what was found out about their rows; `added` has the files' entries, and gets those of
/// what they become.
pub(crate) async fn settle(
    folder: &Folder,
    files: &[StagedFile],
    findings: Findings,
    added: &mut Vec<Add>,
) -> Result<()> {
    let Findings {
        mut unwanted,
        mut later,
    } = findings;
    unwanted.sort_unstable();
    unwanted.dedup();
    later.sort_unstable();
    for file in files {
        let first = RowPosition::row(file.partition, file.rows.start);
        let end = RowPosition::row(file.partition, file.rows.end);
        let unwanted = &unwanted[within(&unwanted, |position| *position, first, end)];
        let later = &later[within(&later, |(position, _)| *position, first, end)];
        if unwanted.is_empty() && later.is_empty() {
            continue;
        }
        let number = |position: RowPosition| {
            let row = position.parts().1.unwrap_or(file.rows.start);
            (row - file.rows.start) as usize
        };
        let rows = (file.rows.end - file.rows.start) as usize;
        if unwanted.len() < rows {
            let mut keep = BooleanBufferBuilder::new(rows);
            keep.append_n(rows, true);
            for position in unwanted {
                keep.set_bit(number(*position), false);
            }
            let keep = keep.finish();
            let old = DataFile::new(&folder.path, file.add.clone(), &folder.schema);
            if later.is_empty() {
                added.extend(folder.keep_rows(&old, &keep).await?);
            } else {
                let fewer = folder.rewrite(&old, |rows, mut batch| {
                    let place = |row: usize| RowPosition::row(file.partition, file.rows.start + row as u64);
                    let later = &later[within(later, |(position, _)| *position, place(rows.start), place(rows.end))];
                    if !later.is_empty() {
                        let begins = later
                            .iter()
                            .map(|(position, begin)| (number(*position) - rows.start, *begin));
                        batch = history::begin_later(batch, begins)?;
                    }
                    let keep = BooleanArray::new(keep.slice(rows.start, rows.len()), None);
                    filter_record_batch(&batch, &keep).doing(|| format!("rewriting {}", old.location))
                });
                added.extend(fewer.await?);
            }
        }
        added.retain(|add| add.path != file.add.path);
        data_file::discard(
            folder.lake.object_store(),
            &folder.path,
            std::slice::from_ref(&file.add),
        )
        .await;
    }
    Ok(())
}

/// Which of the sorted items are at positions from `first` to before `end`.
fn within<T>(items: &[T], position: impl Fn(&T) -> RowPosition, first: RowPosition, end: RowPosition) -> Range<usize> {
    let start = items.partition_point(|item| position(item) < first);
    start..items.partition_point(|item| position(item) < end)
}
