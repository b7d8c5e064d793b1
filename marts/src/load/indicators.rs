//! The indicators of a project: figures that become columns of its marts.

use std::collections::HashMap;
use std::path::Path;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use serde_json::Value;

use super::data_tests::Subject;
use super::{Candidate, Loader, configs};
use crate::config::{Config, Materialization};
use crate::data_test::{DataTest, TestSubject};
use crate::files::{Folder, YAML};
use crate::indicator::{self, Defined, FOLDER, Indicator};
use crate::jinja::Uses;
use crate::node::{Column, Node, NodeId, NodeKind};

/// The indicators of the folder below `definitions`.
pub(super) fn read(definitions: &Path) -> Result<Vec<Defined>> {
    let folder = Folder::read(definitions, Path::new(FOLDER), &YAML)?;
    let mut all: Vec<Defined> = Vec::new();
    for file in folder.with_extension(&YAML) {
        for defined in indicator::read(file)? {
            let (name, grain) = (&defined.indicator.name, &defined.grain.text);
            let is_same = |other: &&Defined| other.indicator.name.text == name.text && other.grain.text == *grain;
            if let Some(other) = all.iter().find(is_same) {
                let error = Error::config(
                    "reading the indicators",
                    format!("there are two `{}` of {grain}", name.text),
                );
                let hint = format!("the other one is in {}", other.file.path.display());
                return Err(name.place.mark(error).hint(hint));
            }
            all.push(defined);
        }
    }
    Ok(all)
}

impl Loader {
    /// Every indicator belongs to a model.
    pub(super) fn check_grains(&self) -> Result<()> {
        let candidates = self.candidates()?;
        let models = || candidates.iter().filter(|candidate| candidate.kind == NodeKind::Model);
        for Defined { grain, .. } in &self.indicators {
            if !models().any(|model| model.name == grain.text) {
                let names = models().map(|model| model.name.as_str());
                let error = Error::config("reading the indicators", format!("there is no model `{}`", grain.text));
                return Err(grain.place.mark(error).hint(did_you_mean(&grain.text, "models", names)));
            }
        }
        Ok(())
    }

    fn indicators_of<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Defined> {
        self.indicators.iter().filter(move |defined| defined.grain.text == node)
    }

    /// The indicators of a model; what they read is added to what it uses.
    pub(super) fn indicators(&self, candidate: &Candidate, config: &Config, uses: &mut Uses) -> Result<Vec<Indicator>> {
        let of_model = self
            .indicators_of(&candidate.name)
            .filter(|_| candidate.kind == NodeKind::Model);
        let mut indicators = Vec::new();
        for Defined { indicator, grain, .. } in of_model {
            let materialization = config.materialization;
            if !matches!(
                materialization,
                Materialization::Table | Materialization::View | Materialization::Ephemeral
            ) {
                let why = format!(
                    "`{}` is {materialization}, and indicators are columns of tables and views",
                    grain.text
                );
                let error = Error::config("reading the indicators", why);
                return Err(grain
                    .place
                    .mark(error)
                    .hint("make a view of it, and have the indicator be that one's"));
            }
            let text = Value::String(indicator.sql.text.clone());
            let place = &indicator.sql.place;
            configs::render(&self.jinja, &text, place, &|| self.outside(), &mut |more| {
                uses.refs.extend(more.refs);
                uses.sources.extend(more.sources);
            })?;
            indicators.push(indicator.clone());
        }
        Ok(indicators)
    }

    /// What is said of the columns that indicators become.
    pub(super) fn indicator_columns(&self, candidate: &Candidate) -> Result<Vec<Column>> {
        let of_model = self
            .indicators_of(&candidate.name)
            .filter(|_| candidate.kind == NodeKind::Model);
        of_model
            .map(|defined| self.column(&defined.file.path, &defined.column))
            .collect()
    }

    /// The tests of the indicators.
    pub(super) fn indicator_tests(
        &self,
        nodes: &[Node],
        ids: &HashMap<&str, NodeId>,
        tests: &mut Vec<DataTest>,
    ) -> Result<()> {
        for node in nodes.iter().filter(|node| !node.indicators.is_empty()) {
            for defined in self.indicators_of(&node.name) {
                let subject = Subject {
                    tested: TestSubject::Node(node.name.clone()),
                    node: Some(node.id),
                    label: node.name.clone(),
                    fqn: node.fqn.clone(),
                    file: &defined.file.path,
                };
                let columns = std::slice::from_ref(&defined.column);
                self.generic_tests(&subject, &[], columns, ids, tests)?;
            }
        }
        Ok(())
    }
}
