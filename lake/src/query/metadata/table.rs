//! A table of metadata: its rows are made when it is read.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

/// Where the rows of a table of metadata come from.
#[async_trait]
pub(super) trait Rows: Debug + Send + Sync + 'static {
    /// No rows, in the columns of the table.
    fn none(&self) -> Result<RecordBatch>;

    /// The rows; those that no row of the result needs by `filters` may be left out.
    async fn all(&self, session: &dyn Session, filters: &[Expr]) -> Result<RecordBatch>;
}

/// A table of metadata.
#[derive(Debug)]
pub(super) struct MetadataTable<R> {
    rows: R,
    schema: SchemaRef,
}

impl<R: Rows> MetadataTable<R> {
    pub(super) fn provider(rows: R) -> Result<Arc<dyn TableProvider>> {
        let schema = rows.none()?.schema();
        Ok(Arc::new(Self { rows, schema }))
    }
}

#[async_trait]
impl<R: Rows> TableProvider for MetadataTable<R> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.all(session, filters).await?;
        let plan = MemorySourceConfig::try_new_exec(&[vec![rows]], self.schema.clone(), projection.cloned())?;
        Ok(plan)
    }
}
