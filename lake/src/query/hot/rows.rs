//! A scan of rows that are in memory, with the statistics of the files that they are of.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source::DataSource;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::projection::{all_alias_free_columns, new_projections_for_columns};
use datafusion::physical_plan::{DisplayFormatType, Partitioning};

/// Batches that a partition has at least, where there are enough: less is not worth a task.
const LEAST_BATCHES: usize = 4;

/// Rows that are in memory.
#[derive(Clone)]
pub(in crate::query) struct HotRows {
    schema: SchemaRef,
    partitions: Vec<Vec<RecordBatch>>,
    statistics: Arc<Statistics>,
    /// The columns that are given, in their order, by number.
    projection: Vec<usize>,
    projected: SchemaRef,
    fetch: Option<usize>,
}

/// Without the rows, which are nobody's who reads a log.
impl fmt::Debug for HotRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotRows")
            .field("projected", &self.projected)
            .field("fetch", &self.fetch)
            .finish_non_exhaustive()
    }
}

impl HotRows {
    /// Those rows with columns of `schema`, of which `statistics` are true, in so many partitions at most.
    pub(in crate::query) fn new(
        batches: Vec<RecordBatch>,
        schema: SchemaRef,
        statistics: Statistics,
        partitions: usize,
        fetch: Option<usize>,
    ) -> Self {
        let partitions = (batches.len() / LEAST_BATCHES).clamp(1, partitions.max(1));
        let length = batches.len().div_ceil(partitions).max(1);
        let mut partitions: Vec<_> = batches.chunks(length).map(<[_]>::to_vec).collect();
        if partitions.is_empty() {
            partitions.push(Vec::new());
        }
        Self {
            partitions,
            statistics: Arc::new(statistics),
            projection: (0..schema.fields().len()).collect(),
            projected: schema.clone(),
            schema,
            fetch,
        }
    }
}

impl DataSource for HotRows {
    fn open(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = self.partitions.get(partition).cloned().unwrap_or_default();
        let rows = MemoryStream::try_new(batches, self.projected.clone(), Some(self.projection.clone()))?;
        Ok(Box::pin(cooperative(rows.with_fetch(self.fetch))))
    }

    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "hot columns, partitions={}", self.partitions.len())?;
        self.fetch.map_or(Ok(()), |fetch| write!(f, ", fetch={fetch}"))
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partitions.len())
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.projected.clone())
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(match partition {
            None if self.fetch.is_none() => {
                Arc::new(Statistics::clone(&self.statistics).project(Some(&self.projection)))
            }
            _ => Arc::new(Statistics::new_unknown(&self.projected)),
        })
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { fetch, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        let columns: Vec<_> = projection.iter().cloned().collect();
        if !all_alias_free_columns(&columns) {
            return Ok(None);
        }
        let projection = new_projections_for_columns(&columns, &self.projection);
        let projected = Arc::new(self.schema.project(&projection)?);
        Ok(Some(Arc::new(Self {
            projection,
            projected,
            ..self.clone()
        })))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}
