//! Identity: which records are of one person, or of one company.
//!
//! Parameters, all but the first optional:
//!
//! | name | meaning | default |
//! |---|---|---|
//! | `key` | the column that tells records apart | required |
//! | `columns` | what columns are, by their names: `{'correo': 'email', 'nota': 'ignore'}` | guessed from names and pii tags |
//! | `country` | whose telephone numbers have no calling code, and how postcodes look | `ES` |
//! | `threshold` | the probability from which two records are linked | 0.9 |
//! | `keep` | the probability from which a pair is told of in `pairs` | 0.1 |
//! | `limits` | how many differently named records may share a value of a column, `{'phone': 20}`; one that more share says nothing | 10 for identifiers, 20 for e-mail addresses and telephones |
//! | `pairs_per_record` | how many pairs may be compared at most, for each record | 20 |
//!
//! The further input `decisions` has rows of `<key>_a`, `<key>_b`, `decision` (`link` or `never`) and, if they may change,
//! `decided_at`. They hold for ever.
//!
//! Every record comes out with the key, `person_id`, `why` it is of that person, the record that it is `linked_to` most
//! strongly, and the `weight` of that link in bits. Further outputs: `pairs` with the levels and weights of every field,
//! `merges` with all changes of identifiers there ever were, `quality` with figures about the run.
//!
//! Which records are of one person is a function of the records, the decisions and the artefact: never of the order or
//! the batches in which they came. The identifiers are those of the release before, where there was one.
//!
//! How it works, file by file: [`guess`] says what columns are, [`normalise`] gives values one spelling, [`records`] keeps
//! each distinct one once, [`blocking`] chooses the pairs that are compared, [`comparison`] says how alike values are,
//! [`em`] learns what that weighs ([`model`]), [`scores`] weighs pairs, [`rules`] and [`decisions`] add what needs no
//! weighing, [`clusters`] makes persons of pairs as far as [`judge`] permits, [`ids`] names them.

mod artefact;
mod blocking;
mod clusters;
mod comparison;
mod decisions;
mod em;
mod evidence;
mod found;
mod guess;
mod hash;
mod ids;
mod input;
mod judge;
mod kind;
mod merges;
mod model;
mod normalise;
mod outputs;
mod plan;
mod records;
mod resolve;
mod rules;
mod sample;
mod scores;
#[cfg(test)]
pub(crate) mod tests;
mod threads;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::{Error, Result};
use cordada_lake::estimator::{Artefact, Estimator, FurtherInput, Inputs, Parameters, Previous, Relations, Scores};
use datafusion::common::runtime::SpawnedTask;

use self::artefact::Fitted;
use self::found::Found;
use self::plan::Plan;
use self::resolve::Settings;

const NAME: &str = "identity";

/// The input that has decisions.
const DECISIONS: &str = "decisions";

/// How many records are enough to learn what agreement weighs.
const FITTED_ON: usize = 400_000;

/// Who is who, by weights that need no labels.
#[derive(Debug)]
pub(crate) struct Identity;

#[async_trait]
impl Estimator for Identity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    fn further_inputs(&self) -> &'static [FurtherInput] {
        &[FurtherInput {
            name: DECISIONS,
            required: false,
        }]
    }

    fn outputs(&self, inputs: &Relations<SchemaRef>, parameters: &Parameters) -> Result<Relations<SchemaRef>> {
        Ok(Plan::new(inputs, parameters)?.schemas)
    }

    async fn fit(&self, inputs: &Inputs, parameters: &Parameters) -> Result<Artefact> {
        let plan = Plan::new(&schemas(inputs), parameters)?;
        let mut records = input::some_records(&inputs.main, &plan, FITTED_ON).await?;
        let fitted = stoppable(move |stop| {
            let settings = settings(&plan);
            resolve::prepare(&mut records, &settings);
            let model = resolve::fit(&records, &settings, stop).ok_or_else(stopped)?;
            let names = evidence::compared(&records)
                .into_iter()
                .map(|field| records.fields[field].name.clone());
            Ok(Fitted::of(&model, names))
        });
        Artefact::of(&fitted.await?)
    }

    async fn score(
        &self,
        artefact: &Artefact,
        inputs: &Inputs,
        previous: &Previous,
        parameters: &Parameters,
    ) -> Result<Scores> {
        let plan = Plan::new(&schemas(inputs), parameters)?;
        let model = artefact.read::<Fitted>()?.model();
        let schemas = plan.schemas.clone();
        let key = inputs.main.schema().field(plan.key).name().clone();
        let said = match (inputs.further.get(DECISIONS), plan.decisions) {
            (Some(rows), Some(columns)) => input::decisions(rows, columns).await?,
            _ => Vec::new(),
        };
        let mut records = input::records(&inputs.main, &plan).await?;
        let (records, resolved) = stoppable(move |stop| {
            let settings = settings(&plan);
            let ignored = resolve::prepare(&mut records, &settings);
            let passes = blocking::choose(&records, settings.budget, settings.threads);
            let decided = decisions::decided(&records, &said);
            let resolution =
                resolve::resolve(&records, &model, &passes, &decided, &settings, stop).ok_or_else(stopped)?;
            let quality = found::quality(&records, &passes, &resolution, &decided, &ignored);
            let pairs = found::pairs(&resolution, &decided);
            let strongest = found::strongest(&resolution);
            Ok((records, (model, resolution.labels, strongest, pairs, quality)))
        })
        .await?;
        let (model, labels, strongest, pairs, quality) = resolved;
        let before = input::before(previous.main.as_ref(), &records, &key).await?;
        let known = merges::before(previous.further.get(outputs::MERGES).and_then(Option::as_ref)).await?;
        let found = compute(move || {
            let named = ids::name(&labels, &before.ids, &before.gone, |record| records.key(record));
            Ok(Found {
                ids: named.ids,
                changes: merges::with(known, named.changes),
                labels,
                strongest,
                pairs,
                quality,
                model,
                records,
            })
        });
        Ok(outputs::streams(&Arc::new(found.await?), &schemas))
    }
}

fn schemas(inputs: &Inputs) -> Relations<SchemaRef> {
    Relations {
        main: inputs.main.schema(),
        further: inputs
            .further
            .iter()
            .map(|(name, rows)| (name.clone(), rows.schema()))
            .collect(),
    }
}

fn settings(plan: &Plan) -> Settings {
    let bits = |probability: f64| (probability / (1.0 - probability)).log2();
    Settings {
        budget: plan.budget,
        join: bits(plan.threshold),
        keep: bits(plan.keep),
        limits: plan.fields.iter().map(|field| field.limit).collect(),
        threads: threads::cores(),
    }
}

fn stopped() -> Error {
    Error::cancelled("finding out who is who")
}

/// Computes on a thread where nothing waits.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let task = SpawnedTask::spawn_blocking(work).join().await;
    task.map_err(|why| Error::failed("finding out who is who", why))?
}

/// Computes on a thread where nothing waits. Dropping the future, as cancelling does, tells the work to stop.
async fn stoppable<T: Send + 'static>(work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static) -> Result<T> {
    let stop = StopOnDrop::default();
    let told = Arc::clone(&stop.0);
    compute(move || work(&told)).await
}

#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
