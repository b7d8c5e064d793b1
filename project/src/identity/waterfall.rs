//! `identity explain`: the weights of one pair of records, from what is true of any two to what is known of these.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use cordada_core::sql_text::Dialect;
use cordada_core::{Context, Error, Result};
use cordada_lake::RelationKind;
use cordada_lake::estimator::{Previous, Relations, Rows};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use serde::Deserialize;

use super::pairs::{self, PairRow};
use super::{IdentityModel, quoted};
use crate::{Project, registry};

/// The probability from which pairs are kept, where the model says no other.
const KEEP: f64 = 0.1;

/// Why two records are one person, or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Waterfall {
    /// The model that says so.
    pub model: String,
    /// The records' keys.
    pub records: [String; 2],
    /// Their persons.
    pub persons: [String; 2],
    /// How the pair stands.
    pub standing: Standing,
    /// What any two records weigh before they are looked at, in bits.
    pub prior: f64,
    /// What each field weighs.
    pub fields: Vec<FieldWeight>,
    /// The sum.
    pub weight: f64,
    /// The probability that it stands for.
    pub probability: f64,
}

/// What a field of a pair weighs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldWeight {
    /// The field.
    pub name: String,
    /// How alike both values are.
    pub level: String,
    /// What that weighs, in bits.
    pub weight: f64,
    /// How much of it is for how rare the value is.
    pub rarity: f64,
}

/// How a pair stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was compared and kept: `alike`, `same loyalty_card`, `decided`.
    Kept(String),
    /// It weighs less than pairs that are kept, compared or not.
    TooLight,
    /// It would have been kept, but no pass had both in one block, so that nobody compared them.
    NotCompared,
}

impl Waterfall {
    /// Whether both are records of one person.
    pub fn is_one_person(&self) -> bool {
        self.persons[0] == self.persons[1]
    }

    /// Whether they are one person through other records and not by themselves.
    pub fn is_through_others(&self) -> bool {
        self.is_one_person() && !matches!(self.standing, Standing::Kept(_))
    }
}

impl Project {
    /// Why two records are one person or not, as the newest release has it. What a pair weighs that was not kept is
    /// found out anew, by the weights of that release.
    ///
    /// # Errors
    /// Config if there is no such model, or several and none is named; failed if there is no record of a key.
    pub async fn explain(&self, a: &str, b: &str, model: Option<&str>) -> Result<Waterfall> {
        let model = IdentityModel::find(self, model).await?;
        let persons = model.persons_of([a, b]).await?;
        let (row, standing) = match model.pair(a, b).await? {
            Some(row) => {
                let why = row.why.clone();
                (row, Standing::Kept(why))
            }
            None => model.weigh(a, b).await?,
        };
        let of_fields: f64 = row.fields.iter().map(|field| field.weight).sum();
        Ok(Waterfall {
            model: model.persons.to_string(),
            records: [a.to_owned(), b.to_owned()],
            persons,
            standing,
            prior: row.weight - of_fields,
            fields: row.fields,
            weight: row.weight,
            probability: row.probability,
        })
    }
}

