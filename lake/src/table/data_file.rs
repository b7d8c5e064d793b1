//! Parquet files of a table: written from a stream of batches, read back as one.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::aggregate;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef,
    TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use chrono::Datelike;
use cordada_core::names::ORIGIN;
use cordada_core::{Context, Error, Result, types};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{DefaultParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use deltalake::kernel::Add;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::arrow::{ArrowSchemaConverter, AsyncArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};

use crate::lake::Lake;
use crate::table::snapshot::DataFile;

/// Rows a row group: small enough to bound a writer's memory, large enough for dictionaries to pay.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Bytes after which a writer begins the next file.
const FILE_BYTES: usize = 128 << 20;

/// Bytes that a writer has in memory before it sends them: the least that S3 takes as a part of a file, because as many
/// files are written at a time as there are cores.
const PART_BYTES: usize = 5 << 20;

/// The same for a lake in a folder, which takes any.
const LOCAL_PART_BYTES: usize = 1 << 20;

/// Parts of a file that are on their way at a time, all of them in memory.
const PARTS_AT_ONCE: usize = 2;

/// Bytes of a column's dictionary after which the rest of its row group is written plain: values that differ more
/// than this make the dictionary cost more than it saves.
const DICTIONARY_BYTES: usize = 128 * 1024;

/// Characters of text that go into the log's statistics, as Delta's other writers do.
const TEXT_BOUND: usize = 32;

/// Digits that a decimal may have in the log's statistics: their JSON numbers are doubles to most readers, and beyond
/// these they could be off.
pub(crate) const EXACT_DIGITS: u32 = 15;

/// Years that a bound in the log may have: other readers cannot open a table whose log has one of five digits, or of
/// before Christ.
const YEARS: RangeInclusive<i32> = 1..=9999;

/// Rows a batch when a file is read to be rewritten, as many as a query's scan has: fewer than
/// [`cordada_core::batches::BATCH_ROWS`], because as many files are rewritten at a time as there are cores.
pub(crate) const READ_BATCH_ROWS: usize = 8192;

/// Footers that are read at a time.
const FOOTERS_AT_ONCE: usize = 32;

/// How the name of a file's writer begins if that is us.
pub(crate) const OURS: &str = "cordada ";

/// Writes batches into as many files as their size asks for; the files join a table when their entries are committed.
pub(crate) struct FileWriter {
    lake: Lake,
    table: Path,
    schema: SchemaRef,
    properties: WriterProperties,
    open: Option<(String, AsyncArrowWriter<BufWriter>)>,
    done: Vec<Add>,
}

impl FileWriter {
    /// Files of `schema` (a stored one) for the table at `table`.
    pub(crate) fn new(lake: &Lake, table: &str, schema: SchemaRef) -> Result<Self> {
        let properties = properties(&schema)?;
        Ok(Self {
            lake: lake.clone(),
            table: Path::from(table),
            schema,
            properties,
            open: None,
            done: Vec::new(),
        })
    }

    /// Writes a batch of exactly the writer's schema.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        open.1.write(batch).await.doing(|| self.doing())?;
        self.open = Some(open);
        let (_, writer) = self
            .open
            .as_ref()
            .ok_or_else(|| Error::failed(self.doing(), "no file is open"))?;
        if writer.bytes_written() >= FILE_BYTES {
            self.end().await?;
        }
        Ok(())
    }

    /// The entries of all files that ended, in the order of their rows.
    pub(crate) fn into_files(self) -> Vec<Add> {
        self.done
    }

    fn doing(&self) -> String {
        writing(&self.table)
    }

    fn begin(&self) -> Result<(String, AsyncArrowWriter<BufWriter>)> {
        let (name, sink) = new_file(&self.lake, &self.table);
        let options = options(self.properties.clone());
        let writer = AsyncArrowWriter::try_new_with_options(sink, self.schema.clone(), options);
        Ok((name, writer.doing(|| self.doing())?))
    }

    /// Ends the file that is open, if one is.
    pub(crate) async fn end(&mut self) -> Result<()> {
        let Some((name, mut writer)) = self.open.take() else {
            return Ok(());
        };
        let metadata = writer.finish().await.doing(|| self.doing())?;
        let add = entry(name, writer.bytes_written(), &metadata, &self.schema);
        self.done.push(add.doing(|| self.doing())?);
        Ok(())
    }
}

/// What a writer of the table's files is doing, for errors.
pub(crate) fn writing(table: &Path) -> String {
    format!("writing a data file of the table at {table}")
}

