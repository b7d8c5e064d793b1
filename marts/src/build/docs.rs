//! What a release says about the project's relations: descriptions, keys, personal data.

use cordada_core::TableName;
use cordada_lake::release::{ColumnDocs, Docs, ForeignKey};

use crate::data_test::{Body, DataTest, Generic};
use crate::node::Node;
use crate::project::ProjectContents;
use crate::severity::Severity;

/// What there is to say about a node's relation. Keys are what its tests assert for all rows, on pain of not being
/// published.
pub(crate) fn of(project: &ProjectContents, node: &Node) -> Docs {
    let tests: Vec<(&DataTest, &Generic)> = project
        .tests
        .iter()
        .filter(|test| test.node == Some(node.id))
        .filter(|test| test.settings.severity == Severity::Error && test.settings.only.is_none())
        .filter_map(|test| match &test.body {
            Body::Generic(generic) => Some((test, &**generic)),
            Body::Singular(_) => None,
        })
        .collect();
    let tested = |macro_name: &str, column: &str| {
        tests
            .iter()
            .any(|(_, generic)| generic.macro_name == macro_name && column_of(generic) == Some(column))
    };
    let key = node
        .columns
        .iter()
        .find(|c| tested("test_unique", &c.name) && tested("test_not_null", &c.name));
    Docs {
        description: node.description.clone(),
        columns: node
            .columns
            .iter()
            .filter(|column| column.docs != ColumnDocs::default())
            .map(|column| (column.name.clone(), column.docs.clone()))
            .collect(),
        primary_key: key.map(|column| column.name.clone()).into_iter().collect(),
        foreign_keys: tests
            .iter()
            .filter_map(|(test, generic)| foreign_key(project, node, test, generic))
            .collect(),
    }
}

fn foreign_key(project: &ProjectContents, node: &Node, test: &DataTest, generic: &Generic) -> Option<ForeignKey> {
    if generic.macro_name != "test_relationships" {
        return None;
    }
    let target = test.depends_on.iter().find(|id| **id != node.id)?;
    let references: &TableName = &project.nodes[target.0].table;
    Some(ForeignKey {
        columns: vec![column_of(generic)?.to_owned()],
        references: references.clone(),
        referenced_columns: vec![generic.arguments.get("field")?.as_str()?.to_owned()],
    })
}

fn column_of(generic: &Generic) -> Option<&str> {
    generic.column.as_deref().map(|column| column.trim_matches('"'))
}
