//! Compiling what an estimator makes: its further inputs are planned like a model's SELECT, and its outputs are known
//! from the columns of all inputs.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result, types};
use cordada_lake::estimator::Relations;

use super::{Compiler, documented};
use crate::compiled::{CompiledNode, EstimatorIo, Work};
use crate::config::RawConfig;
use crate::contract;
use crate::jinja::quoted_part;
use crate::model::{self, Model};
use crate::node::Node;

impl Compiler<'_> {
    /// The columns of what the estimator makes: the model's own, and those of its further outputs. `config` is what
    /// the template said, in which refs are relations.
    pub(super) async fn estimated(
        &self,
        node: &Node,
        model: &Model,
        config: &RawConfig,
        main: SchemaRef,
    ) -> Result<(SchemaRef, EstimatorIo)> {
        let inputs = further_inputs(node, config)?;
        let mut schemas = Relations::only(main);
        for (name, sql) in &inputs {
            let plan = self.plan(node, sql).await?;
            schemas.further.insert(name.clone(), self.columns(node, &plan)?);
        }
        let planned = self
            .estimators
            .get(&model.estimator)
            .and_then(|estimator| estimator.plan(&schemas, &model.parameters))
            .map_err(|error| node.file.find_call("config", &model.estimator).mark(error))?;
        let mut outputs = BTreeMap::new();
        for name in &model.outputs {
            let schema = planned
                .further
                .get(name)
                .ok_or_else(|| no_output(node, name, &planned))?;
            outputs.insert(name.clone(), schema.clone());
        }
        Ok((planned.main, EstimatorIo { inputs, outputs }))
    }

    /// A further output of a model that is among those compiled `before`.
    pub(super) async fn output(&self, node: &Node, before: &[Option<CompiledNode>]) -> Result<Work> {
        let missing = || Error::failed(format!("compiling {}", node.name), "its model is not compiled");
        let model = node.output_of().ok_or_else(missing)?;
        let names = &self.project.nodes[model.0].outputs;
        let name = names.iter().find(|(_, id)| **id == node.id).map(|(name, _)| name);
        let estimated = before[model.0].as_ref().and_then(|model| model.work.estimated.as_ref());
        let schema = estimated
            .zip(name)
            .and_then(|(estimated, name)| estimated.outputs.get(name));
        let schema = schema.ok_or_else(missing)?;
        if node.config.contract {
            contract::check(self.lake, &self.session, node, schema).await?;
        }
        let schema = documented(node, schema)?;
        self.set_planned(node, types::readable(&schema));
        Ok(Work::new(String::new(), schema))
    }
}

/// The queries of the further inputs.
fn further_inputs(node: &Node, config: &RawConfig) -> Result<BTreeMap<String, String>> {
    let inputs = model::inputs(config).map_err(|wrong| {
        let error = Error::config(format!("compiling {}", node.name), wrong.why);
        node.file.find_call("config", "inputs").mark(error)
    })?;
    let query = |(name, relation): (&str, &str)| {
        let query = format!("select * from {relation} as {}", quoted_part(name));
        (name.to_owned(), query)
    };
    Ok(inputs.into_iter().map(query).collect())
}

fn no_output(node: &Node, name: &str, planned: &Relations<SchemaRef>) -> Error {
    let why = format!("its estimator has no output `{name}`");
    let names = planned.further.keys().map(String::as_str);
    let error =
        Error::config(format!("compiling {}", node.name), why).hint(did_you_mean(name, "its outputs are", names));
    node.file.find_call("config", name).mark(error)
}
