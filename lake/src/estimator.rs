//! What a model is to the graph: rows of a SELECT in, scored rows out.
//!
//! The trait lives here, below both the crate that runs the graph and the crate that implements estimators,
//! so that neither knows the other; the binary registers one with the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::{Error, Result};
use datafusion::execution::SendableRecordBatchStream;

/// Parameters as the model's `config(…)` gives them.
pub type Parameters = serde_json::Map<String, serde_json::Value>;

/// Rows that can be read more than once: an estimator may fit in one pass and score in the next.
#[async_trait]
pub trait Rows: Send + Sync {
    /// The columns.
    fn schema(&self) -> SchemaRef;
    /// The rows from the start. Each pass sees the same rows, in an order that may differ.
    async fn read(&self) -> Result<SendableRecordBatchStream>;
}

/// Scores rows: clusters, probabilities, predictions, recommendations.
#[async_trait]
pub trait Estimator: fmt::Debug + Send + Sync {
    /// The name that `estimator='…'` uses.
    fn name(&self) -> &'static str;

    /// The schema of the scores for rows of `input`; called before anything runs.
    ///
    /// # Errors
    /// Parameters that are unknown or do not fit, columns that are missing or of the wrong type: all of
    /// kind config, naming the parameter or column.
    fn output_schema(&self, input: &Schema, parameters: &Parameters) -> Result<SchemaRef>;

    /// Fits on the rows and returns the scored ones, of exactly the schema that [`Self::output_schema`] promised.
    /// The same rows and parameters give the same scores, whatever the order of the rows.
    async fn run(&self, rows: Arc<dyn Rows>, parameters: &Parameters) -> Result<SendableRecordBatchStream>;
}

/// The estimators that a project can name.
#[derive(Debug, Clone, Default)]
pub struct Estimators(BTreeMap<&'static str, Arc<dyn Estimator>>);

impl Estimators {
    /// Adds one under its own name.
    pub fn register(&mut self, estimator: Arc<dyn Estimator>) {
        self.0.insert(estimator.name(), estimator);
    }

    /// The estimator of that name.
    ///
    /// # Errors
    /// An unknown name, listing the valid ones.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Estimator>> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<_> = self.0.keys().copied().collect();
            Error::config(format!("finding the estimator `{name}`"), "there is none of that name")
                .hint(format!("use one of: {}", known.join(", ")))
        })
    }
}
