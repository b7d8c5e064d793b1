//! An estimator for tests: says which rows are above the mean that it was fitted on, and numbers rows for good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::{Context, Error, Result};
use cordada_lake::estimator::{
    Artefact, Estimator, FurtherInput, Inputs, Parameters, Previous, Relations, Rows, Scores,
};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

/// Fits on the parameter `column` of the model's rows and of the input `extra`. Each row keeps the `number` that the
/// row with the same first column had in the release before. The output `means` has one row.
#[derive(Debug)]
pub(super) struct AboveMean;

#[async_trait]
impl Estimator for AboveMean {
    fn name(&self) -> &'static str {
        "above_mean"
    }

    fn version(&self) -> u32 {
        1
    }

    fn further_inputs(&self) -> &'static [FurtherInput] {
        &[FurtherInput {
            name: "extra",
            required: false,
        }]
    }

    fn outputs(&self, inputs: &Relations<SchemaRef>, parameters: &Parameters) -> Result<Relations<SchemaRef>> {
        let column = column(parameters);
        if inputs.iter().any(|input| input.field_with_name(column).is_err()) {
            let why = format!("there is no column `{column}`");
            return Err(Error::config("checking the estimator above_mean", why));
        }
        let mut fields = inputs.main.fields().to_vec();
        fields.push(Arc::new(Field::new("above", DataType::Boolean, true)));
        fields.push(Arc::new(Field::new("number", DataType::Int64, true)));
        Ok(Relations {
            main: Arc::new(Schema::new(fields)),
            further: BTreeMap::from([("means".to_owned(), means())]),
        })
    }

    async fn fit(&self, inputs: &Inputs, parameters: &Parameters) -> Result<Artefact> {
        let mut values = Vec::new();
        for input in inputs.iter() {
            let rows = collect(input).await?;
            values.extend(numbers(&rows, column(parameters)).iter().flatten());
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Artefact::of(&(mean, values.len()))
    }

    async fn score(
        &self,
        artefact: &Artefact,
        inputs: &Inputs,
        previous: &Previous,
        parameters: &Parameters,
    ) -> Result<Scores> {
        let (mean, fitted_on): (f64, i64) = artefact.read()?;
        let rows = collect(&inputs.main).await?;
        let above: BooleanArray = numbers(&rows, column(parameters))
            .iter()
            .map(|value| Some(value? > mean))
            .collect();
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(above));
        columns.push(Arc::new(kept_numbers(&rows, previous).await?));
        let promised = self.outputs(&Relations::only(rows.schema()), parameters)?;
        let mean: [ArrayRef; 2] = [
            Arc::new(Float64Array::from(vec![mean])),
            Arc::new(Int64Array::from(vec![fitted_on])),
        ];
        Ok(Relations {
            main: one_batch(promised.main, columns),
            further: BTreeMap::from([("means".to_owned(), one_batch(means(), mean.to_vec()))]),
        })
    }
}

fn means() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("mean", DataType::Float64, true),
        Field::new("fitted_on", DataType::Int64, true),
    ]))
}

fn column(parameters: &Parameters) -> &str {
    parameters["column"].as_str().unwrap()
}

fn numbers(rows: &RecordBatch, column: &str) -> Float64Array {
    let values = cast(rows.column_by_name(column).unwrap(), &DataType::Float64).unwrap();
    values.as_primitive::<Float64Type>().clone()
}

fn keys(rows: &RecordBatch) -> Vec<i64> {
    rows.column(0).as_primitive::<Int64Type>().values().to_vec()
}

async fn kept_numbers(rows: &RecordBatch, previous: &Previous) -> Result<Int64Array> {
    let mut known: BTreeMap<i64, i64> = BTreeMap::new();
    if let Some(previous) = &previous.main {
        let previous = collect(previous).await?;
        let numbers = previous.column_by_name("number").unwrap().as_primitive::<Int64Type>();
        known.extend(keys(&previous).into_iter().zip(numbers.values().iter().copied()));
    }
    let mut next = known.values().max().map_or(1, |most| most + 1);
    for key in keys(rows).into_iter().collect::<BTreeSet<_>>() {
        known.entry(key).or_insert_with(|| {
            next += 1;
            next - 1
        });
    }
    Ok(keys(rows).iter().map(|key| known[key]).collect())
}

async fn collect(rows: &Arc<dyn Rows>) -> Result<RecordBatch> {
    let batches: Vec<_> = rows.read().await?.try_collect().await.doing(|| "reading the rows")?;
    concat_batches(&rows.schema(), &batches).doing(|| "reading the rows")
}

fn one_batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> SendableRecordBatchStream {
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    Box::pin(RecordBatchStreamAdapter::new(
        schema,
        futures::stream::iter([Ok(batch)]),
    ))
}
