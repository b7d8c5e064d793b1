//! The further outputs of a model: nodes without a file of their own.

use std::collections::BTreeMap;

use cordada_core::{FilePosition, Result, TableName};

use super::Loader;
use super::configs::Layers;
use crate::config::{Config, RawConfig};
use crate::jinja::Uses;
use crate::node::{Node, NodeId, NodeKind};

impl Loader {
    /// A node for each further output that the model asks for, by the estimator's name for it. The node `persons`
    /// makes `persons__links` of its output `links`.
    pub(super) fn outputs(&self, model: &Node) -> Result<Vec<(String, (Node, Uses))>> {
        let names = model.output_names().into_iter();
        names
            .map(|name| {
                let output = self.output(model, &name)?;
                Ok((name, output))
            })
            .collect()
    }

    fn output(&self, model: &Node, output: &str) -> Result<(Node, Uses)> {
        let below = |name: &str| format!("{name}__{output}");
        let name = below(&model.name);
        let table = TableName::new(model.table.schema(), below(model.table.name()))
            .map_err(|error| model.file.find_call("config", output).mark(error))?;
        let properties = self.properties.node(&name, NodeKind::Model);
        let mut layers = Layers::default();
        if let Some((yaml, properties)) = properties {
            layers.add(properties.config.clone(), |_| FilePosition::of(yaml, &properties.name));
        }
        let config =
            Config::of_output(&model.config, &layers.merged).map_err(|wrong| layers.explain(wrong, &model.file))?;
        let (description, columns) = match properties {
            Some((yaml, properties)) => self.documentation(yaml, properties)?,
            None => (None, Vec::new()),
        };
        let folders = &model.fqn[..model.fqn.len() - 1];
        let node = Node {
            id: NodeId(0),
            table,
            file: model.file.clone(),
            fqn: folders.iter().chain([&name]).cloned().collect(),
            name,
            config,
            raw_config: RawConfig::new(),
            description,
            columns,
            depends_on: Vec::new(),
            sources: Vec::new(),
            outputs: BTreeMap::new(),
            indicators: Vec::new(),
            segment: None,
        };
        let reads_model = Uses {
            refs: vec![model.name.clone()],
            ..Uses::default()
        };
        Ok((node, reads_model))
    }
}
