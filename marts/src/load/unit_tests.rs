//! The unit tests of a project.

use std::collections::HashMap;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, FilePosition, Result};
use serde_json::Value;

use super::Loader;
use crate::config;
use crate::node::{Node, NodeId, NodeKind};
use crate::properties::RowsProperties;
use crate::unit_test::UnitTest;

impl Loader {
    /// The enabled unit tests, with the rows of their fixtures.
    pub(super) fn unit_tests(&self, nodes: &[Node]) -> Result<Vec<UnitTest>> {
        let models = nodes.iter().filter(|node| node.kind() == NodeKind::Model);
        let models: HashMap<&str, NodeId> = models.map(|node| (node.name.as_str(), node.id)).collect();
        let mut tests = Vec::new();
        for (file, test) in self.properties.unit_tests() {
            let place = FilePosition::of(file, &test.name);
            let doing = || format!("reading the unit test {}", test.name.value);
            let wrong = |why: String| place.mark(Error::config(doing(), why));
            if let Some(key) = test
                .config
                .keys()
                .find(|key| !["enabled", "meta", "tags"].contains(&key.as_str()))
            {
                return Err(wrong(format!("unknown configuration `{key}`")));
            }
            let enabled = config::boolean(&test.config, "enabled").map_err(|problem| wrong(problem.why))?;
            if enabled == Some(false) {
                continue;
            }
            let Some(model) = models.get(test.model.as_str()) else {
                let hint = did_you_mean(&test.model, "models", models.keys().copied());
                return Err(wrong(format!("there is no model `{}`", test.model)).hint(hint));
            };
            let given = test.given.iter().map(|rows| self.with_fixture(rows, &place));
            tests.push(UnitTest {
                name: test.name.value.clone(),
                model: *model,
                given: given.collect::<Result<_>>()?,
                expect: self.with_fixture(&test.expect, &place)?,
                overrides: test.overrides.clone(),
                place,
            });
        }
        Ok(tests)
    }

    /// The rows, from their file if they name one.
    fn with_fixture(&self, rows: &RowsProperties, place: &FilePosition) -> Result<RowsProperties> {
        let Some(name) = &rows.fixture else {
            return Ok(rows.clone());
        };
        let extension = rows.format.as_deref().unwrap_or("csv");
        let is_it = |relative: &std::path::Path| {
            relative.file_stem().is_some_and(|stem| stem.to_string_lossy() == *name)
                || relative.file_name().is_some_and(|file| file.to_string_lossy() == *name)
        };
        let extensions = [extension];
        let mut files = self.tests.iter().flat_map(|folder| folder.with_extension(&extensions));
        match files.find(|file| is_it(&file.relative)) {
            Some(file) => Ok(RowsProperties {
                rows: Value::String(file.text.to_string()),
                format: Some(extension.to_owned()),
                ..rows.clone()
            }),
            None => {
                let why = format!("there is no fixture `{name}.{extension}`");
                Err(place
                    .mark(Error::config("reading the unit tests", why))
                    .hint("fixtures are files in `tests/fixtures`"))
            }
        }
    }
}
