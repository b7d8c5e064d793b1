//! An estimator for tests, with all that the trait has: two inputs, two outputs, and ids that outlive rebuilds.
//!
//! Records that pairs connect are one person, whose id is the least one that any of them had in the release before. The
//! artefact is the number of records that it was fitted on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::{Context, Result};
use cordada_lake::estimator::{
    Artefact, Estimator, FurtherInput, Inputs, Parameters, Previous, Relations, Rows, Scores,
};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use serde_json::json;

use super::{Case, InMemory};
use crate::parameters::ParameterReader;

#[derive(Debug)]
struct Persons;

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields = fields
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn outputs() -> Relations<SchemaRef> {
    let (int, float) = (DataType::Int64, DataType::Float64);
    let persons = schema(&[("person_id", int.clone()), ("records", int.clone()), ("share", float)]);
    Relations {
        main: schema(&[("record_id", int.clone()), ("person_id", int)]),
        further: BTreeMap::from([("persons".to_owned(), persons)]),
    }
}

#[async_trait]
impl Estimator for Persons {
    fn name(&self) -> &'static str {
        "persons"
    }

    fn version(&self) -> u32 {
        1
    }

    fn further_inputs(&self) -> &'static [FurtherInput] {
        &[FurtherInput {
            name: "pairs",
            required: true,
        }]
    }

    fn outputs(&self, _: &Relations<SchemaRef>, parameters: &Parameters) -> Result<Relations<SchemaRef>> {
        ParameterReader::new(self.name(), &[], parameters)?;
        Ok(outputs())
    }

    async fn fit(&self, inputs: &Inputs, _: &Parameters) -> Result<Artefact> {
        Artefact::of(&numbers::<1>(&inputs.main).await?.len())
    }

    async fn score(&self, artefact: &Artefact, inputs: &Inputs, previous: &Previous, _: &Parameters) -> Result<Scores> {
        let fitted_on: usize = artefact.read()?;
        let records = numbers::<1>(&inputs.main).await?;
        let pairs = numbers::<2>(&inputs.further["pairs"]).await?;
        let known = match &previous.main {
            Some(rows) => numbers::<2>(rows).await?,
            None => Vec::new(),
        };
        let person_of = named(&connected(&records, &pairs), &known);
        let mut sizes: BTreeMap<i64, i64> = BTreeMap::new();
        person_of
            .values()
            .for_each(|person| *sizes.entry(*person).or_default() += 1);
        let share = sizes.values().map(|size| *size as f64 / fitted_on as f64);
        let persons: [ArrayRef; 3] = [
            Arc::new(sizes.keys().copied().collect::<Int64Array>()),
            Arc::new(sizes.values().copied().collect::<Int64Array>()),
            Arc::new(share.collect::<Float64Array>()),
        ];
        let links: [ArrayRef; 2] = [
            Arc::new(person_of.keys().copied().collect::<Int64Array>()),
            Arc::new(person_of.values().copied().collect::<Int64Array>()),
        ];
        let Relations { main, mut further } = outputs();
        let persons = one_batch(further.remove("persons").unwrap(), persons.to_vec())?;
        Ok(Relations {
            main: one_batch(main, links.to_vec())?,
            further: BTreeMap::from([("persons".to_owned(), persons)]),
        })
    }
}

/// The first `N` columns of the rows.
async fn numbers<const N: usize>(rows: &Arc<dyn Rows>) -> Result<Vec<[i64; N]>> {
    let batches: Vec<RecordBatch> = rows.read().await?.try_collect().await.doing(|| "reading rows")?;
    let value = |batch: &RecordBatch, column, row| batch.column(column).as_primitive::<Int64Type>().value(row);
    let rows = |batch: &RecordBatch| {
        let row = |row| std::array::from_fn(|column| value(batch, column, row));
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    };
    Ok(batches.iter().flat_map(rows).collect())
}

