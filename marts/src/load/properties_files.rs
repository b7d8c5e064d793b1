//! What the YAML files describe, by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cordada_core::names::snake_case;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, FilePosition, Result, TableName};

use crate::jinja::Names;
use crate::properties::{NodeProperties, Properties, SingularTestProperties, SourceProperties};
use crate::source_file::SourceFile;

/// All YAML files of a project.
pub(super) struct PropertiesFiles(Vec<(PathBuf, Properties)>);

impl PropertiesFiles {
    pub(super) fn read<'a>(files: impl Iterator<Item = &'a SourceFile>) -> Result<Self> {
        files
            .map(|file| Ok((file.path.clone(), Properties::parse(&file.path, &file.text)?)))
            .collect::<Result<_>>()
            .map(Self)
    }

    fn all_nodes(&self, is_seed: bool) -> impl Iterator<Item = (&Path, &NodeProperties)> {
        self.0.iter().flat_map(move |(file, properties)| {
            let nodes = if is_seed { &properties.seeds } else { &properties.models };
            nodes.iter().map(|node| (file.as_path(), node))
        })
    }

    /// What is said about a model or seed.
    pub(super) fn node(&self, name: &str, is_seed: bool) -> Option<(&Path, &NodeProperties)> {
        self.all_nodes(is_seed).find(|(_, node)| node.name.value == name)
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
    pub(super) fn check_names(&self, names: &Names) -> Result<()> {
        let mut seen: HashMap<&str, &Path> = HashMap::new();
        for (file, node) in self.all_nodes(false).chain(self.all_nodes(true)) {
            let name = node.name.value.as_str();
            let wrong =
                |why: String| FilePosition::of(file, &node.name).mark(Error::config("reading the SQL project", why));
            if !names.refs.contains_key(name) {
                let hint = did_you_mean(name, "models and seeds", names.refs.keys().map(String::as_str));
                return Err(wrong(format!("`{name}` is described here, but there is no such file")).hint(hint));
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
            let schema = schema_of(source, file, &text)?;
            let tables = sources.entry(source.name.value.clone()).or_default();
            for table in &source.tables {
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