/// A file of the table that is to be written: its name, and where its bytes go.
pub(crate) fn new_file(lake: &Lake, table: &Path) -> (String, BufWriter) {
    let name = format!("part-{}.parquet", uuid::Uuid::now_v7());
    let part = match lake.local_folder() {
        Some(_) => LOCAL_PART_BYTES,
        None => PART_BYTES,
    };
    let sink = BufWriter::with_capacity(lake.object_store().clone(), table.clone().join(name.as_str()), part);
    (name, sink.with_max_concurrency(PARTS_AT_ONCE))
}

/// How a writer of Arrow batches writes.
pub(crate) fn options(properties: WriterProperties) -> ArrowWriterOptions {
    // Without the embedded Arrow schema every reader, ours too, goes by the Parquet and Delta types alone.
    ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true)
}

/// The entry of a file that has been written.
pub(crate) fn entry(
    name: String,
    size: usize,
    metadata: &ParquetMetaData,
    schema: &Schema,
) -> Result<Add, parquet::errors::ParquetError> {
    Ok(Add {
        path: name,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        modification_time: chrono::Utc::now().timestamp_millis(),
        data_change: true,
        stats: Some(statistics(metadata, schema)?.to_string()),
        ..Add::default()
    })
}

/// Removes files that were written but will not be committed. Best effort: what stays is garbage, not data.
pub(crate) async fn discard(store: &Arc<dyn ObjectStore>, table: &str, files: &[Add]) {
    for file in files {
        let path = Path::from(table).join(file.path.as_str());
        if let Err(error) = store.delete(&path).await {
            tracing::warn!(%path, %error, "a file of a failed write was left behind");
        }
    }
}

/// The names of the columns that a file has.
pub(crate) async fn columns(store: &Arc<dyn ObjectStore>, location: &Path, size: u64) -> Result<Vec<String>> {
    let reader = reader(store, location, size)?;
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await;
    let builder = builder.doing(|| format!("reading {location}"))?;
    let fields = builder.schema().fields().iter();
    Ok(fields.map(|field| field.name().clone()).collect())
}

/// Those of each of the files, in no order.
pub(crate) fn columns_of<'a>(
    store: &'a Arc<dyn ObjectStore>,
    files: &'a [Arc<DataFile>],
) -> impl Stream<Item = Result<Vec<String>>> + 'a {
    let columns = files.iter().map(move |file| {
        let size = u64::try_from(file.add.size).unwrap_or_default();
        columns(store, &file.location, size)
    });
    futures::stream::iter(columns).buffer_unordered(FOOTERS_AT_ONCE)
}

/// A reader of the file of that many bytes.
pub(crate) fn reader(store: &Arc<dyn ObjectStore>, location: &Path, size: u64) -> Result<Box<dyn AsyncFileReader>> {
    let file = PartitionedFile::new(location.as_ref(), size);
    let reader = DefaultParquetFileReaderFactory::new(store.clone()).create_reader(
        0,
        file,
        None,
        &ExecutionPlanMetricsSet::new(),
    );
    Ok(reader.doing(|| format!("reading {location}"))?)
}

/// Reads a file's columns of those names (all if `None`) as they are in the file.
pub(crate) async fn read(
    store: &Arc<dyn ObjectStore>,
    location: &Path,
    size: u64,
    columns: Option<&[String]>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let doing = format!("reading {location}");
    let reader = reader(store, location, size)?;
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.doing(|| &doing)?;
    let mask = match columns {
        None => ProjectionMask::all(),
        // By their places, for a name with a dot would be taken for a path.
        Some(names) => {
            let there = builder.schema().fields().iter().enumerate();
            let wanted = there.filter(|(_, field)| names.contains(field.name()));
            ProjectionMask::roots(builder.parquet_schema(), wanted.map(|(at, _)| at))
        }
    };
    let stream = builder
        .with_projection(mask)
        .with_batch_size(READ_BATCH_ROWS)
        .build()
        .doing(|| &doing)?;
    Ok(stream
        .map_err(move |error| cordada_core::Classify::classify(error, doing.clone()))
        .boxed())
}

/// How columns of `schema` are written.
pub(crate) fn properties(schema: &Schema) -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(format!("{OURS}{}", env!("CARGO_PKG_VERSION")));
    // Places differ in every row and share their beginning: a dictionary of them is all cost.
    let origin = ColumnPath::from(ORIGIN);
    properties = properties
        .set_column_dictionary_enabled(origin.clone(), false)
        .set_column_encoding(origin, Encoding::DELTA_BYTE_ARRAY);
    // Of a column with columns in it Parquet keeps statistics for each of these. Nor has it a way to say that NaN, which is
    // greater than all other numbers, is among the values.
    let columns = ArrowSchemaConverter::new().convert(schema);
    for column in columns.doing(|| "preparing to write a data file")?.columns() {
        let path = column.path();
        let root = path.parts().first().and_then(|root| schema.field_with_name(root).ok());
        let is_personal = root.is_some_and(|root| root.metadata().contains_key(types::PII));
        if is_personal || matches!(column.physical_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE) {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
    }
    Ok(properties.build())
}

