//! A data file again, without some of its rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use cordada_core::conform::conform;
use cordada_core::spelling::Former;
use cordada_core::threads::not_joined;
use cordada_core::{Context, Error, Result};
use datafusion::common::runtime::SpawnedTask;
use deltalake::kernel::Add;
use futures::{StreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, ProjectionMask};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::EnabledStatistics;

use crate::table::chunk_writer::ChunkWriter;
use crate::table::data_file;
use crate::table::pages::Chunk;
use crate::table::snapshot::DataFile;
use crate::table::stage::Folder;

/// Bytes of a row group, as it is in its file, that is read at once to be thinned: of a larger one batches are decoded.
const MOST_BYTES: i64 = 64 << 20;

impl Folder {
    /// Writes the file's rows again that `keep` names, which has a bit for each: where they are encoded if the file is
    /// ours and of the table's columns, or decoded and encoded.
    pub(crate) async fn keep_rows(&self, file: &DataFile, keep: &BooleanBuffer) -> Result<Vec<Add>> {
        let doing = || format!("rewriting {}", file.location);
        let size = u64::try_from(file.add.size).unwrap_or_default();
        let mut reader = data_file::reader(self.lake.object_store(), &file.location, size)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load_async(&mut reader, options)
            .await
            .doing(doing)?;
        if self.can_thin(metadata.metadata(), keep)? {
            let source = Source {
                folder: self.clone(),
                location: file.location.clone(),
                size,
                metadata,
            };
            return Ok(source.thin(keep).await?.into_iter().collect());
        }
        self.rewrite(file, |rows, batch| {
            let keep = BooleanArray::new(keep.slice(rows.start, rows.len()), None);
            filter_record_batch(&batch, &keep).doing(doing)
        })
        .await
    }

    /// Whether the file is as we write one of the table's columns today, and will have row groups worth having: each
    /// upsert leaves less in them.
    fn can_thin(&self, metadata: &ParquetMetaData, keep: &BooleanBuffer) -> Result<bool> {
        let file = metadata.file_metadata();
        let groups = metadata.row_groups();
        let ours = file
            .created_by()
            .is_some_and(|writer| writer.starts_with(data_file::OURS));
        let same_columns = ArrowSchemaConverter::new()
            .convert(&self.written())
            .is_ok_and(|schema| schema.root_schema() == file.schema_descr().root_schema());
        let rows = groups
            .iter()
            .map(|group| usize::try_from(group.num_rows()).unwrap_or(usize::MAX));
        let known_rows =
            rows.clone().all(|rows| rows <= data_file::ROW_GROUP_ROWS) && rows.sum::<usize>() == keep.len();
        let small = groups.iter().all(|group| group.compressed_size() <= MOST_BYTES);
        let full = groups.len() <= 1 || keep.count_set_bits() >= groups.len() * data_file::ROW_GROUP_ROWS / 2;
        Ok(ours
            && same_columns
            && known_rows
            && small
            && full
            && metadata.offset_index().is_some()
            && self.has_our_statistics(groups)?)
    }

    /// Whether the footer has the statistics that we would write today, no fewer and no more: bounds of some row groups
    /// are not those of the file, and a column may have become personal.
    fn has_our_statistics(&self, groups: &[RowGroupMetaData]) -> Result<bool> {
        let properties = data_file::properties(&self.written())?;
        let mut chunks = groups.iter().flat_map(RowGroupMetaData::columns);
        Ok(chunks.all(|chunk| {
            let wanted = properties.statistics_enabled(chunk.column_path()) != EnabledStatistics::None;
            chunk.statistics().is_some() == wanted
        }))
    }
}

/// A file that loses rows where they are encoded.
#[derive(Clone)]
struct Source {
    folder: Folder,
    location: Path,
    size: u64,
    metadata: ArrowReaderMetadata,
}

impl Source {
    /// Writes the file without the rows that `keep` does not name, as many row groups at a time as the whole write has
    /// turns for. `None` if no row stays.
    async fn thin(self, keep: &BooleanBuffer) -> Result<Option<Add>> {
        let folder = &self.folder;
        let root = self.metadata.parquet_schema().root_schema_ptr();
        let mut writer = ChunkWriter::new(&folder.lake, &folder.path, folder.written(), root)?;
        let mut row = 0;
        let groups = self
            .metadata
            .metadata()
            .row_groups()
            .iter()
            .enumerate()
            .filter_map(|(group, metadata)| {
                let rows = metadata.num_rows() as usize;
                let keep = keep.slice(row, rows);
                row += rows;
                keep.has_true().then_some((group, keep))
            });
        let groups: Vec<_> = groups.collect();
        let thinned = stream::iter(groups).map(|(group, keep)| {
            let source = self.clone();
            async move {
                // Its turn lasts until the group is written: those that are done wait in memory for those before.
                let turn = source.folder.turns.clone().acquire_owned().await;
                let turn = turn.map_err(|closed| Error::failed(source.doing(), closed))?;
                let chunks = SpawnedTask::spawn(source.chunks(group, keep)).join().await;
                let chunks = chunks.unwrap_or_else(|ended| Err(not_joined("rewriting a data file", &ended)))?;
                Ok((chunks, turn))
            }
        });
        let mut thinned = thinned.buffered(folder.lake.parallelism());
        while let Some(next) = thinned.next().await {
            let (chunks, _turn): (Vec<Chunk>, _) = next?;
            writer.write(chunks).await?;
        }
        writer.end(keep.count_set_bits()).await
    }

