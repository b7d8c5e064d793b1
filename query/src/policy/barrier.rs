//! What stands between the policies of a relation and everything that is above them.
//!
//! A filter, a sort or a limit that passed below would run on rows that nobody may see: an error would tell of them, as
//! would the rows that a scan skips. The engine moves such things through the operators that say so. This one says
//! nothing of itself: no statistics, no order, and nothing goes through.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use cordada_core::{Error, TableName};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;

/// The rows of its input as they are, and nothing else that is known of them.
#[derive(Debug)]
pub(super) struct Barrier {
    /// What the rows are of, for errors.
    relation: Arc<TableName>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Barrier {
    /// The first columns of `input`, under the names of `schema`.
    pub(super) fn new(relation: Arc<TableName>, input: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self {
            relation,
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PolicyBarrierExec")
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &str {
        "PolicyBarrierExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let input = children.into_iter().next().unwrap_or_else(|| self.input.clone());
        Ok(Arc::new(Self::new(self.relation.clone(), input, schema)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context);
        let rows = rows.map_err(|error| without_words(error, &self.relation))?;
        let schema = self.schema();
        let shown = {
            let (schema, relation) = (schema.clone(), self.relation.clone());
            move |batch: Result<RecordBatch>| {
                let batch = batch.map_err(|error| without_words(error, &relation))?;
                shown(&batch, &schema)
            }
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.map(shown))))
    }
}

fn shown(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().take(schema.fields().len()).cloned();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns.collect(),
        &options,
    )?)
}

/// What whoever asks is told of an error of what shows the relation: of one that is about a value, only that there is one.
pub(super) fn without_words(error: DataFusionError, relation: &TableName) -> DataFusionError {
    let is_of_the_system = match error.find_root() {
        DataFusionError::External(cause) => cause.is::<Error>(),
        DataFusionError::ArrowError(cause, _) => matches!(
            **cause,
            ArrowError::IoError(..)
                | ArrowError::ExternalError(_)
                | ArrowError::ParquetError(_)
                | ArrowError::MemoryError(_)
        ),
        root => matches!(
            root,
            DataFusionError::ResourcesExhausted(_)
                | DataFusionError::ObjectStore(_)
                | DataFusionError::IoError(_)
                | DataFusionError::ParquetError(_)
        ),
    };
    if is_of_the_system {
        return error;
    }
    tracing::warn!(%relation, "a condition or a mask fails on a value; whoever asked is not told which");
    let told = Error::failed(
        format!("reading {relation}"),
        "what shows its rows fails on a value, which is not told",
    );
    told.hint("whoever wrote its policies, or the view, can make them hold for all values: `try_cast(x as int)`")
        .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_a_value_does_not_say_it() {
        let relation = "warehouse.person".parse().unwrap();
        let of_values = [
            DataFusionError::Execution("no number: 's3cr3t'".to_owned()),
            DataFusionError::ArrowError(Box::new(ArrowError::CastError("s3cr3t".to_owned())), None),
            DataFusionError::External("s3cr3t".into()),
            DataFusionError::Execution("s3cr3t".to_owned()).context("in a plan"),
        ];
        for error in of_values {
            let told = without_words(error, &relation).to_string();
            assert!(told.contains("warehouse.person") && !told.contains("s3cr3t"), "{told}");
        }
        let of_the_system = [
            DataFusionError::ResourcesExhausted("16 MB".to_owned()),
            Error::cancelled("running the query").into(),
        ];
        for error in of_the_system {
            let words = error.to_string();
            assert_eq!(without_words(error, &relation).to_string(), words);
        }
    }
}
