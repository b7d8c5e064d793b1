//! The nodes of a project: models, their further outputs, seeds, snapshots and segments.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cordada_core::{FilePosition, TableName};
use cordada_lake::release::ColumnDocs;

use crate::config::{Config, Materialization, RawConfig};
use crate::indicator::Indicator;
use crate::segment::{HISTORY, Segment};
use crate::source_file::SourceFile;

/// A node's number within its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A model, one of its further outputs, a seed, a snapshot or a segment.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) table: TableName,
    pub(crate) file: SourceFile,
    /// The project's name, folders, and the node's name.
    pub(crate) fqn: Vec<String>,
    pub(crate) config: Config,
    /// The configuration as it was written, for `config.get(…)`.
    pub(crate) raw_config: RawConfig,
    pub(crate) description: Option<String>,
    pub(crate) columns: Vec<Column>,
    pub(crate) depends_on: Vec<NodeId>,
    pub(crate) sources: Vec<SourceUse>,
    /// A model's further outputs by the estimator's names for them, or a segment's; each is a node that reads this one.
    pub(crate) outputs: BTreeMap<String, NodeId>,
    /// Figures that become columns besides those of its query.
    pub(crate) indicators: Vec<Indicator>,
    /// Of a segment: who belongs to it.
    pub(crate) segment: Option<Arc<Segment>>,
}

/// What defines a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Model,
    Seed,
    Snapshot,
    Segment,
}

impl NodeKind {
    /// As dbt calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Segment => "segment",
        }
    }
}

/// A raw table that a node reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceUse {
    pub(crate) source: String,
    pub(crate) table: TableName,
}

/// What the project's YAML says about a column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) docs: ColumnDocs,
    pub(crate) data_type: Option<String>,
    /// Where it says so.
    pub(crate) place: FilePosition,
}

impl Node {
    /// Its number within the project.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The name that `ref('…')` uses.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The relation that it makes; an ephemeral model makes none.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// How its rows are kept.
    pub fn materialization(&self) -> Materialization {
        self.config.materialization
    }

    /// What defines it.
    pub(crate) fn kind(&self) -> NodeKind {
        match self.materialization() {
            Materialization::Seed => NodeKind::Seed,
            Materialization::Snapshot => NodeKind::Snapshot,
            Materialization::Segment => NodeKind::Segment,
            _ => NodeKind::Model,
        }
    }

    /// The file that defines it.
    pub fn file(&self) -> &Path {
        &self.file.path
    }

    /// Its tags.
    pub fn tags(&self) -> &[String] {
        &self.config.tags
    }

    /// What one row is, if the YAML says so.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The nodes that it reads.
    pub fn depends_on(&self) -> &[NodeId] {
        &self.depends_on
    }

    /// The further outputs that it asks for.
    pub(crate) fn output_names(&self) -> Vec<String> {
        let of_model = self.config.model.iter().flat_map(|model| model.outputs.iter().cloned());
        of_model
            .chain(self.segment.iter().map(|_| HISTORY.to_owned()))
            .collect()
    }

    /// The model, or the segment, whose further output it is.
    pub(crate) fn output_of(&self) -> Option<NodeId> {
        let is_output = self.materialization() == Materialization::Output;
        self.depends_on.first().copied().filter(|_| is_output)
    }

    /// The raw tables that it reads.
    pub fn sources(&self) -> impl Iterator<Item = &TableName> {
        self.sources.iter().map(|source| &source.table)
    }
}
