//! Columns of data files that are kept decoded, because they are asked for again and again: to unpack and decode them is
//! most of what reading a table costs.
//!
//! A file never changes, so that what is kept is exact by the file's name and the column's type, whatever the release. A
//! column is decoded by the very scan that reads the file, beside the queries, when it is asked for the second time; what
//! was not asked for longest goes when room is needed, and what would fill the room alone is not kept at all.

mod rows;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};
use cordada_core::Recent;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use object_store::path::Path;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

pub(super) use rows::HotRows;

use crate::table::snapshot::DataFile;

/// The share of the lake's memory that columns may take, one byte in so many.
pub(crate) const MEMORY_PART: usize = 8;
/// The share of that, one byte in so many, that the columns of one scan may take.
const SCAN_PART: usize = 2;
/// Columns of files that a scan may have: to look up more costs more than it saves.
const MOST_COLUMNS: usize = 4096;
/// Columns that were asked for once and are remembered.
const REMEMBERED: usize = 16 * MOST_COLUMNS;
/// Bytes that a value takes whose type does not say so, about: a short text.
const VALUE: usize = 24;

/// The columns that are kept.
#[derive(Debug)]
pub(crate) struct HotColumns {
    kept: Recent<Key, Arc<HotColumn>>,
    /// Those that were asked for and are not kept.
    asked: Recent<Key, ()>,
    /// Bytes of the columns that one scan may have kept.
    largest: usize,
    /// Whose turn it is to decode: one at a time, beside the queries.
    decoding: Arc<Semaphore>,
    /// What is taken from the memory of queries.
    _memory: MemoryReservation,
}

/// A column of a file, as tables read it that have it with that type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    file: Path,
    column: Arc<str>,
    data_type: DataType,
}

/// The values of a column of a file, in the chunks in which the scan gives them.
struct HotColumn(Vec<ArrayRef>);

/// Without the values, which are nobody's who reads a log.
impl fmt::Debug for HotColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} chunks", self.0.len())
    }
}

/// A scan of some columns of one file.
pub(super) struct ColumnScan {
    /// The file.
    pub file: Arc<DataFile>,
    /// The numbers of the columns among those that were asked for.
    pub columns: Vec<usize>,
    /// Gives those columns, in one partition.
    pub plan: Arc<dyn ExecutionPlan>,
}

impl HotColumns {
    /// None yet, and later no more than take `bytes`, which are reserved.
    pub(crate) fn new(bytes: usize, memory: MemoryReservation) -> Self {
        Self {
            kept: Recent::new(bytes),
            asked: Recent::new(REMEMBERED),
            largest: bytes / SCAN_PART,
            decoding: Arc::new(Semaphore::new(1)),
            _memory: memory,
        }
    }

    /// The rows of those files in the columns of `schema`, in their order, if all of them are kept.
    pub(super) fn rows(&self, files: &[&Arc<DataFile>], schema: &SchemaRef) -> Option<Vec<RecordBatch>> {
        if !is_worth_it(files, schema) {
            return None;
        }
        let mut batches = Vec::new();
        for file in files {
            let columns = schema
                .fields()
                .iter()
                .map(|field| self.kept.get(&Key::new(file, field)));
            let columns = columns.collect::<Option<Vec<_>>>()?;
            for chunk in 0..columns.first()?.0.len() {
                let arrays = columns.iter().map(|column| column.0.get(chunk).cloned());
                // Columns that came in chunks of other lengths do not go together: the file is read.
                batches.push(RecordBatch::try_new(schema.clone(), arrays.collect::<Option<_>>()?).ok()?);
            }
        }
        Some(batches)
    }

    /// Takes note that those columns were asked for; says which of them to decode now, file by file: those that were asked
    /// for before, unless all of them together would take too much or others are being decoded.
    pub(super) fn wanted(&self, files: &[&Arc<DataFile>], schema: &SchemaRef) -> Vec<(Arc<DataFile>, Vec<usize>)> {
        if !is_worth_it(files, schema) || files.iter().map(|file| size(file, schema)).sum::<usize>() > self.largest {
            return Vec::new();
        }
        let idle = self.decoding.available_permits() > 0;
        let mut wanted = Vec::new();
        for file in files {
            let missing = schema.fields().iter().enumerate().filter(|(_, field)| {
                let key = Key::new(file, field);
                if self.kept.get(&key).is_some() {
                    return false;
                }
                let now = idle && self.asked.remove(&key).is_some();
                if !now {
                    self.asked.insert(key, (), 1);
                }
                now
            });
            let missing: Vec<_> = missing.map(|(number, _)| number).collect();
            if !missing.is_empty() {
                wanted.push((Arc::clone(file), missing));
            }
        }
        wanted
    }

