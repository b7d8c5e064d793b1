//! What a project consists of: models and seeds, and the tests on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cordada_lake::TableName;
use cordada_lake::release::ColumnDocs;

use crate::config::{Config, Materialization, RawConfig};

/// A node's number within its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A model or a seed.
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
    pub(crate) place: Place,
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

    /// The raw tables that it reads.
    pub fn sources(&self) -> impl Iterator<Item = &TableName> {
        self.sources.iter().map(|source| &source.table)
    }
}

/// A file of the project with its text.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// The path as the user can open it.
    pub(crate) path: PathBuf,
    /// The path within the project.
    pub(crate) relative: PathBuf,
    pub(crate) text: Arc<str>,
}

impl SourceFile {
    /// The file's name without its extension.
    pub(crate) fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The place of a byte offset in the text.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let (line, column) = crate::text::line_and_column(&self.text, offset);
        Place { file: self.path.clone(), line, column }
    }
}

/// Where something is written. Lines and columns count from 1; 0 means unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The place of a YAML node.
    pub(crate) fn of<T>(file: &Path, spanned: &serde_saphyr::Spanned<T>) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(0);
        let at = spanned.referenced;
        Self { file: file.to_owned(), line: number(at.line()), column: number(at.column()) }
    }

    /// The error, at this place.
    pub(crate) fn mark(&self, error: cordada_lake::Error) -> cordada_lake::Error {
        error.at(self.file.display(), self.line, self.column)
    }
}

/// How much a failing test matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is published.
    Error,
    /// It is reported.
    Warn,
}

impl Severity {
    /// As YAML spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
        }
    }
}

/// A comparison of a test's number of failures, as `warn_if` and `error_if` have it: `!= 0`, `> 10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Threshold {
    pub(crate) operator: Operator,
    pub(crate) failures: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Threshold {
    /// Any failure.
    pub(crate) const ANY: Self = Self { operator: Operator::NotEqual, failures: 0 };

    /// Parses `!= 0`, `>10` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        const OPERATORS: [(&str, Operator); 8] = [
            ("!=", Operator::NotEqual),
            ("<>", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("==", Operator::Equal),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        let text = text.trim();
        let (sign, operator) = OPERATORS.into_iter().find(|(sign, _)| text.starts_with(sign))?;
        Some(Self { operator, failures: text[sign.len()..].trim().parse().ok()? })
    }

    /// Whether a number of failures meets it.
    pub(crate) fn is_met(self, failures: u64) -> bool {
        match self.operator {
            Operator::Equal => failures == self.failures,
            Operator::NotEqual => failures != self.failures,
            Operator::Greater => failures > self.failures,
            Operator::GreaterOrEqual => failures >= self.failures,
            Operator::Less => failures < self.failures,
            Operator::LessOrEqual => failures <= self.failures,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        assert!(Threshold::ANY.is_met(1) && !Threshold::ANY.is_met(0));
        let more_than_ten = Threshold::parse(" > 10").unwrap();
        assert!(more_than_ten.is_met(11) && !more_than_ten.is_met(10));
        assert_eq!(Threshold::parse("!=0"), Some(Threshold::ANY));
        assert!(Threshold::parse("between 1 and 2").is_none());
    }
}