/// The file's statistics as the log keeps them (Delta protocol, "Per-file Statistics").
fn statistics(metadata: &ParquetMetaData, schema: &Schema) -> Result<Value, parquet::errors::ParquetError> {
    let (mut mins, mut maxs, mut nulls) = (Map::new(), Map::new(), Map::new());
    let groups = metadata.row_groups();
    let parquet_schema = metadata.file_metadata().schema_descr();
    for field in schema.fields() {
        if field.data_type().is_nested() || field.metadata().contains_key(types::PII) {
            continue;
        }
        let converter = StatisticsConverter::try_new(field.name(), schema, parquet_schema)?;
        let counts = converter.row_group_null_counts(groups)?;
        if counts.null_count() == 0 {
            nulls.insert(field.name().clone(), json!(aggregate::sum(&counts).unwrap_or(0)));
        }
        let (lows, highs) = (converter.row_group_mins(groups)?, converter.row_group_maxes(groups)?);
        if let (Some(low), Some(high)) = (bound(&lows, field, false), bound(&highs, field, true)) {
            mins.insert(field.name().clone(), low);
            maxs.insert(field.name().clone(), high);
        }
    }
    Ok(json!({
        "numRecords": metadata.file_metadata().num_rows(),
        "minValues": mins,
        "maxValues": maxs,
        "nullCount": nulls,
    }))
}

/// The least or greatest of the row groups' bounds as JSON, if it can be said without loss and all groups have one.
fn bound(values: &ArrayRef, field: &Field, greatest: bool) -> Option<Value> {
    macro_rules! extreme {
        ($type:ty) => {{
            let values = values.as_primitive::<$type>();
            if greatest {
                aggregate::max(values)
            } else {
                aggregate::min(values)
            }
        }};
    }
    // A group of nulls alone has no bound and does not matter; a group without statistics would.
    match field.data_type() {
        DataType::Int8 => extreme!(Int8Type).map(|v| json!(v)),
        DataType::Int16 => extreme!(Int16Type).map(|v| json!(v)),
        DataType::Int32 => extreme!(Int32Type).map(|v| json!(v)),
        DataType::Int64 => extreme!(Int64Type).map(|v| json!(v)),
        DataType::Date32 => {
            let day = extreme!(Date32Type)?;
            let date = Date32Type::to_naive_date_opt(day).filter(|date| YEARS.contains(&date.year()))?;
            Some(json!(date.to_string()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = extreme!(TimestampMicrosecondType)?;
            // Foreign readers expect milliseconds, so the upper bound is rounded up.
            let millis = if greatest {
                -(-micros).div_euclid(1000)
            } else {
                micros.div_euclid(1000)
            };
            let time = chrono::DateTime::from_timestamp_millis(millis).filter(|time| YEARS.contains(&time.year()))?;
            Some(json!(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()))
        }
        DataType::Decimal128(_, scale) => {
            let unscaled = extreme!(Decimal128Type)?;
            let exact = unscaled.unsigned_abs() < 10_u128.pow(EXACT_DIGITS);
            let number = unscaled as f64 / 10_f64.powi(i32::from(*scale));
            exact.then(|| {
                if *scale == 0 {
                    json!(unscaled as i64)
                } else {
                    json!(number)
                }
            })
        }
        DataType::Utf8 => {
            let values = values.as_string_opt::<i32>()?.iter().flatten();
            if greatest {
                values.max().and_then(cut_up)
            } else {
                values.min().map(cut_down)
            }
            .map(Value::String)
        }
        _ => None,
    }
}

/// The beginning of the text: never greater than it.
fn cut_down(text: &str) -> String {
    text.chars().take(TEXT_BOUND).collect()
}

/// The beginning of the text with its last character moved up: never smaller than the text.
fn cut_up(text: &str) -> Option<String> {
    if text.chars().nth(TEXT_BOUND).is_none() {
        return Some(text.to_owned());
    }
    next_text(cut_down(text))
}

/// The text with its last character moved up: greater than all that begins with it; `None` if nothing is.
pub(crate) fn next_text(mut text: String) -> Option<String> {
    while let Some(last) = text.pop() {
        if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cut_text_bounds_the_text(text in "\\PC{0,60}") {
            prop_assert!(cut_down(&text) <= text);
            prop_assert!(cut_up(&text).is_none_or(|upper| upper >= text));
        }
    }
}
