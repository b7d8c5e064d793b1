//! `person`: all that the marts know of one person.
//!
//! There is no list of parts: every relation of `marts` that has the person's key is one, so that a mart that is added
//! to the project is seen without another word.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::DataType;
use cordada_core::{Context, Error, Result, TableName};
use cordada_lake::Release;
use cordada_lake::query::sql;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::SessionContext;
use futures::future::try_join_all;

use crate::Project;

/// The schema whose relations are parts of the view.
const MARTS: &str = "marts";

/// The relation with a row a person.
const PERSONS: &str = "customers";

/// The column that tells persons apart, there and in every part.
pub const KEY: &str = "customer_id";

/// The relation that leads from e-mail addresses, cards and records to persons: `customer_id`, `value`.
const IDENTIFIERS: &str = "customer_identifiers";

/// The relation that leads from ids that merges ended to those of today.
const CHANGES: &str = "customer_changes";

/// The most rows of one part that are read.
const MOST: usize = 10_000;

/// How many persons are named where several could be meant.
const NAMED: usize = 5;

/// All that the marts know of one person.
#[derive(Debug)]
pub struct PersonView {
    /// The person's id.
    pub id: String,
    /// The release that says so.
    pub release: u64,
    /// The relations that know something: that of persons first, the others by name.
    pub parts: Vec<PersonPart>,
}

/// What one relation knows of a person.
#[derive(Debug)]
pub struct PersonPart {
    /// The relation.
    pub relation: TableName,
    /// Its rows of the person, with all columns. At least one.
    pub rows: RecordBatch,
}

impl Project {
    /// All that the marts of the newest release know of one person: who has the id `who`, or else that e-mail address,
    /// telephone, card or record. An id that a merge ended is the person it became.
    ///
    /// # Errors
    /// Failed: there is nobody, or several have it. What was asked for is in no error, because it may be personal.
    pub async fn person(&self, who: &str) -> Result<PersonView> {
        let release = self.lake.releases().newest().await?;
        let marts = Marts {
            project: self,
            session: self.lake.session(&release),
            release,
        };
        let id = marts.id(who).await?;
        let mut names: Vec<&TableName> = marts.release.relations.keys().collect();
        names.retain(|name| name.schema() == MARTS);
        names.sort_by_key(|name| (name.name() != PERSONS, name.name()));
        let parts = names.into_iter().map(|name| marts.part(name, &id));
        let parts = try_join_all(parts).await?.into_iter().flatten().collect();
        Ok(PersonView {
            id,
            release: marts.release.number,
            parts,
        })
    }
}

/// The marts of a release.
struct Marts<'a> {
    project: &'a Project,
    session: SessionContext,
    release: Arc<Release>,
}

