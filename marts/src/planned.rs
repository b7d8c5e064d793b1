//! Relations that do not exist yet, so that what reads them can be planned.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::TableName;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::project_schema;
use datafusion::datasource::TableType;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

/// A relation of the project: its columns are known once its query was planned.
#[derive(Debug, Default)]
pub(crate) struct PlannedTable {
    schema: OnceLock<SchemaRef>,
    /// Whether somebody looked before the columns were known: a query that names the relation without `ref`.
    read_too_early: AtomicBool,
}

impl PlannedTable {
    /// Makes the columns known; the first call counts.
    pub(crate) fn set_schema(&self, schema: SchemaRef) {
        self.schema.get_or_init(|| schema);
    }
}

#[async_trait]
impl TableProvider for PlannedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.get().cloned().unwrap_or_else(|| {
            self.read_too_early.store(true, Ordering::Relaxed);
            Arc::new(Schema::empty())
        })
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Without rows: what is planned over it is only to be found able to run.
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)))
    }
}

/// The relations of a project that are being planned.
#[derive(Debug, Default)]
pub(crate) struct PlannedTables(HashMap<TableName, Arc<PlannedTable>>);

impl PlannedTables {
    /// One for each name.
    pub(crate) fn new(names: impl Iterator<Item = TableName>) -> Self {
        Self(names.map(|name| (name, Arc::default())).collect())
    }

    /// As relations to lay over a release.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (TableName, Arc<dyn TableProvider>)> {
        self.0
            .iter()
            .map(|(name, table)| (name.clone(), table.clone() as Arc<dyn TableProvider>))
    }

    /// The relation of that name.
    pub(crate) fn get(&self, name: &TableName) -> Option<&PlannedTable> {
        self.0.get(name).map(|table| &**table)
    }

    /// The relations that were read before they were known, since this was last asked.
    pub(crate) fn take_read_too_early(&self) -> Option<&TableName> {
        let early = self
            .0
            .iter()
            .filter(|(_, table)| table.read_too_early.swap(false, Ordering::Relaxed));
        early.map(|(name, _)| name).min()
    }
}
