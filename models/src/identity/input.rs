//! Rows of the inputs, read into records, decisions and the identifiers of the release before.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit};
use cordada_core::{Context, Error, Result};
use cordada_lake::estimator::Rows;
use futures::TryStreamExt;
use uuid::Uuid;

use super::decisions::{Decision, Verdict};
use super::kind::Kind;
use super::normalise::name;
use super::plan::{DecisionColumns, Plan};
use super::records::{FieldBuilder, FieldSpec, Records, RecordsBuilder};
use super::sample::Sample;
use super::threads;

/// Reads all records.
pub(super) async fn records(rows: &Arc<dyn Rows>, plan: &Plan) -> Result<Records> {
    let mut builder = builder(plan);
    let mut batches = rows.read().await?;
    while let Some(batch) = batches.try_next().await.doing(doing)? {
        add(&mut builder, &batch, plan)?;
        // Others may run between two batches.
        tokio::task::yield_now().await;
    }
    drop(batches);
    super::compute(move || Ok(builder.finish())).await
}

/// Reads about `most` records.
///
/// A part of the records has that part of the pairs squared, of one person and of others alike, so that it teaches the
/// same weights.
pub(super) async fn some_records(rows: &Arc<dyn Rows>, plan: &Plan, most: usize) -> Result<Records> {
    let columns = plan.fields.iter().flat_map(|field| &field.columns);
    let columns: Vec<usize> = columns.chain(&plan.whole_name).chain([&plan.key]).copied().collect();
    let mut sample = Sample::new(most);
    let mut batches = rows.read().await?;
    while let Some(batch) = batches.try_next().await.doing(doing)? {
        sample
            .add(&batch, &texts(batch.column(plan.key))?, &columns)
            .doing(doing)?;
        tokio::task::yield_now().await;
    }
    drop(batches);
    let mut builder = builder(plan);
    for batch in sample.finish().doing(doing)? {
        add(&mut builder, &batch, plan)?;
        tokio::task::yield_now().await;
    }
    super::compute(move || Ok(builder.finish())).await
}

fn builder(plan: &Plan) -> RecordsBuilder {
    let specs: Vec<FieldSpec> = plan.fields.iter().map(|field| field.spec.clone()).collect();
    RecordsBuilder::new(&specs, plan.customs)
}

fn add(builder: &mut RecordsBuilder, batch: &RecordBatch, plan: &Plan) -> Result<()> {
    let keys = texts(batch.column(plan.key))?;
    for row in 0..batch.num_rows() {
        if keys.is_null(row) {
            return Err(Error::failed(doing(), "a record has no key").hint("leave it out in the SELECT"));
        }
        if !builder.key(keys.value(row)) {
            return Err(Error::failed(doing(), "two records have the same key")
                .hint("the column that `key` names tells records apart")
                .with("key", keys.value(row)));
        }
    }
    let read = |at: &usize| Column::of(batch.column(*at));
    let columns: Vec<Vec<Column>> = plan
        .fields
        .iter()
        .map(|field| field.columns.iter().map(read).collect::<Result<_>>())
        .collect::<Result<_>>()?;
    let whole_names = plan.whole_name.as_ref().map(read).transpose()?;
    let of_kind = |kind| plan.fields.iter().position(|field| field.spec.kind == kind);
    let names = of_kind(Kind::GivenName).zip(of_kind(Kind::Surname));
    // Only where both parts are missing is the whole name looked at.
    let fallback = |row: usize| {
        let (given, surname) = names?;
        let is_missing = |field: usize| columns[field].iter().all(|column: &Column| column.is_empty(row));
        let whole = whole_names.as_ref()?;
        (is_missing(given) && is_missing(surname))
            .then(|| whole.texts(row).find_map(name::full))
            .flatten()
    };
    let whole: Vec<Option<String>> = match (names, &whole_names) {
        (Some(_), Some(_)) => (0..batch.num_rows()).map(fallback).collect(),
        _ => Vec::new(),
    };
    let fill = |field: &mut FieldBuilder, columns: &[Column], kind: Kind| {
        for row in 0..batch.num_rows() {
            match whole.get(row).and_then(Option::as_deref).map(name::parts) {
                Some((Some(given), _)) if kind == Kind::GivenName => field.text(&given),
                Some((_, Some(surname))) if kind == Kind::Surname => field.text(&surname),
                _ if kind.joins() && columns.len() > 1 => {
                    let parts: Vec<&str> = columns.iter().flat_map(|column| column.texts(row)).collect();
                    field.text(&parts.join(" "));
                }
                _ => columns
                    .iter()
                    .flat_map(|column| column.texts(row))
                    .for_each(|text| field.text(text)),
            }
            field.end();
        }
    };
    // Fields know nothing of each other.
    let work = builder.fields.iter_mut().zip(&columns).zip(&plan.fields);
    threads::each_of(
        work,
        &mut vec![(); threads::cores()],
        |(), ((field, columns), planned)| {
            fill(field, columns, planned.spec.kind);
        },
    );
    Ok(())
}

