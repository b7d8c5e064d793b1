//! A project of SQL models, as it was read from its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cordada_core::Result;
use serde_json::{Map, Value};

use crate::data_test::DataTest;
use crate::jinja::{Jinja, Names};
use crate::node::{Node, NodeId};
use crate::unit_test::UnitTest;
use crate::{load, selector};

/// How a project is read.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Variables for `var('…')`; they win over those of `dbt_project.yml`.
    pub vars: Map<String, Value>,
    /// What `target.name` says: the environment.
    pub target: String,
    /// The environment variables that `env_var('…')` may read.
    pub env: BTreeMap<String, String>,
    /// The folder that has the folders `segments` and `indicators`: the SQL project's own if nothing is said.
    pub definitions: Option<PathBuf>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            vars: Map::new(),
            target: "prod".to_owned(),
            env: BTreeMap::new(),
            definitions: None,
        }
    }
}

/// A project: its models, seeds and tests, and how they depend on each other. Clones share everything.
#[derive(Debug, Clone)]
pub struct Project(pub(crate) Arc<ProjectContents>);

/// What a project consists of.
#[derive(Debug)]
pub(crate) struct ProjectContents {
    pub(crate) name: String,
    /// By [`NodeId`].
    pub(crate) nodes: Vec<Node>,
    /// Each after those that it reads.
    pub(crate) order: Vec<NodeId>,
    pub(crate) tests: Vec<DataTest>,
    pub(crate) unit_tests: Vec<UnitTest>,
    pub(crate) jinja: Jinja,
    pub(crate) names: Arc<Names>,
    /// What the project says and nothing is done with.
    pub(crate) ignored: Vec<String>,
}

impl Project {
    /// Reads the project in `dir`, the folder of `dbt_project.yml`.
    ///
    /// # Errors
    /// Config, with file and line: files that are missing, unknown keys, Jinja that fails, unknown refs and
    /// sources, cycles.
    pub fn load(dir: &Path, options: &LoadOptions) -> Result<Project> {
        load::load(dir, options).map(|loaded| Project(Arc::new(loaded)))
    }

    /// The project's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the project says and nothing is done with: a sentence each, with its place. Loading logs them as warnings.
    pub fn ignored(&self) -> &[String] {
        &self.0.ignored
    }

    /// The nodes, each after those that it reads.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.0.order.iter().map(|id| &self.0.nodes[id.0])
    }

    /// A node by its number.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.0.nodes.get(id.0)
    }

    /// The nodes that `select` chooses (all if it is empty) without those that `exclude` chooses.
    ///
    /// # Errors
    /// Config: a selector that is not understood or that chooses nothing.
    pub fn select(&self, select: &[String], exclude: &[String]) -> Result<BTreeSet<NodeId>> {
        selector::select(&self.0, select, exclude)
    }
}

impl ProjectContents {
    /// The edges: for each node those that it reads.
    pub(crate) fn dependencies(&self) -> Vec<Vec<usize>> {
        self.nodes
            .iter()
            .map(|node| node.depends_on.iter().map(|id| id.0).collect())
            .collect()
    }
}
