//! What every estimator promises, as tests that each of them inherits through its [`Case`].
#![allow(clippy::unwrap_used, clippy::panic)]

mod persons;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use cordada_lake::estimator::{Artefact, Estimator, Inputs, Parameters, Previous, Provenance, Relations, Rows, Scores};
use cordada_lake::{Lake, Settings};
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use serde_json::{Value, json};

pub(crate) use self::rows::InMemory;
use self::rows::{StuckRows, shuffled};

/// How an estimator is put to the test.
pub(crate) struct Case {
    pub(crate) estimator: Arc<dyn Estimator>,
    /// Some dozens of rows, all different, of which it can make something.
    pub(crate) inputs: Relations<RecordBatch>,
    /// Parameters that fit them.
    pub(crate) parameters: Value,
    /// A parameter that names a column, if there is one.
    pub(crate) names_column: Option<&'static str>,
    /// Outputs that tell what is different from the release before, and are empty without one.
    pub(crate) of_changes: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    vec![
        crate::identity::tests::case(),
        crate::kmeans::tests::case(),
        persons::case(),
    ]
}

impl Case {
    fn parameters(&self) -> Parameters {
        self.parameters.as_object().unwrap().clone()
    }

    fn schemas(&self) -> Relations<SchemaRef> {
        self.inputs.clone().map(|batch| batch.schema())
    }

    fn promised(&self) -> Relations<SchemaRef> {
        self.estimator.plan(&self.schemas(), &self.parameters()).unwrap()
    }

    /// What it says about these inputs and parameters; it must be an error of the configuration.
    fn refusal(&self, inputs: &Relations<SchemaRef>, parameters: &Parameters) -> String {
        let error = self.estimator.plan(inputs, parameters).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    }

    /// The inputs, cut into batches of `size` rows.
    fn rows(&self, size: usize) -> Inputs {
        in_memory(self.inputs.clone(), size)
    }

    fn no_previous(&self) -> Previous {
        self.promised().map(|_| None)
    }

    async fn fit(&self, inputs: &Inputs) -> Artefact {
        self.estimator.fit(inputs, &self.parameters()).await.unwrap()
    }

    async fn score(&self, artefact: &Artefact, inputs: &Inputs, previous: &Previous) -> Scores {
        let parameters = self.parameters();
        self.estimator
            .score(artefact, inputs, previous, &parameters)
            .await
            .unwrap()
    }

    /// The outputs of fitting and scoring.
    async fn run(&self, inputs: &Inputs) -> Relations<RecordBatch> {
        let artefact = self.fit(inputs).await;
        let scores = self.score(&artefact, inputs, &self.no_previous()).await;
        self.collect(scores).await
    }

    /// The rows of the outputs, each read after the one before, which must have the promised columns.
    async fn collect(&self, mut scores: Scores) -> Relations<RecordBatch> {
        let promised = self.promised();
        assert!(
            scores.further.keys().eq(promised.further.keys()),
            "{scores:?}",
            scores = scores.further.keys()
        );
        let mut further = std::collections::BTreeMap::new();
        for (name, schema) in &promised.further {
            let rows = scores.further.remove(name).unwrap();
            further.insert(name.clone(), collect(rows, schema).await);
        }
        let main = collect(scores.main, &promised.main).await;
        Relations { main, further }
    }
}

fn in_memory(batches: Relations<RecordBatch>, size: usize) -> Inputs {
    batches.map(|batch| Arc::new(InMemory { batch, size }) as Arc<dyn Rows>)
}

async fn collect(rows: SendableRecordBatchStream, promised: &SchemaRef) -> RecordBatch {
    assert_eq!(&rows.schema(), promised);
    let batches: Vec<_> = rows.try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| &batch.schema() == promised));
    concat_batches(promised, &batches).unwrap()
}

/// Every row as text, which tells any two numbers apart, in ascending order.
fn texts(outputs: &Relations<RecordBatch>) -> Relations<Vec<String>> {
    let options = FormatOptions::default().with_null("null");
    let text = |batch: RecordBatch| {
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        let row = |at| {
            columns
                .iter()
                .map(|column| column.value(at).to_string())
                .collect::<Vec<_>>()
                .join("|")
        };
        let mut rows: Vec<String> = (0..batch.num_rows()).map(row).collect();
        rows.sort_unstable();
        rows
    };
    outputs.clone().map(text)
}

#[test]
fn every_estimator_is_put_to_the_test() {
    let tested: Vec<_> = cases().iter().map(|case| case.estimator.name()).collect();
    for estimator in crate::estimators().iter() {
        assert!(tested.contains(&estimator.name()), "{} has no case", estimator.name());
    }
}

