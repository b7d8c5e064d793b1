//! What the footer of a Parquet file says of its values, without what may be wrong: bounds of floats leave NaN out, which
//! is greater than all other numbers, so that a filter would pass over rows that it holds for. Our own files have no
//! such bounds; those of other writers, and older ones, have.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{LogicalType, Type};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// Readers of `inner`, whose metadata are sound.
#[derive(Debug)]
pub(crate) struct SoundStatistics<F>(pub(crate) F);

impl<F: ParquetFileReaderFactory> ParquetFileReaderFactory for SoundStatistics<F> {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let reader = self
            .0
            .create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(Reader(reader)))
    }
}

struct Reader(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.0.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        self.0.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let metadata = self.0.get_metadata(options);
        async move { sound(metadata.await?) }.boxed()
    }
}

fn is_float(column: &ColumnChunkMetaData) -> bool {
    let half = || matches!(column.column_descr().logical_type_ref(), Some(LogicalType::Float16));
    matches!(column.column_type(), Type::FLOAT | Type::DOUBLE) || half()
}

/// The same without the bounds of floats.
fn sound(metadata: Arc<ParquetMetaData>) -> Result<Arc<ParquetMetaData>> {
    let may_be_wrong = |column: &ColumnChunkMetaData| is_float(column) && column.statistics().is_some();
    if !metadata
        .row_groups()
        .iter()
        .any(|group| group.columns().iter().any(may_be_wrong))
    {
        return Ok(metadata);
    }
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| match is_float(column) {
            true => column.clone().into_builder().clear_statistics().build(),
            false => Ok(column.clone()),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        group.clone().into_builder().set_column_metadata(columns).build()
    });
    let groups = groups.collect::<Result<Vec<_>>>()?;
    let metadata = Arc::unwrap_or_clone(metadata).into_builder();
    Ok(Arc::new(metadata.set_row_groups(groups).set_column_index(None).build()))
}
