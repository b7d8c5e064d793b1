//! What the YAML files describe, by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cordada_core::names::snake_case;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, FilePosition, Result, TableName};
use serde_saphyr::Spanned;

use crate::config::{self, RawConfig};
use crate::ignored::Ignored;
use crate::jinja::Names;
use crate::node::NodeKind;
use crate::properties::{NodeProperties, Properties, SingularTestProperties, SourceProperties, UnitTestProperties};
use crate::source_file::SourceFile;

/// All YAML files of a project.
pub(super) struct PropertiesFiles(Vec<(PathBuf, Properties)>);

impl PropertiesFiles {
    pub(super) fn read<'a>(files: impl Iterator<Item = &'a SourceFile>, ignored: &Ignored) -> Result<Self> {
        files
            .map(|file| Ok((file.path.clone(), Properties::parse(&file.path, &file.text, ignored)?)))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Adds what another file says.
    pub(super) fn add(&mut self, file: PathBuf, properties: Properties) {
        self.0.push((file, properties));
    }

    /// Everything said about unit tests.
    pub(super) fn unit_tests(&self) -> impl Iterator<Item = (&Path, &UnitTestProperties)> {
        self.0
            .iter()
            .flat_map(|(file, properties)| properties.unit_tests.iter().map(|test| (file.as_path(), test)))
    }

    pub(super) fn all_nodes(&self, kind: NodeKind) -> impl Iterator<Item = (&Path, &NodeProperties)> {
        self.0.iter().flat_map(move |(file, properties)| {
            let nodes = match kind {
                NodeKind::Model => &properties.models,
                NodeKind::Seed => &properties.seeds,
                NodeKind::Snapshot => &properties.snapshots,
                NodeKind::Segment => &properties.segments,
            };
            nodes.iter().map(|node| (file.as_path(), node))
        })
    }

    /// What is said about a node.
    pub(super) fn node(&self, name: &str, kind: NodeKind) -> Option<(&Path, &NodeProperties)> {
        self.all_nodes(kind).find(|(_, node)| node.name.value == name)
    }

    /// What is said about the node of that name, whatever defines it.
    pub(super) fn model(&self, name: &str) -> Option<&NodeProperties> {
        let kinds = [NodeKind::Model, NodeKind::Seed, NodeKind::Snapshot];
        kinds.into_iter().find_map(|kind| Some(self.node(name, kind)?.1))
    }

    /// Everything said about sources.
    pub(super) fn all_sources(&self) -> impl Iterator<Item = (&Path, &SourceProperties)> {
        self.0
            .iter()
            .flat_map(|(file, properties)| properties.sources.iter().map(|source| (file.as_path(), source)))
    }

    /// What is said about a singular test.
    pub(super) fn singular_test(&self, name: &str) -> Option<(&Path, &SingularTestProperties)> {
        let tests = self
            .0
            .iter()
            .flat_map(|(file, properties)| properties.data_tests.iter().map(|test| (file.as_path(), test)));
        tests.into_iter().find(|(_, test)| test.name.value == name)
    }

    /// Refuses descriptions of nodes that are not there, and second descriptions: their tests would not be run.
    /// `kind_of` knows what defines a node that is enabled.
    pub(super) fn check_names(&self, names: &Names, kind_of: impl Fn(&str) -> Option<NodeKind>) -> Result<()> {
        let mut seen: HashMap<&str, &Path> = HashMap::new();
        let kinds = [NodeKind::Model, NodeKind::Seed, NodeKind::Snapshot, NodeKind::Segment];
        let described = kinds
            .into_iter()
            .flat_map(|kind| self.all_nodes(kind).map(move |(file, node)| (kind, file, node)));
        for (kind, file, node) in described {
            let name = node.name.value.as_str();
            let wrong =
                |why: String| FilePosition::of(file, &node.name).mark(Error::config("reading the SQL project", why));
            if !names.refs.contains_key(name) {
                let hint = did_you_mean(name, "models and seeds", names.refs.keys().map(String::as_str));
                return Err(wrong(format!("`{name}` is described here, but there is no such file")).hint(hint));
            }
            if let Some(is) = kind_of(name).filter(|is| *is != kind) {
                let why = format!("`{name}` is described as a {} and is a {}", kind.name(), is.name());
                return Err(wrong(why).hint(format!("describe it under `{}s`", is.name())));
            }
            if let Some(other) = seen.insert(name, file) {
                return Err(wrong(format!("`{name}` is described twice"))
                    .hint(format!("the other description is in {}", other.display())));
            }
        }
        Ok(())
    }

    /// The tables of each source; `text` renders texts.
    pub(super) fn sources(
        &self,
        text: impl Fn(&str, &FilePosition) -> Result<String>,
    ) -> Result<HashMap<String, HashMap<String, TableName>>> {
        let mut sources: HashMap<String, HashMap<String, TableName>> = HashMap::new();
        for (file, source) in self.all_sources() {
            if !is_enabled(&source.config, file, &source.name, &text)? {
                continue;
            }
            let schema = schema_of(source, file, &text)?;
            let tables = sources.entry(source.name.value.clone()).or_default();
            for table in &source.tables {
                if !is_enabled(&table.config, file, &table.name, &text)? {
                    continue;
                }
                let place = FilePosition::of(file, &table.name);
                let identifier = table.identifier.as_deref().unwrap_or(&table.name.value);
                let name = TableName::new(schema.clone(), identifier).map_err(|error| place.mark(error))?;
                if tables.insert(table.name.value.clone(), name).is_some() {
                    let why = format!("the source table `{}` is described twice", table.name.value);
                    return Err(place.mark(Error::config("reading the SQL project", why)));
                }
            }
        }
        Ok(sources)
    }
}

/// Whether a source is, which its configuration may deny; it can say nothing else that has an effect.
fn is_enabled(
    config: &RawConfig,
    file: &Path,
    name: &Spanned<String>,
    text: impl Fn(&str, &FilePosition) -> Result<String>,
) -> Result<bool> {
    const KEYS: [&str; 7] = [
        "enabled",
        "meta",
        "tags",
        "event_time",
        "freshness",
        "loaded_at_field",
        "loaded_at_query",
    ];
    let wrong = |why: String| FilePosition::of(file, name).mark(Error::config("reading the SQL project", why));
    if let Some(unknown) = config.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let hint = did_you_mean(unknown, "the keys are", KEYS);
        return Err(wrong(format!("unknown configuration `{unknown}` of a source")).hint(hint));
    }
    let mut config = config.clone();
    if let Some(serde_json::Value::String(template)) = config.get("enabled") {
        let rendered = text(template, &FilePosition::of(file, name))?;
        config.insert("enabled".to_owned(), rendered.into());
    }
    let enabled = config::boolean(&config, "enabled").map_err(|problem| wrong(problem.why))?;
    Ok(enabled.unwrap_or(true))
}

/// The schema of a source: what it says, otherwise where ingestion lands a source of that name.
fn schema_of(
    source: &SourceProperties,
    file: &Path,
    text: impl Fn(&str, &FilePosition) -> Result<String>,
) -> Result<String> {
    match &source.schema {
        Some(schema) => text(schema, &FilePosition::of(file, &source.name)),
        None => Ok(format!(
            "raw_{}",
            snake_case(&source.name.value).trim_start_matches("raw_")
        )),
    }
}