impl Marts<'_> {
    /// The id of the person who is meant.
    async fn id(&self, who: &str) -> Result<String> {
        let persons = name(PERSONS)?;
        if self.release.relation(&persons).is_none() {
            return Err(
                Error::config(doing(), format!("the release has no relation {persons}")).hint(format!(
                    "a mart of that name has a row a person, with the column `{KEY}`"
                )),
            );
        }
        if !self.ids(PERSONS, KEY, &[who]).await?.is_empty() {
            return Ok(who.to_owned());
        }
        let lower = who.to_lowercase();
        let mut ids = self.ids(IDENTIFIERS, "value", &[who, &lower]).await?;
        if ids.is_empty() {
            ids = self.became(who).await?;
        }
        let mut some = ids.iter();
        match (some.next(), ids.len()) {
            (Some(id), 1) => Ok(id.clone()),
            (Some(_), several) => {
                let named: Vec<&str> = ids.iter().take(NAMED).map(String::as_str).collect();
                Err(Error::failed(doing(), format!("{several} persons have that"))
                    .hint(format!("name one by its id: {}", named.join(", "))))
            }
            (None, _) => Err(
                Error::failed(doing(), "there is nobody with that id, address, number or record")
                    .hint("`cordada query` finds ids: select customer_id from marts.customers where …"),
            ),
        }
    }

    /// The person whom an id became that is nobody's any more, however many merges later.
    async fn became(&self, id: &str) -> Result<BTreeSet<String>> {
        let mut seen = BTreeSet::from([id.to_owned()]);
        let mut last = id.to_owned();
        loop {
            let Some(frame) = self.frame(CHANGES).await? else {
                return Ok(BTreeSet::new());
            };
            let merged = col("from_customer_id")
                .eq(lit(last.as_str()))
                .and(col("change").eq(lit("merge")));
            let to = frame
                .filter(merged)
                .and_then(|frame| frame.sort(vec![col("number").sort(false, false)]))
                .and_then(|frame| frame.limit(0, Some(1)))
                .and_then(|frame| frame.select(vec![col("to_customer_id")]));
            let to = texts(&collect(to.doing(doing)?).await?)?;
            match to.into_iter().next() {
                Some(to) if seen.insert(to.clone()) => last = to,
                _ => break,
            }
        }
        match last == id {
            true => Ok(BTreeSet::new()),
            false => self.ids(PERSONS, KEY, &[&last]).await,
        }
    }

    /// The ids in the rows of a relation whose column has one of the values; none if there is no such relation.
    async fn ids(&self, relation: &str, column: &str, values: &[&str]) -> Result<BTreeSet<String>> {
        let Some(frame) = self.frame(relation).await? else {
            return Ok(BTreeSet::new());
        };
        let column = frame.schema().field_with_unqualified_name(column).doing(doing)?.clone();
        let is_one = values
            .iter()
            .filter_map(|value| equals(column.name(), column.data_type(), value))
            .reduce(Expr::or);
        let Some(is_one) = is_one else {
            return Ok(BTreeSet::new());
        };
        let frame = frame.filter(is_one).and_then(|frame| frame.select(vec![col(KEY)]));
        let frame = frame.and_then(|frame| frame.limit(0, Some(MOST)));
        texts(&collect(frame.doing(doing)?).await?)
    }

    /// What a relation knows of the person; `None` if it does not know persons, or not this one.
    async fn part(&self, relation: &TableName, id: &str) -> Result<Option<PersonPart>> {
        let Some(frame) = self.frame(relation.name()).await? else {
            return Ok(None);
        };
        let Ok(key) = frame.schema().field_with_unqualified_name(KEY).cloned() else {
            return Ok(None);
        };
        let Some(is_person) = equals(KEY, key.data_type(), id) else {
            return Ok(None);
        };
        let frame = frame.filter(is_person).and_then(|frame| frame.limit(0, Some(MOST)));
        let rows = collect(frame.doing(doing)?).await?;
        Ok((rows.num_rows() > 0).then(|| PersonPart {
            relation: relation.clone(),
            rows,
        }))
    }

    /// All rows of one of the marts, if there is one of that name.
    async fn frame(&self, relation: &str) -> Result<Option<DataFrame>> {
        let relation = name(relation)?;
        if self.release.relation(&relation).is_none() {
            return Ok(None);
        }
        let query = format!(r#"select * from "{}"."{}""#, relation.schema(), relation.name());
        let plan = sql::plan(&self.project.lake, &self.session, &query).await?;
        Ok(Some(DataFrame::new(self.session.state(), plan)))
    }
}

fn name(relation: &str) -> Result<TableName> {
    TableName::new(MARTS, relation)
}

/// That a column has a value; `None` if a column of that type cannot.
///
/// The column is left as it is, so that rows are found by its statistics.
fn equals(column: &str, data_type: &DataType, value: &str) -> Option<Expr> {
    let column = Expr::Column(datafusion::common::Column::from_name(column));
    match data_type {
        whole if whole.is_integer() => value.parse::<i64>().ok().map(|value| column.eq(lit(value))),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(column.eq(lit(value))),
        _ => None,
    }
}

async fn collect(frame: DataFrame) -> Result<RecordBatch> {
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.doing(doing)?;
    let schema = batches.first().map_or(schema, |batch| batch.schema());
    concat_batches(&schema, &batches).doing(doing)
}

/// The different values of the first column, as texts.
fn texts(rows: &RecordBatch) -> Result<BTreeSet<String>> {
    let column = cast(rows.column(0), &DataType::Utf8).doing(doing)?;
    let values = column.as_string::<i32>().iter().flatten();
    Ok(values.map(str::to_owned).collect())
}

fn doing() -> &'static str {
    "opening a person"
}