    /// The row group's chunks without the rows that `keep` does not name.
    async fn chunks(self, group: usize, keep: BooleanBuffer) -> Result<Vec<Chunk>> {
        let metadata = self.metadata.metadata();
        let columns = metadata.row_group(group).columns();
        let ranges = || columns.iter().map(|column| column.byte_range());
        let start = ranges().map(|(start, _)| start).min().unwrap_or(0);
        let end = ranges().map(|(start, length)| start + length).max().unwrap_or(0);
        if end > self.size {
            return Err(Error::failed(
                self.doing(),
                "its footer says that it is longer than it is",
            ));
        }
        let store = self.folder.lake.object_store();
        let bytes = store.get_range(&self.location, start..end).await;
        let bytes = bytes.doing(|| self.doing())?;
        let of_chunk = |column: usize| {
            let (offset, length) = columns[column].byte_range();
            let offset = (offset - start) as usize;
            bytes.slice(offset..offset + length as usize)
        };
        if !keep.has_false() {
            let chunks = (0..columns.len()).map(|column| Chunk::copied(metadata, group, column, of_chunk(column)));
            return chunks.collect::<parquet::errors::Result<_>>().doing(|| self.doing());
        }
        let mut chunks = Vec::with_capacity(columns.len());
        for (field, leaves) in self.leaves().into_iter().enumerate() {
            let repeats = |column: usize| columns[column].column_descr().max_rep_level() > 0;
            let thinned: Option<Vec<_>> = if leaves.len() > 1 && leaves.clone().any(repeats) {
                // Which item is whose is said in each of the columns: that they agree is checked when they are decoded.
                None
            } else {
                let thinned = leaves.map(|column| Chunk::thinned(&columns[column], &of_chunk(column), &keep));
                thinned.collect::<parquet::errors::Result<_>>().doing(|| self.doing())?
            };
            match thinned {
                Some(thinned) => chunks.extend(thinned),
                None => chunks.extend(self.encoded(group, field, &keep).await?),
            }
        }
        Ok(chunks)
    }

    /// The columns of Parquet that each of the table's columns consists of.
    fn leaves(&self) -> Vec<Range<usize>> {
        let schema = self.metadata.parquet_schema();
        let mut leaves = Vec::new();
        let mut first = 0;
        for field in 0..schema.root_schema().get_fields().len() {
            let end = (first..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) > field);
            let end = end.unwrap_or(schema.num_columns());
            leaves.push(first..end);
            first = end;
        }
        leaves
    }

    /// The chunks of one of the table's columns, decoded and encoded.
    async fn encoded(&self, group: usize, field: usize, keep: &BooleanBuffer) -> Result<Vec<Chunk>> {
        let doing = || self.doing();
        let reader = data_file::reader(self.folder.lake.object_store(), &self.location, self.size)?;
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.metadata.clone())
            .with_projection(ProjectionMask::roots(self.metadata.parquet_schema(), [field]))
            .with_row_groups(vec![group])
            .with_batch_size(data_file::READ_BATCH_ROWS)
            .build()
            .doing(doing)?;
        let schema = Arc::new(Schema::new(vec![self.folder.written().field(field).clone()]));
        let mut bytes = Vec::new();
        let options = data_file::options(data_file::properties(&schema)?);
        let mut writer = ArrowWriter::try_new_with_options(&mut bytes, schema.clone(), options).doing(doing)?;
        let mut row = 0;
        while let Some(batch) = batches.next().await {
            let batch: RecordBatch = conform(&batch.doing(doing)?, &schema, &Former::default())?;
            let keep = BooleanArray::new(keep.slice(row, batch.num_rows()), None);
            row += batch.num_rows();
            let batch = filter_record_batch(&batch, &keep).doing(doing)?;
            writer.write(&batch).doing(doing)?;
        }
        let metadata = writer.close().doing(doing)?;
        let [written] = metadata.row_groups() else {
            return Err(Error::failed(doing(), "its pages have no rows"));
        };
        if row != keep.len() || written.num_rows() != keep.count_set_bits() as i64 {
            return Err(Error::failed(doing(), "its pages have other rows than its footer says"));
        }
        let bytes = Bytes::from(bytes);
        let chunks = (0..written.num_columns()).map(|column| {
            let (start, length) = written.column(column).byte_range();
            let bytes = bytes.slice(start as usize..(start + length) as usize);
            Chunk::copied(&metadata, 0, column, bytes)
        });
        chunks.collect::<parquet::errors::Result<_>>().doing(doing)
    }

    fn doing(&self) -> String {
        format!("rewriting {}", self.location)
    }
}
