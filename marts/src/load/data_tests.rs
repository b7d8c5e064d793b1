//! The tests of a project: those that YAML asks for, and those that are SQL files.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cordada_core::sql_text::Dialect;
use cordada_core::{Error, FilePosition, Result, TableName};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Layers, Loader, configs, constraint};
use crate::config::{self, RawConfig};
use crate::data_test::{Body, DataTest, Generic, Item, Settings, TestSubject};
use crate::jinja::{Names, Target, Uses};
use crate::node::{Node, NodeId};
use crate::project_file::configs_for;
use crate::properties::{ColumnProperties, NodeProperties};
use crate::source_file::SourceFile;

/// What the tests of one YAML entry are about.
pub(super) struct Subject<'a> {
    pub(super) tested: TestSubject,
    /// The node, if it is one.
    pub(super) node: Option<NodeId>,
    /// Begins the tests' names.
    pub(super) label: String,
    pub(super) fqn: Vec<String>,
    pub(super) file: &'a Path,
}

impl Loader {
    /// The enabled tests, each with a name of its own.
    pub(super) fn tests(&self, nodes: &[Node], names: &Names) -> Result<Vec<DataTest>> {
        let mut tests = Vec::new();
        let ids: HashMap<&str, NodeId> = nodes.iter().map(|node| (node.name.as_str(), node.id)).collect();
        for node in nodes {
            let Some((file, properties)) = self.properties.node(&node.name, node.kind()) else {
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
            self.constraints(&subject, node, properties, &ids, &mut tests)?;
        }
        self.indicator_tests(nodes, &ids, &mut tests)?;
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
            let is_test = |file: &&SourceFile| {
                let folders = ["generic", "fixtures"].map(|name| folder.root.join(name));
                !folders.iter().any(|other| file.relative.starts_with(other))
            };
            for file in folder.with_extension(&["sql"]).filter(is_test) {
                tests.push(self.singular_test(file, &ids)?);
            }
        }
        tests.retain(|test| test.settings.enabled);
        make_unique(&mut tests);
        Ok(tests)
    }

    pub(super) fn generic_tests(
        &self,
        subject: &Subject<'_>,
        items: &[Spanned<Value>],
        columns: &[ColumnProperties],
        ids: &HashMap<&str, NodeId>,
        tests: &mut Vec<DataTest>,
    ) -> Result<()> {
        for item in items {
            tests.push(self.generic_test(subject, Item::read(subject.file, item)?, None, ids)?);
        }
        for column in columns {
            for item in &column.data_tests {
                tests.push(self.generic_test(subject, Item::read(subject.file, item)?, Some(column), ids)?);
            }
        }
        Ok(())
    }

    /// The tests of what an enforced contract promises of rows.
    fn constraints(
        &self,
        subject: &Subject<'_>,
        node: &Node,
        properties: &NodeProperties,
        ids: &HashMap<&str, NodeId>,
        tests: &mut Vec<DataTest>,
    ) -> Result<()> {
        let of_model = properties.constraints.iter().map(|constraint| (None, constraint));
        let of_columns = properties.columns.iter().flat_map(|column| {
            let constraints = column.constraints.iter();
            constraints.map(move |constraint| (Some(column), constraint))
        });
        for (column, constraint) in of_model.chain(of_columns) {
            let place = FilePosition::of(subject.file, constraint);
            if !node.config.contract {
                let why = "the contract of the model is not enforced";
                self.ignored.key("constraints", why, &place);
                continue;
            }
            let own = column.map(|column| column.name.value.as_str());
            for (column, item) in constraint::tests(&constraint.value, own, &place)? {
                let column = column.map(|name| properties.columns.iter().find(|column| column.name.value == name));
                match column {
                    Some(None) => {
                        let why = "a constraint names a column that the contract does not have";
                        return Err(place.mark(Error::config("reading the constraints", why)));
                    }
                    column => tests.push(self.generic_test(subject, item, column.flatten(), ids)?),
                }
            }
        }
        Ok(())
    }

    fn generic_test(
        &self,
        subject: &Subject<'_>,
        item: Item,
        column: Option<&ColumnProperties>,
        ids: &HashMap<&str, NodeId>,
    ) -> Result<DataTest> {
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
        let configs = self.test_configs(&subject.fqn, item.config, &item.place)?;
        Ok(DataTest {
            name: item.name.unwrap_or(default_name),
            node: subject.node,
            depends_on: subject.node.into_iter().chain(of_refs).collect(),
            settings: self.settings(&configs, &item.place)?,
            configs,
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
        let configs = self.test_configs(&fqn, layers.merged, &file.whole())?;
        Ok(DataTest {
            node: depends_on.first().copied(),
            depends_on,
            settings: self.settings(&configs, &file.whole())?,
            configs,
            place: file.whole(),
            body: Body::Singular(file.clone()),
            name,
        })
    }

    /// What `dbt_project.yml` gives to all tests there, and a test's own configuration.
    fn test_configs(&self, fqn: &[String], own: RawConfig, place: &FilePosition) -> Result<[RawConfig; 2]> {
        let mut of_project = RawConfig::new();
        for (key, value) in configs_for(&self.file.data_tests, &[fqn, &fqn[1..]]) {
            let value = self.value(value, &self.project_yaml.find(key))?;
            config::merge(&mut of_project, RawConfig::from_iter([(key.to_owned(), value)]));
        }
        let own = match self.value(&Value::Object(own), place)? {
            Value::Object(own) => own,
            _ => RawConfig::new(),
        };
        Ok([of_project, own])
    }

    fn settings(&self, configs: &[RawConfig; 2], place: &FilePosition) -> Result<Settings> {
        let mut merged = RawConfig::new();
        for config in configs {
            config::merge(&mut merged, config.clone());
        }
        self.note_ignored(&merged, |_| place.clone());
        Settings::read(&merged, place)
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