/// For every record the least one that it is connected with.
fn connected(records: &[[i64; 1]], pairs: &[[i64; 2]]) -> BTreeMap<i64, i64> {
    let mut least: BTreeMap<i64, i64> = records.iter().map(|[record]| (*record, *record)).collect();
    loop {
        let before = least.clone();
        for [a, b] in pairs {
            if let (Some(&of_a), Some(&of_b)) = (least.get(a), least.get(b)) {
                least.insert(*a, of_a.min(of_b));
                least.insert(*b, of_a.min(of_b));
            }
        }
        if least == before {
            return least;
        }
    }
}

/// The person of every record: the least id that its records had and no person before took, or else a new one.
fn named(least: &BTreeMap<i64, i64>, known: &[[i64; 2]]) -> BTreeMap<i64, i64> {
    let known: BTreeMap<i64, i64> = known.iter().map(|[record, person]| (*record, *person)).collect();
    let mut candidates: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (record, group) in least {
        candidates.entry(*group).or_default().extend(known.get(record));
    }
    let mut next = known.values().chain(least.keys()).max().copied().unwrap_or_default() + 1;
    let mut taken = BTreeSet::new();
    let mut person_of_group = BTreeMap::new();
    for (group, ids) in candidates {
        let kept = ids.into_iter().find(|id| !taken.contains(id));
        let free = (!known.values().any(|id| *id == group)).then_some(group);
        let person = kept.or(free).unwrap_or_else(|| {
            next += 1;
            next
        });
        taken.insert(person);
        person_of_group.insert(group, person);
    }
    least
        .iter()
        .map(|(record, group)| (*record, person_of_group[group]))
        .collect()
}

fn one_batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<SendableRecordBatchStream> {
    let batch = RecordBatch::try_new(schema.clone(), columns).doing(|| "writing rows")?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        schema,
        stream::iter([Ok(batch)]),
    )))
}

fn input(columns: &[&str], rows: &[&[i64]]) -> RecordBatch {
    let column = |at: usize| Arc::new(rows.iter().map(|row| row[at]).collect::<Int64Array>()) as ArrayRef;
    RecordBatch::try_from_iter(columns.iter().enumerate().map(|(at, name)| (*name, column(at)))).unwrap()
}

fn inputs(records: &[&[i64]], pairs: &[&[i64]]) -> Relations<RecordBatch> {
    Relations {
        main: input(&["record_id"], records),
        further: BTreeMap::from([("pairs".to_owned(), input(&["a", "b"], pairs))]),
    }
}

pub(super) fn case() -> Case {
    let records: Vec<[i64; 1]> = (0..40).map(|record| [record]).collect();
    let pairs: Vec<[i64; 2]> = (0..20).map(|record| [record, (record * 7 + 3) % 40]).collect();
    let records: Vec<&[i64]> = records.iter().map(|row| row.as_slice()).collect();
    let pairs: Vec<&[i64]> = pairs.iter().map(|row| row.as_slice()).collect();
    Case {
        estimator: Arc::new(Persons),
        inputs: inputs(&records, &pairs),
        parameters: json!({}),
        names_column: None,
        of_changes: &[],
    }
}

#[tokio::test]
async fn ids_outlive_a_rebuild() {
    let case = case();
    let first = inputs(&[&[1], &[2], &[3], &[9]], &[&[2, 1]]);
    let artefact = case.fit(&super::in_memory(first.clone(), 7)).await;
    let first = case.run(&super::in_memory(first, 7)).await;
    let previous = super::in_memory(first, 7).map(Some);
    // Record 1 is gone, 0 is new and joins 3, and 9 has a new companion.
    let later = inputs(&[&[0], &[2], &[3], &[8], &[9]], &[&[0, 3], &[8, 9]]);
    let scores = case.score(&artefact, &super::in_memory(later, 7), &previous).await;
    let rows: Arc<dyn Rows> = Arc::new(InMemory {
        batch: case.collect(scores).await.main,
        size: 7,
    });
    let links = numbers::<2>(&rows).await.unwrap();
    assert_eq!(links, [[0, 3], [2, 1], [3, 3], [8, 9], [9, 9]]);
}
