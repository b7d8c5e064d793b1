//! The tests of a project: those that YAML asks for, and those that are SQL files.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cordada_core::sql_text::Dialect;
use cordada_core::{Error, FilePosition, Result, TableName};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Layers, Loader, configs};
use crate::config::RawConfig;
use crate::data_test::{Body, DataTest, Generic, Item, Settings, TestSubject};
use crate::jinja::{Names, Target, Uses};
use crate::node::{Node, NodeId};
use crate::project_file::configs_for;
use crate::properties::ColumnProperties;
use crate::source_file::SourceFile;

/// What the tests of one YAML entry are about.
struct Subject<'a> {
    tested: TestSubject,
    /// The node, if it is one.
    node: Option<NodeId>,
    /// Begins the tests' names.
    label: String,
    fqn: Vec<String>,
    file: &'a Path,
}

impl Loader {
    /// The enabled tests, each with a name of its own.
    pub(super) fn tests(&self, nodes: &[Node], names: &Names) -> Result<Vec<DataTest>> {
        let mut tests = Vec::new();
        let ids: HashMap<&str, NodeId> = nodes.iter().map(|node| (node.name.as_str(), node.id)).collect();
        for node in nodes {
            let is_seed = node.config.materialization == crate::config::Materialization::Seed;
            let Some((file, properties)) = self.properties.node(&node.name, is_seed) else {
                continue;
            };
            let subject = Subject {
                tested: TestSubject::Node(node.name.clone()),
                node: Some(node.id),
                label: node.name.clone(),
                fqn: node.fqn.clone(),
                file,
            };
            self.generic_tests(&subject, &properties.data_tests, &properties.columns, &ids, &mut tests)?;
        }
        for (file, source) in self.properties.all_sources() {
            for table in &source.tables {
                let (source, table_name) = (&source.name.value, &table.name.value);
                let Some(relation) = names.sources.get(source).and_then(|tables| tables.get(table_name)) else {
                    continue;
                };
                let subject = Subject {
                    node: made_by(relation, nodes),
                    tested: TestSubject::Source(relation.clone()),
                    label: format!("source_{source}_{table_name}"),
                    fqn: vec![self.file.name.clone(), source.clone(), table_name.clone()],
                    file,
                };
                self.generic_tests(&subject, &table.data_tests, &table.columns, &ids, &mut tests)?;
            }
        }
        for folder in &self.tests {
            let generic = folder.root.join("generic");
            for file in folder
                .with_extension(&["sql"])
                .filter(|file| !file.relative.starts_with(&generic))
            {
                tests.push(self.singular_test(file, &ids)?);
            }
        }
        tests.retain(|test| test.settings.enabled);
        make_unique(&mut tests);
        Ok(tests)
    }

    fn generic_tests(
        &self,
        subject: &Subject<'_>,
        items: &[Spanned<Value>],
        columns: &[ColumnProperties],
        ids: &HashMap<&str, NodeId>,
        tests: &mut Vec<DataTest>,
    ) -> Result<()> {
        for item in items {
            tests.push(self.generic_test(subject, item, None, ids)?);
        }
        for column in columns {
            for item in &column.data_tests {
                tests.push(self.generic_test(subject, item, Some(column), ids)?);
            }
        }
        Ok(())
    }

