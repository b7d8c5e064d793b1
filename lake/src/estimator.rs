//! What a model is to the graph: rows of SELECTs in, rows of scores out.
//!
//! Fitting and scoring are apart. [`Estimator::fit`] learns from the inputs and leaves an [`Artefact`];
//! [`Estimator::score`] makes the outputs of an artefact and rows, so that a later run can score without fitting.
//!
//! The trait lives here, below both the crate that runs the graph and the crate that implements estimators,
//! so that neither knows the other; the binary registers one with the other.

mod artefact;
mod registry;
mod relations;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use datafusion::execution::SendableRecordBatchStream;

pub(crate) use self::artefact::ARTEFACTS;
pub use self::artefact::{Artefact, Provenance};
pub use self::registry::Estimators;
pub use self::relations::Relations;

/// Parameters as the model's `config(…)` gives them.
pub type Parameters = serde_json::Map<String, serde_json::Value>;

/// Rows that can be read more than once.
#[async_trait]
pub trait Rows: Send + Sync {
    /// The columns.
    fn schema(&self) -> SchemaRef;
    /// The rows from the start. Each pass sees the same rows, in an order that may differ.
    async fn read(&self) -> Result<SendableRecordBatchStream>;
}

/// The rows that a model reads: those of its own SELECT, and those of its further inputs.
pub type Inputs = Relations<Arc<dyn Rows>>;

/// The rows of the same outputs in the release before; `None` for one that it does not have. Their columns are those
/// of that time.
pub type Previous = Relations<Option<Arc<dyn Rows>>>;

/// The rows that a model makes. Each stream can be read without the others, in any order, or be dropped.
pub type Scores = Relations<SendableRecordBatchStream>;

/// An input that an estimator reads besides the model's own SELECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FurtherInput {
    /// The name that `inputs={'…': ref('…')}` uses.
    pub name: &'static str,
    /// Whether it cannot do without.
    pub required: bool,
}

/// Makes scores of rows: clusters, probabilities, predictions, recommendations, identities.
///
/// What it makes is a function of the rows, the artefact, the previous outputs and the parameters: never of the order
/// of the rows, of how they are cut into batches, or of the time. Scoring the same rows again with its own outputs as
/// the previous ones makes the same outputs. Dropping a future or a stream stops the work behind it.
#[async_trait]
pub trait Estimator: fmt::Debug + Send + Sync {
    /// The name that `estimator='…'` uses.
    fn name(&self) -> &'static str;

    /// The version of how it fits and of what its artefacts hold: an artefact of another version is not scored with,
    /// but fitted again.
    fn version(&self) -> u32;

    /// The inputs that it reads besides the model's own SELECT.
    fn further_inputs(&self) -> &'static [FurtherInput] {
        &[]
    }

    /// The columns of all that it makes of inputs with these columns. Called before anything runs, by `plan`, which has
    /// checked the inputs' names.
    ///
    /// # Errors
    /// Parameters that are unknown or do not fit, columns that are missing or of the wrong type: all of kind config,
    /// naming the parameter or column.
    fn outputs(&self, inputs: &Relations<SchemaRef>, parameters: &Parameters) -> Result<Relations<SchemaRef>>;

    /// Learns from the inputs. The artefact is all that scoring needs besides rows, and names no person: it outlives
    /// the rows.
    async fn fit(&self, inputs: &Inputs, parameters: &Parameters) -> Result<Artefact>;

    /// Makes the outputs, with exactly the columns that [`Self::outputs`] promised. The artefact was fitted by this
    /// version, with these parameters, on inputs with these columns; the rows may be others.
    async fn score(
        &self,
        artefact: &Artefact,
        inputs: &Inputs,
        previous: &Previous,
        parameters: &Parameters,
    ) -> Result<Scores>;
}

impl dyn Estimator {
    /// [`Estimator::outputs`] of inputs whose names are known to be right.
    ///
    /// # Errors
    /// Those of [`Estimator::outputs`]; an input that it does not have, or that it needs and is not given.
    pub fn plan(&self, inputs: &Relations<SchemaRef>, parameters: &Parameters) -> Result<Relations<SchemaRef>> {
        let doing = || format!("finding the inputs of the estimator `{}`", self.name());
        let known = self.further_inputs();
        let names = || known.iter().map(|input| input.name);
        if let Some(unknown) = inputs.further.keys().find(|name| names().all(|known| known != *name)) {
            return Err(
                Error::config(doing(), format!("it has no input `{unknown}`")).hint(did_you_mean(
                    unknown,
                    "its inputs are",
                    names(),
                )),
            );
        }
        let is_missing = |input: &&FurtherInput| input.required && !inputs.further.contains_key(input.name);
        if let Some(FurtherInput { name, .. }) = known.iter().find(is_missing) {
            return Err(Error::config(doing(), format!("the input `{name}` is missing"))
                .hint(format!("name it in the model's config: inputs={{'{name}': ref('…')}}")));
        }
        self.outputs(inputs, parameters)
    }
}
