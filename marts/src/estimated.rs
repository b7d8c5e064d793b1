//! What a node's estimator is asked, for those who ask it something besides a build.

use std::sync::Arc;

use cordada_core::Result;
use cordada_lake::estimator::{Inputs, Parameters, Relations};
use cordada_lake::query::sql;
use cordada_lake::{Lake, Release};

use crate::build::rows;
use crate::compiled::{CompiledNode, CompiledProject};

/// An estimator's name, its parameters, and the rows that it reads.
pub struct Estimated {
    /// The name that `estimator='…'` uses.
    pub estimator: String,
    /// The parameters that the node's configuration has for it.
    pub parameters: Parameters,
    /// The rows of its inputs, in a release.
    pub inputs: Inputs,
}

impl CompiledProject {
    /// What the node's estimator would be asked by a build on `release`; `None` if it has none.
    ///
    /// # Errors
    /// The release does not have what the node reads.
    pub async fn estimated(
        &self,
        node: &CompiledNode,
        lake: &Lake,
        release: &Arc<Release>,
    ) -> Result<Option<Estimated>> {
        let Some(model) = &self.project.0.nodes[node.id.0].config.model else {
            return Ok(None);
        };
        let session = lake.session(release);
        let plan = sql::plan(lake, &session, &node.work.full).await?;
        let mut inputs: Inputs = Relations::only(rows::of_query(&session, plan));
        for (name, query) in node.work.estimated.iter().flat_map(|estimated| &estimated.inputs) {
            let plan = sql::plan(lake, &session, query).await?;
            inputs.further.insert(name.clone(), rows::of_query(&session, plan));
        }
        Ok(Some(Estimated {
            estimator: model.estimator.clone(),
            parameters: model.parameters.clone(),
            inputs,
        }))
    }
}