    fn generic_test(
        &self,
        subject: &Subject<'_>,
        item: &Spanned<Value>,
        column: Option<&ColumnProperties>,
        ids: &HashMap<&str, NodeId>,
    ) -> Result<DataTest> {
        let item = Item::read(subject.file, item)?;
        let (package, macro_name) = self.jinja.find_test(&item.test).map_err(|hint| {
            let error = Error::config("reading the tests", format!("unknown test `{}`", item.test)).hint(hint);
            item.place.mark(error)
        })?;
        let mut uses = Uses::default();
        let arguments = Value::Object(item.arguments.clone());
        configs::render(&self.jinja, &arguments, &item.place, &|| self.outside(), &mut |more| {
            uses.refs.extend(more.refs);
            uses.sources.extend(more.sources);
        })?;
        let of_refs = uses.refs.iter().filter_map(|name| ids.get(name.as_str()).copied());
        let column = column.map(|column| {
            let name = &column.name.value;
            if column.quote {
                Dialect::Standard.identifier(name)
            } else {
                name.clone()
            }
        });
        let default_name = [&item.test.replace('.', "_"), &subject.label]
            .into_iter()
            .map(String::as_str)
            .chain(column.as_deref().map(|column| column.trim_matches('"')))
            .collect::<Vec<_>>()
            .join("_");
        Ok(DataTest {
            name: item.name.unwrap_or(default_name),
            node: subject.node,
            depends_on: subject.node.into_iter().chain(of_refs).collect(),
            settings: self.test_settings(&subject.fqn, item.config, &item.place)?,
            place: item.place,
            body: Body::Generic(Box::new(Generic {
                package,
                macro_name,
                tested: subject.tested.clone(),
                column,
                arguments: item.arguments,
            })),
        })
    }

    fn singular_test(&self, file: &SourceFile, ids: &HashMap<&str, NodeId>) -> Result<DataTest> {
        let (_, uses) = self.jinja.render(file, self.outside())?;
        let depends_on: Vec<_> = uses
            .refs
            .iter()
            .filter_map(|name| ids.get(name.as_str()).copied())
            .collect();
        let name = file.stem();
        let mut layers = Layers::default();
        if let Some((yaml, properties)) = self.properties.singular_test(&name) {
            layers.add(properties.config.clone(), |_| FilePosition::of(yaml, &properties.name));
        }
        layers.add(uses.config, |_| file.whole());
        let fqn = [self.file.name.clone(), name.clone()];
        Ok(DataTest {
            node: depends_on.first().copied(),
            depends_on,
            settings: self.test_settings(&fqn, layers.merged, &file.whole())?,
            place: file.whole(),
            body: Body::Singular(file.clone()),
            name,
        })
    }

    /// A test's settings over those that `dbt_project.yml` gives to all tests there.
    fn test_settings(&self, fqn: &[String], own: RawConfig, place: &FilePosition) -> Result<Settings> {
        let mut layers = Layers::default();
        for (key, value) in configs_for(&self.file.data_tests, &[fqn, &fqn[1..]]) {
            let value = self.value(value, &self.project_yaml.find(key))?;
            layers.add(RawConfig::from_iter([(key.to_owned(), value)]), |_| place.clone());
        }
        if let Value::Object(own) = self.value(&Value::Object(own), place)? {
            layers.add(own, |_| place.clone());
        }
        Settings::read(&layers.merged, place)
    }
}

/// The node that makes the table.
fn made_by(table: &TableName, nodes: &[Node]) -> Option<NodeId> {
    nodes.iter().find(|node| node.table == *table).map(|node| node.id)
}

/// Numbers the tests that share a name.
fn make_unique(tests: &mut [DataTest]) {
    let mut taken = HashSet::new();
    for test in tests {
        let name = test.name.clone();
        let mut number = 1;
        while !taken.insert(test.name.clone()) {
            number += 1;
            test.name = format!("{name}_{number}");
        }
    }
}

impl Names {
    /// The relation of a node that a test is about, as SQL.
    pub(crate) fn tested(&self, tested: &TestSubject) -> Option<String> {
        match tested {
            TestSubject::Source(table) => Some(crate::jinja::quoted(table)),
            TestSubject::Node(name) => match self.refs.get(name)? {
                Target::Relation(table) => Some(crate::jinja::quoted(table)),
                Target::Ephemeral(sql) => Some(format!("(\n{}\n)", sql.get()?)),
                Target::Unresolved | Target::Disabled => None,
            },
        }
    }
}