/// The texts of a column, one a row or several.
enum Column {
    One(StringArray),
    Many(ListArray, StringArray),
}

impl Column {
    fn of(column: &ArrayRef) -> Result<Self> {
        Ok(match column.data_type() {
            DataType::List(_) | DataType::LargeList(_) => {
                let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
                let list = cast(column, &list).doing(doing)?.as_list::<i32>().clone();
                let texts = list.values().as_string::<i32>().clone();
                Self::Many(list, texts)
            }
            _ => Self::One(texts(column)?),
        })
    }

    fn texts(&self, row: usize) -> impl Iterator<Item = &str> {
        let (texts, range) = match self {
            Self::One(texts) => (texts, row..row + 1),
            Self::Many(list, texts) if list.is_null(row) => (texts, 0..0),
            Self::Many(list, texts) => {
                let offsets = list.value_offsets();
                (texts, offsets[row] as usize..offsets[row + 1] as usize)
            }
        };
        range.filter(|at| texts.is_valid(*at)).map(|at| texts.value(at))
    }

    fn is_empty(&self, row: usize) -> bool {
        self.texts(row).all(|text| text.trim().is_empty())
    }
}

/// A column as texts.
fn texts(column: &ArrayRef) -> Result<StringArray> {
    Ok(cast(column, &DataType::Utf8).doing(doing)?.as_string::<i32>().clone())
}

/// Reads all decisions.
pub(super) async fn decisions(rows: &Arc<dyn Rows>, columns: DecisionColumns) -> Result<Vec<Decision>> {
    let mut decisions = Vec::new();
    let mut batches = rows.read().await?;
    while let Some(batch) = batches.try_next().await.doing(doing)? {
        let [a, b] = columns.keys.map(|at| texts(batch.column(at)));
        let (a, b) = (a?, b?);
        let said = texts(batch.column(columns.decision))?;
        let times = columns.decided_at.map(|at| times(batch.column(at))).transpose()?;
        for row in 0..batch.num_rows() {
            let verdict = match said
                .is_valid(row)
                .then(|| said.value(row).trim().to_ascii_lowercase())
                .as_deref()
            {
                Some("link") => Verdict::Link,
                Some("never") => Verdict::Never,
                other => {
                    let why = "a decision is neither `link` nor `never`";
                    return Err(Error::failed("reading decisions about who is who", why)
                        .with("decision", other.unwrap_or("null")));
                }
            };
            if a.is_valid(row) && b.is_valid(row) {
                decisions.push(Decision {
                    a: a.value(row).to_owned(),
                    b: b.value(row).to_owned(),
                    verdict,
                    at: times
                        .as_ref()
                        .filter(|times| times.is_valid(row))
                        .map(|times| times.value(row)),
                });
            }
        }
    }
    Ok(decisions)
}

/// A column of times as numbers that grow.
fn times(column: &ArrayRef) -> Result<Int64Array> {
    let moments = match column.data_type() {
        number if number.is_integer() => cast(column, &DataType::Int64),
        _ => cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))
            .and_then(|times| cast(&times, &DataType::Int64)),
    };
    Ok(moments.doing(doing)?.as_primitive::<Int64Type>().clone())
}

/// The identifiers of the release before, for each record, and those of records that are gone.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub ids: Vec<Option<Uuid>>,
    pub gone: Vec<Uuid>,
}

/// Reads the identifiers that persons had.
pub(super) async fn before(rows: Option<&Arc<dyn Rows>>, records: &Records, key: &str) -> Result<Before> {
    let mut before = Before {
        ids: vec![None; records.len()],
        gone: Vec::new(),
    };
    let Some(rows) = rows else {
        return Ok(before);
    };
    let schema = rows.schema();
    // A table that was not made by this estimator has no identifiers.
    let (Ok(key), Ok(person)) = (schema.index_of(key), schema.index_of(super::outputs::PERSON_ID)) else {
        return Ok(before);
    };
    let find = records.by_key();
    let mut batches = rows.read().await?;
    while let Some(batch) = batches.try_next().await.doing(doing)? {
        let (keys, persons) = (texts(batch.column(key))?, texts(batch.column(person))?);
        for row in (0..batch.num_rows()).filter(|row| keys.is_valid(*row) && persons.is_valid(*row)) {
            let id = Uuid::parse_str(persons.value(row)).ok();
            match (find(keys.value(row)), id) {
                (Some(record), id) => before.ids[record as usize] = id,
                (None, Some(id)) => before.gone.push(id),
                (None, None) => {}
            }
        }
    }
    before.gone.sort_unstable();
    before.gone.dedup();
    Ok(before)
}

fn doing() -> &'static str {
    "reading the inputs of the estimator `identity`"
}
