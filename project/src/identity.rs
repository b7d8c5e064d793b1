//! `identity`: why two records are one person or not, and how good that is.
//!
//! Everything is said about one model of the SQL project with `estimator='identity'` and the output `pairs`.

pub mod labels;
mod pairs;
mod sample;
mod waterfall;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Context, Error, Result, TableName};
use cordada_lake::Release;
use cordada_lake::query::sql;
use datafusion::prelude::SessionContext;

use crate::Project;

pub use self::sample::{Sheet, labelled};
pub use self::waterfall::{FieldWeight, Standing, Waterfall};

/// How the relation of the pairs is called after the model's own.
const PAIRS: &str = "__pairs";

/// A model that says who is who, in a release.
struct IdentityModel<'a> {
    project: &'a Project,
    release: Arc<Release>,
    session: SessionContext,
    /// The relation of the records with their persons.
    persons: TableName,
    pairs: TableName,
    /// The column that tells records apart.
    key: String,
}

impl<'a> IdentityModel<'a> {
    /// The model of that name in the newest release, or the only one.
    async fn find(project: &'a Project, model: Option<&str>) -> Result<Self> {
        let release = project.lake.releases().newest().await?;
        let of_pairs = |pairs: &TableName| {
            let persons = TableName::new(pairs.schema(), pairs.name().strip_suffix(PAIRS)?).ok()?;
            release.relation(&persons)?;
            Some((persons, pairs.clone()))
        };
        let mut found: Vec<(TableName, TableName)> = release.relations.keys().filter_map(of_pairs).collect();
        let names: Vec<String> = found.iter().map(|(persons, _)| persons.name().to_owned()).collect();
        let doing = "finding the model that says who is who";
        if let Some(model) = model {
            found.retain(|(persons, _)| persons.name() == model);
            if found.is_empty() {
                let hint = did_you_mean(model, "there are", names.iter().map(String::as_str));
                return Err(Error::config(doing, format!("the release has no `{model}` with pairs")).hint(hint));
            }
        }
        let several = found.len() > 1;
        let Some((persons, pairs)) = found.pop() else {
            return Err(Error::config(doing, "the release has none with pairs")
                .hint("build a model with estimator='identity' and outputs=['pairs']: docs/identity.md"));
        };
        if several {
            return Err(
                Error::config(doing, format!("there are several: {}", names.join(", "))).hint("name one with --model")
            );
        }
        let session = project.lake.session(&release);
        let mut found = Self {
            project,
            session,
            persons,
            pairs,
            release,
            key: String::new(),
        };
        found.key = found.key_of_pairs().await?;
        Ok(found)
    }

    async fn key_of_pairs(&self) -> Result<String> {
        let query = format!("select * from {}", quoted(&self.pairs));
        let plan = sql::plan(&self.project.lake, &self.session, &query).await?;
        let first = plan.schema().fields().first().map(|field| field.name().clone());
        let key = first.as_deref().and_then(|first| first.strip_suffix("_a"));
        key.map(str::to_owned).ok_or_else(|| {
            Error::config(
                "reading pairs of records",
                format!("{} has no pairs of `identity`", self.pairs),
            )
        })
    }

    /// The rows of a query on the release.
    async fn query(&self, query: &str) -> Result<RecordBatch> {
        let doing = || "reading who is who";
        let plan = sql::plan(&self.project.lake, &self.session, query).await?;
        let frame = self.session.execute_logical_plan(plan).await.doing(doing)?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await.doing(doing)?;
        let schema = batches.first().map_or(schema, |batch| batch.schema());
        concat_batches(&schema, &batches).doing(doing)
    }
}

/// A relation as SQL names it.
fn quoted(relation: &TableName) -> String {
    format!(r#""{}"."{}""#, relation.schema(), relation.name())
}