#[tokio::test]
async fn order_and_batches_change_nothing() {
    for case in cases() {
        let straight = case.rows(usize::MAX);
        let mixed = in_memory(case.inputs.clone().map(|batch| shuffled(&batch)), 7);
        let name = case.estimator.name();
        assert_eq!(case.fit(&straight).await, case.fit(&mixed).await, "{name}");
        let (straight, mixed) = (texts(&case.run(&straight).await), texts(&case.run(&mixed).await));
        assert_eq!(straight, mixed, "{name}");
        let is_empty =
            |(output, rows): (&String, &Vec<String>)| rows.is_empty() && !case.of_changes.contains(&output.as_str());
        assert!(
            !straight.main.is_empty() && !straight.further.iter().any(is_empty),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_artefact_from_the_lake_scores_like_a_new_one() {
    let lake = Lake::open("memory:///", &Settings::default()).await.unwrap();
    for case in cases() {
        let (name, inputs) = (case.estimator.name(), case.rows(7));
        let artefact = case.fit(&inputs).await;
        let provenance = Provenance {
            model: "ml.tested".parse().unwrap(),
            estimator: name.to_owned(),
            version: case.estimator.version(),
            definition: String::new(),
            rows: None,
        };
        let kept = lake.put_artefact(&provenance, &artefact).await.unwrap();
        let (_, kept) = lake.artefact(&provenance.model, &kept).await.unwrap();
        let new = case.score(&artefact, &inputs, &case.no_previous()).await;
        let later = case.score(&kept, &case.rows(3), &case.no_previous()).await;
        let (new, later) = (texts(&case.collect(new).await), texts(&case.collect(later).await));
        assert_eq!(new, later, "{name}");
    }
}

#[tokio::test]
async fn scoring_the_same_rows_after_a_release_changes_nothing() {
    for case in cases() {
        let inputs = case.rows(7);
        let artefact = case.fit(&inputs).await;
        let scores = case.score(&artefact, &inputs, &case.no_previous()).await;
        let published = case.collect(scores).await;
        let previous = in_memory(published.clone(), 5).map(Some);
        let scores = case.score(&artefact, &inputs, &previous).await;
        let rebuilt = case.collect(scores).await;
        assert_eq!(texts(&published), texts(&rebuilt), "{}", case.estimator.name());
    }
}

#[tokio::test]
async fn an_output_is_read_whether_or_not_others_are() {
    for case in cases() {
        let inputs = case.rows(7);
        let artefact = case.fit(&inputs).await;
        let all = case.score(&artefact, &inputs, &case.no_previous()).await;
        let all = texts(&case.collect(all).await);
        let only_main = case.score(&artefact, &inputs, &case.no_previous()).await.main;
        let only_main = Relations::only(collect(only_main, &case.promised().main).await);
        assert_eq!(texts(&only_main).main, all.main, "{}", case.estimator.name());
    }
}

#[tokio::test]
async fn no_rows_are_fitted_and_scored() {
    for case in cases() {
        let empty = case.inputs.clone().map(|batch| batch.slice(0, 0));
        let scored = case.run(&in_memory(empty, 7)).await;
        assert!(
            scored.iter().all(|output| output.num_rows() == 0),
            "{}",
            case.estimator.name()
        );
    }
}

#[test]
fn what_is_unknown_is_named() {
    for case in cases() {
        let with = |parameter: &str, value: Value| {
            let mut parameters = case.parameters();
            parameters.insert(parameter.to_owned(), value);
            case.refusal(&case.schemas(), &parameters)
        };
        assert!(with("no_such_parameter", json!(1)).contains("`no_such_parameter`"));
        if let Some(parameter) = case.names_column {
            assert!(with(parameter, json!(["no_such_column"])).contains("`no_such_column`"));
        }
        let mut inputs = case.schemas();
        inputs.further.insert("no_such_input".to_owned(), inputs.main.clone());
        assert!(case.refusal(&inputs, &case.parameters()).contains("`no_such_input`"));
        for input in case.estimator.further_inputs().iter().filter(|input| input.required) {
            let mut inputs = case.schemas();
            inputs.further.remove(input.name);
            assert!(case.refusal(&inputs, &case.parameters()).contains(input.name));
        }
    }
}

#[tokio::test]
async fn what_is_dropped_reads_no_further() {
    for case in cases() {
        let stuck = || {
            let (rows, dropped): (Vec<_>, Vec<_>) = case.schemas().iter().cloned().map(StuckRows::new).unzip();
            let mut rows = rows.into_iter().map(|rows| Arc::new(rows) as Arc<dyn Rows>);
            (case.schemas().map(|_| rows.next().unwrap()), dropped)
        };
        let (inputs, mut dropped) = stuck();
        let fit = case.estimator.fit(&inputs, &case.parameters()).now_or_never();
        assert!(fit.is_none(), "{} fits without rows", case.estimator.name());
        drop(inputs);

        let artefact = case.fit(&case.rows(7)).await;
        let (inputs, more) = stuck();
        dropped.extend(more);
        let parameters = case.parameters();
        let previous = case.no_previous();
        let score = case.estimator.score(&artefact, &inputs, &previous, &parameters);
        if let Some(scores) = score.now_or_never() {
            assert!(scores.unwrap().main.next().now_or_never().is_none());
        }
        drop(inputs);
        for dropped in dropped {
            let in_time = tokio::time::timeout(Duration::from_secs(10), dropped).await;
            assert!(in_time.is_ok(), "{} goes on reading", case.estimator.name());
        }
    }
}
