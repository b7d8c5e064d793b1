//! Building a model: its estimator fits, or takes the artefact of an earlier fit, and scores.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cordada_core::{Context, Error, Result};
use cordada_lake::estimator::{Artefact, Estimator, Inputs, Previous, Provenance, Relations, Rows, Scores};
use cordada_lake::query::sql;
use cordada_lake::{RelationKind, Write};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::fingerprint::Made;
use super::materialize::{BuiltNode, Goal, Materialize, anew};
use super::{fingerprint, rows};
use crate::jinja::quoted;
use crate::model::{Model, Refit};

/// The fit that the rows of a model's table were scored with. The table keeps it as its state, in the same commit as
/// the rows: what a release publishes says by itself where it comes from.
#[derive(Debug, Serialize, Deserialize)]
struct Fit {
    /// The artefact's name in the lake.
    artefact: String,
    /// The fingerprint of the definition that was fitted.
    definition: String,
    fitted_at: DateTime<Utc>,
}

impl Materialize<'_> {
    /// Builds a node with an estimator, and its further outputs.
    pub(super) async fn model(&self, model: &Model) -> Result<BuiltNode> {
        let estimator = self.estimators.get(&model.estimator)?.as_ref();
        let session = self.lake.session(&self.release);
        let plans = self.plans(&session).await?;
        let made = self.made_of(plans.iter(), &session).await?;
        self.note_reads(plans.iter())?;
        let schemas = plans.clone().map(|plan| Arc::new(plan.schema().as_arrow().clone()));
        let definition = fingerprint::of_estimator(estimator, &model.parameters, &schemas, &made.definition);
        let read = made.inputs;
        let nodes = || self.goals.iter().map(|goal| goal.node);
        let fingerprint = read
            .as_deref()
            .map(|read| fingerprint::of_nodes(nodes(), &self.source.config, &definition, read));
        let last = self.last_fit().await?;
        let is_due = last
            .as_ref()
            .is_some_and(|fit| model.refit.is_due(fit.fitted_at, Utc::now()));
        if let Some(built) = self.reuse(fingerprint.as_deref()).filter(|_| !is_due) {
            return Ok(built);
        }
        let is_kept = |fit: &Fit| {
            let keeps = model.refit != Refit::Always && !is_due && !self.full_refresh;
            keeps && fit.definition == definition
        };
        let inputs = plans.map(|plan| rows::of_query(&session, plan));
        let (fit, artefact) = match last.filter(is_kept) {
            Some(fit) => {
                let (_, artefact) = self.lake.artefact(&self.node().table, &fit.artefact).await?;
                (fit, artefact)
            }
            None => self.fit(estimator, model, &inputs, definition, read).await?,
        };
        let previous = self.previous().await?;
        let scores = estimator
            .score(&artefact, &inputs, &previous, &model.parameters)
            .await?;
        self.write_scores(scores, &fit, fingerprint.as_deref()).await
    }

    /// The queries of all inputs.
    async fn plans(&self, session: &SessionContext) -> Result<Relations<LogicalPlan>> {
        let work = &self.node().work;
        let mut plans = Relations::only(sql::plan(self.lake, session, &work.full).await?);
        for (name, query) in work.estimated.iter().flat_map(|estimated| &estimated.inputs) {
            let plan = sql::plan(self.lake, session, query).await?;
            plans.further.insert(name.clone(), plan);
        }
        Ok(plans)
    }

    /// The fit behind the rows that are published.
    async fn last_fit(&self) -> Result<Option<Fit>> {
        let relation = self.base.relation(&self.node().table);
        let Some(RelationKind::Table { path, version, .. }) = relation.map(|relation| &relation.kind) else {
            return Ok(None);
        };
        let state = self.lake.state_at(path, *version).await?;
        // The state of a table that was not a model's is not a fit.
        Ok(state.and_then(|state| serde_json::from_str(&state).ok()))
    }

    async fn fit(
        &self,
        estimator: &dyn Estimator,
        model: &Model,
        inputs: &Inputs,
        definition: String,
        rows: Option<String>,
    ) -> Result<(Fit, Artefact)> {
        let artefact = estimator.fit(inputs, &model.parameters).await?;
        let provenance = Provenance {
            model: self.node().table.clone(),
            estimator: estimator.name().to_owned(),
            version: estimator.version(),
            definition: definition.clone(),
            rows,
        };
        let fit = Fit {
            artefact: self.lake.put_artefact(&provenance, &artefact).await?,
            definition,
            fitted_at: Utc::now(),
        };
        Ok((fit, artefact))
    }

    /// The outputs as they are published.
    async fn previous(&self) -> Result<Previous> {
        let session = self.lake.session(self.base);
        let mut previous = Relations::only(self.published(&session, &self.goals.main).await?);
        for (name, goal) in &self.goals.further {
            let rows = self.published(&session, goal).await?;
            previous.further.insert(name.clone(), rows);
        }
        Ok(previous)
    }

    async fn published(&self, session: &SessionContext, goal: &Goal<'_>) -> Result<Option<Arc<dyn Rows>>> {
        let table = &goal.node.table;
        if self.base.relation(table).is_none() {
            return Ok(None);
        }
        let query = format!("select * from {}", quoted(table));
        let plan = sql::plan(self.lake, session, &query).await?;
        Ok(Some(rows::of_query(session, plan)))
    }

    /// Writes the outputs that the project asks for, all at once.
    async fn write_scores(&self, scores: Scores, fit: &Fit, fingerprint: Option<&str>) -> Result<BuiltNode> {
        let Relations { main, mut further } = scores;
        let state = serde_json::to_string(fit).doing(|| self.doing())?;
        let write = Write {
            state: Some(state),
            ..anew(self.node())
        };
        let fingerprint = || fingerprint.map(str::to_owned);
        let made = Made {
            definition: fit.definition.clone(),
        };
        let made = serde_json::to_string(&made).doing(|| self.doing())?;
        let mut writes = vec![self.write(&self.goals.main, write, vec![main], fingerprint())];
        for (name, goal) in &self.goals.further {
            let missing = || Error::failed(self.doing(), format!("its estimator did not make the output `{name}`"));
            let rows = further.remove(name).ok_or_else(missing)?;
            let write = Write {
                state: Some(made.clone()),
                ..anew(goal.node)
            };
            writes.push(self.write(goal, write, vec![rows], fingerprint()));
        }
        drop(further);
        Ok(BuiltNode {
            relations: try_join_all(writes).await?,
            reused: false,
            reads: BTreeSet::new(),
            note: None,
        })
    }
}
