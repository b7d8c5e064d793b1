//! The rows of a query, for an estimator.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::{Context, Result};
use cordada_lake::estimator::Rows;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

/// The rows of a query, which is run anew for each pass.
pub(crate) fn of_query(session: &SessionContext, plan: LogicalPlan) -> Arc<dyn Rows> {
    Arc::new(QueryRows {
        session: session.clone(),
        schema: Arc::new(plan.schema().as_arrow().clone()),
        plan,
    })
}

struct QueryRows {
    session: SessionContext,
    plan: LogicalPlan,
    schema: SchemaRef,
}

#[async_trait]
impl Rows for QueryRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    async fn read(&self) -> Result<SendableRecordBatchStream> {
        let frame = DataFrame::new(self.session.state(), self.plan.clone());
        frame
            .execute_stream()
            .await
            .doing(|| "reading the rows for an estimator")
    }
}