impl IdentityModel<'_> {
    /// The persons of two records.
    async fn persons_of(&self, records: [&str; 2]) -> Result<[String; 2]> {
        let mut persons = [String::new(), String::new()];
        for (record, person) in records.into_iter().zip(&mut persons) {
            let query = format!(
                "select cast(person_id as varchar) from {} where cast({} as varchar) = {}",
                quoted(&self.persons),
                Dialect::Standard.identifier(&self.key),
                Dialect::Standard.literal(record)
            );
            let found = self.query(&query).await?;
            let found = cast(found.column(0), &DataType::Utf8).doing(doing)?;
            let id = found.as_string::<i32>().iter().flatten().next();
            let none = || {
                Error::failed(
                    doing(),
                    format!("{} has no record of one of the two keys", self.persons),
                )
                .hint(format!("keys are those of the column `{}`", self.key))
            };
            *person = id.ok_or_else(none)?.to_owned();
        }
        Ok(persons)
    }

    /// What is known of a pair, if it was kept.
    async fn pair(&self, a: &str, b: &str) -> Result<Option<PairRow>> {
        let column = |side: &str| Dialect::Standard.identifier(&format!("{}_{side}", self.key));
        let (first, second) = (column("a"), column("b"));
        let is = |a: &str, b: &str| {
            let (a, b) = (Dialect::Standard.literal(a), Dialect::Standard.literal(b));
            format!("cast({first} as varchar) = {a} and cast({second} as varchar) = {b}")
        };
        let query = format!(
            "select * from {} where {} or {}",
            quoted(&self.pairs),
            is(a, b),
            is(b, a)
        );
        Ok(pairs::read(&self.query(&query).await?, &self.key, Some((a, b)))?.pop())
    }

    /// What a pair weighs that was not kept.
    ///
    /// All records are scored once more with the weights of the release, because how rare a value is says all of them
    /// together. A decision about the pair has the estimator tell of it, whatever it weighs.
    async fn weigh(&self, a: &str, b: &str) -> Result<(PairRow, Standing)> {
        let lake = &self.project.lake;
        let mut asked = self.asked().await?;
        let decision = about(&self.key, a, b)?;
        asked.inputs.further.insert("decisions".to_owned(), Arc::new(decision));
        let keep = asked.parameters.get("keep").and_then(serde_json::Value::as_f64);
        let missing =
            |why: &str| Error::failed(doing(), why).hint("build the model with --full-refresh to fit it again");
        let relation = self.release.relation(&self.persons).map(|relation| &relation.kind);
        let Some(RelationKind::Table { path, version, .. }) = relation else {
            return Err(missing("the model is no table"));
        };
        let state = lake.state_at(path, *version).await?;
        let fit: Option<Fit> = state.and_then(|state| serde_json::from_str(&state).ok());
        let fit = fit.ok_or_else(|| missing("the table does not say which fit it was scored with"))?;
        let (provenance, artefact) = lake.artefact(&self.persons, &fit.artefact).await?;
        let estimators = registry::estimators();
        let estimator = estimators.get(&asked.estimator)?;
        if provenance.version != estimator.version() {
            let why = "the release was scored by another version of the estimator, whose weights mean something else";
            return Err(Error::failed(doing(), why).hint("build the model again"));
        }
        let nothing: Previous = Relations::only(None);
        let mut scores = estimator
            .score(&artefact, &asked.inputs, &nothing, &asked.parameters)
            .await?;
        let Some(mut batches) = scores.further.remove("pairs") else {
            return Err(Error::failed(doing(), format!("`{}` makes no pairs", asked.estimator)));
        };
        while let Some(batch) = batches.try_next().await.doing(doing)? {
            if let Some(row) = pairs::read(&batch, &self.key, Some((a, b)))?.pop() {
                let standing = match row.probability < keep.unwrap_or(KEEP) {
                    true => Standing::TooLight,
                    false => Standing::NotCompared,
                };
                return Ok((row, standing));
            }
        }
        Err(Error::failed(doing(), "the model does not read one of the two records any more").hint("build it again"))
    }

    /// What the model's estimator is asked in this release.
    pub(super) async fn asked(&self) -> Result<cordada_marts::Estimated> {
        let compiled = self.project.compile().await?;
        let gone = || {
            Error::config(
                doing(),
                format!("the SQL project has no model {} with an estimator", self.persons),
            )
            .hint("the release has one: the project was changed since")
        };
        let node = compiled
            .nodes()
            .find(|node| node.table == self.persons)
            .ok_or_else(gone)?;
        let asked = compiled.estimated(node, &self.project.lake, &self.release).await?;
        asked.ok_or_else(gone)
    }
}

/// What a table of scores says about its fit.
#[derive(Debug, Deserialize)]
struct Fit {
    artefact: String,
}

/// A decision about two records, as the estimator reads decisions.
fn about(key: &str, a: &str, b: &str) -> Result<Decision> {
    let text = |value: &str| Arc::new(StringArray::from_iter_values([value])) as ArrayRef;
    let columns = [
        (format!("{key}_a"), text(a)),
        (format!("{key}_b"), text(b)),
        ("decision".to_owned(), text("never")),
    ];
    RecordBatch::try_from_iter(columns).doing(doing).map(Decision)
}

/// The rows of one batch.
struct Decision(RecordBatch);

#[async_trait]
impl Rows for Decision {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    async fn read(&self) -> Result<SendableRecordBatchStream> {
        let rows = futures::stream::iter([Ok(self.0.clone())]);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.0.schema(), rows)))
    }
}

fn doing() -> &'static str {
    "explaining two records"
}