    /// Decodes what the scans give, of the columns of `schema`, and keeps it: on a thread of its own, so that no statement
    /// waits for it.
    pub(super) fn decode(self: &Arc<Self>, scans: Vec<ColumnScan>, schema: &SchemaRef, context: Arc<TaskContext>) {
        let Ok(turn) = self.decoding.clone().try_acquire_owned() else {
            return;
        };
        let (hot, schema) = (self.clone(), schema.clone());
        let decode = async move {
            let _turn = turn;
            let mut left = hot.largest;
            for scan in scans {
                match hot.decode_file(&scan, &schema, &context, left).await {
                    Ok(Some(bytes)) => left = left.saturating_sub(bytes),
                    Ok(None) => return,
                    Err(error) => {
                        return tracing::debug!(file = %scan.file.location, %error, "a file is not kept decoded");
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("hot-columns".to_owned());
        let started = thread.spawn(|| {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(1)
                .build();
            runtime.map(|runtime| runtime.block_on(decode))
        });
        if let Err(error) = started {
            tracing::debug!(%error, "there is no thread to decode columns on");
        }
    }

    /// Keeps what the scan gives, if it is no more than `most` bytes; says how many they are.
    async fn decode_file(
        &self,
        scan: &ColumnScan,
        schema: &SchemaRef,
        context: &Arc<TaskContext>,
        most: usize,
    ) -> Result<Option<usize>> {
        let mut batches = scan.plan.execute(0, context.clone())?;
        let mut columns: Vec<(Vec<ArrayRef>, usize)> = scan.columns.iter().map(|_| Default::default()).collect();
        let mut seen = HashSet::new();
        while let Some(batch) = batches.try_next().await? {
            for ((chunks, bytes), array) in columns.iter_mut().zip(batch.columns()) {
                *bytes += new_bytes(&array.to_data(), &mut seen);
                chunks.push(array.clone());
            }
            if columns.iter().map(|(_, bytes)| bytes).sum::<usize>() > most {
                return Ok(None);
            }
        }
        let bytes = columns.iter().map(|(_, bytes)| bytes).sum();
        for (number, (chunks, bytes)) in scan.columns.iter().zip(columns) {
            let key = Key::new(&scan.file, schema.field(*number));
            self.kept.insert(key, Arc::new(HotColumn(chunks)), bytes);
        }
        Ok(Some(bytes))
    }

    /// What the columns that are kept take, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.kept.weight()
    }

    /// Waits until nothing is being decoded.
    #[cfg(test)]
    pub(crate) async fn idle(&self) {
        drop(self.decoding.acquire().await);
    }
}

impl Key {
    fn new(file: &DataFile, field: &Field) -> Self {
        Self {
            file: file.location.clone(),
            column: field.name().as_str().into(),
            data_type: field.data_type().clone(),
        }
    }
}

fn is_worth_it(files: &[&Arc<DataFile>], schema: &SchemaRef) -> bool {
    let columns = schema.fields().len();
    columns > 0 && files.len() <= MOST_COLUMNS / columns
}

/// About how many bytes those columns of the file take.
fn size(file: &DataFile, schema: &SchemaRef) -> usize {
    let widths = schema
        .fields()
        .iter()
        .map(|field| field.data_type().primitive_width().unwrap_or(VALUE));
    let rows = file.rows().unwrap_or_else(|| file.add.size.unsigned_abs());
    usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(widths.sum())
}

/// The bytes of the buffers behind the array that were not seen yet: chunks share them.
fn new_bytes(array: &ArrayData, seen: &mut HashSet<usize>) -> usize {
    let nulls = array.nulls().map(|nulls| nulls.inner().inner());
    let own = array.buffers().iter().chain(nulls).map(|buffer| {
        // One that is a part of a page has no capacity of its own.
        let (start, bytes) = match buffer.capacity() {
            0 => (buffer.as_ptr(), buffer.len()),
            capacity => (buffer.data_ptr().as_ptr().cast_const(), capacity),
        };
        if seen.insert(start as usize) { bytes } else { 0 }
    });
    let own: usize = own.sum();
    let children = array.child_data().iter();
    own + size_of::<ArrayRef>() + children.map(|child| new_bytes(child, seen)).sum::<usize>()
}
