//! The enabled nodes, what their names stand for, and at last how they depend on each other.

use std::collections::HashMap;

use cordada_core::{Error, Result, TableName};

use crate::config::Materialization;
use crate::jinja::{Names, Target, Uses};
use crate::node::{Node, NodeId, SourceUse};

/// The enabled nodes, with what their templates use.
pub(super) struct EnabledNodes {
    pub(super) nodes: Vec<(Node, Uses)>,
    pub(super) names: Names,
    tables: HashMap<TableName, NodeId>,
}

impl EnabledNodes {
    /// Begins with names that no node has.
    pub(super) fn new(names: Names) -> Self {
        Self {
            nodes: Vec::new(),
            names,
            tables: HashMap::new(),
        }
    }

    /// Adds a node and says its number, unless it is disabled: then only its name is known.
    pub(super) fn add(&mut self, mut node: Node, uses: Uses) -> Result<Option<NodeId>> {
        node.id = NodeId(self.nodes.len());
        let target = match (node.config.enabled, node.config.materialization) {
            (false, _) => Target::Disabled,
            (true, Materialization::Ephemeral) => Target::Ephemeral(Default::default()),
            (true, _) => Target::Relation(node.table.clone()),
        };
        if let Target::Relation(table) = &target
            && let Some(other) = self.tables.insert(table.clone(), node.id)
        {
            let other = self.nodes[other.0].0.file.path.display();
            let why = format!("it makes {table}, and so does {other}");
            return Err(Error::config("loading the SQL project", why)
                .hint("give one of them another `alias` or `schema`")
                .at(node.file.path.display(), 0, 0));
        }
        if self.names.refs.insert(node.name.clone(), target).is_some() {
            let why = format!(
                "there are two of the name `{}`, one of them an output of a model",
                node.name
            );
            return Err(Error::config("loading the SQL project", why)
                .hint("rename the file of that name")
                .at(node.file.path.display(), 0, 0));
        }
        let id = node.config.enabled.then_some(node.id);
        if id.is_some() {
            self.nodes.push((node, uses));
        }
        Ok(id)
    }

    /// The nodes, which know now what they read.
    pub(super) fn linked(self) -> (Vec<Node>, Names) {
        let Self { nodes, names, tables } = self;
        let ids: HashMap<String, NodeId> = nodes.iter().map(|(node, _)| (node.name.clone(), node.id)).collect();
        let linked = nodes.into_iter().map(|(mut node, uses)| {
            node.depends_on = depends_on(&uses, &ids, &tables);
            node.sources = uses
                .sources
                .into_iter()
                .filter(|(_, table)| !tables.contains_key(table))
                .map(|(source, table)| SourceUse { source, table })
                .collect();
            node
        });
        (linked.collect(), names)
    }
}

fn depends_on(uses: &Uses, ids: &HashMap<String, NodeId>, tables: &HashMap<TableName, NodeId>) -> Vec<NodeId> {
    let of_refs = uses.refs.iter().filter_map(|name| ids.get(name));
    // A source that the project itself makes (a seed, say) is a dependency like any other.
    let of_sources = uses.sources.iter().filter_map(|(_, table)| tables.get(table));
    let mut all: Vec<_> = of_refs.chain(of_sources).copied().collect();
    all.sort();
    all.dedup();
    all
}
