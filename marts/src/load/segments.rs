//! The segments of a project: the files of `segments/`, and the view of all their memberships.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use serde_json::Value;

use super::properties_files::PropertiesFiles;
use super::{Candidate, Loader, configs};
use crate::files::{Folder, YAML};
use crate::jinja::Uses;
use crate::node::NodeKind;
use crate::properties::{ColumnProperties, NodeProperties, Properties};
use crate::segment::{HISTORY, Population, SCHEMA, Segment, SegmentFile};
use crate::segment_sql;
use crate::source_file::SourceFile;

/// The view of who was in which segment from when to when.
const MEMBERSHIP: &str = "membership";

/// A segment, and the file that defines it.
pub(super) struct SegmentOfFile {
    name: String,
    file: SourceFile,
    segment: Arc<Segment>,
    enabled: bool,
}

/// The segments of the folder below `definitions`; what they say of their relations joins `properties`.
pub(super) fn read(definitions: &Path, properties: &mut PropertiesFiles) -> Result<Vec<SegmentOfFile>> {
    let folder = Folder::read(definitions, Path::new(SCHEMA), &YAML)?;
    let mut segments = Vec::new();
    let mut are_personal = false;
    for file in folder.with_extension(&YAML) {
        let (said, segment) = SegmentFile::read(file)?;
        let name = file.stem();
        let enabled = said.config.get("enabled") != Some(&Value::Bool(false));
        let keys = keys(&said, &segment, properties);
        are_personal |= keys.iter().any(|key| key.pii().is_some());
        properties.add(file.path.clone(), described(&name, said, keys));
        segments.push(SegmentOfFile {
            name,
            file: file.clone(),
            segment: Arc::new(segment),
            enabled,
        });
    }
    if segments.iter().any(|segment| segment.enabled) {
        let mut membership = Properties::default();
        membership.models.push(membership_properties(are_personal));
        properties.add(PathBuf::from(SCHEMA), membership);
    }
    Ok(segments)
}

/// What there is to say of a segment's relations.
fn described(name: &str, said: SegmentFile, keys: Vec<ColumnProperties>) -> Properties {
    let description = match &said.owner {
        Some(owner) => format!("{}\n\nOwner: {owner}", said.description.trim()),
        None => said.description,
    };
    let mut columns = said.columns;
    for key in &keys {
        let mut tagged = ColumnProperties::of(&key.name.value, &key.description);
        tagged.meta = key.meta.clone();
        match columns.iter_mut().find(|own| own.name.value == key.name.value) {
            Some(own) => own.meta = tagged.meta,
            None => columns.push(tagged),
        }
    }
    let mut describe = |column: &str, text: &str| match columns.iter_mut().find(|own| own.name.value == column) {
        Some(own) if own.description.is_empty() => own.description = text.to_owned(),
        Some(_) => {}
        None => columns.push(ColumnProperties::of(column, text)),
    };
    describe("entered_at", "The evaluation at which the person entered.");
    describe("because", "The condition that was met then and had not been before.");
    let mut members = NodeProperties::of(name, description);
    members.columns = columns;
    members.data_tests = said.data_tests;
    members.config = said.config;
    members.meta = said.meta;
    let mut history = NodeProperties::of(
        &format!("{name}__{HISTORY}"),
        format!("All that changed in the segment {name}: a row a person and evaluation that found something else."),
    );
    history.columns = keys.into_iter().chain(history_columns()).collect();
    let mut properties = Properties::default();
    properties.segments.push(members);
    properties.models.push(history);
    properties
}

/// The key's columns, tagged as personal data if the file says so, or the model that the segment chooses from.
fn keys(said: &SegmentFile, segment: &Segment, properties: &PropertiesFiles) -> Vec<ColumnProperties> {
    let from = match &segment.population {
        Population::Node(name) => properties.model(&name.text),
        Population::Query(_) => None,
    };
    let of_model = from.map(|from| from.columns.as_slice()).unwrap_or_default();
    let all = || said.columns.iter().chain(of_model);
    let key = |name: &String| {
        let mut key = ColumnProperties::of(name, "Tells persons apart.");
        let pii = all()
            .filter(|column| column.name.value == *name)
            .find_map(ColumnProperties::pii);
        key.meta.extend(pii.map(|kind| ("pii".to_owned(), Value::String(kind))));
        key
    };
    segment.key.iter().map(key).collect()
}

fn history_columns() -> impl Iterator<Item = ColumnProperties> {
    [
        ("at", "When that was found."),
        (
            "change",
            "`entered`, `left`, or null if the person was in neither before nor after.",
        ),
        ("because", "The condition that is met now, or no more."),
        ("lacks", "The first condition that is not met; null for members."),
        ("evaluation", "The number of the evaluation that found it."),
    ]
    .into_iter()
    .map(|(name, text)| ColumnProperties::of(name, text))
}

fn membership_properties(are_personal: bool) -> NodeProperties {
    let columns = [
        ("segment", "The segment."),
        ("member", "The person's key, as text."),
        ("entered_at", "When the person entered."),
        (
            "entered_because",
            "The condition that was met then and had not been before.",
        ),
        ("left_at", "When the person left; null for members."),
        ("left_because", "The condition that was met no more."),
    ];
    let mut membership = NodeProperties::of(
        MEMBERSHIP,
        "Who was in which segment from when to when, and why: one row a stay.",
    );
    membership.columns = columns.map(|(name, text)| ColumnProperties::of(name, text)).into();
    if are_personal {
        let tag = ("pii".to_owned(), Value::String("personal".to_owned()));
        membership.columns[1].meta.extend([tag]);
    }
    membership
}

impl Loader {
    /// A node for each segment, and the view of their memberships.
    pub(super) fn segments(&self) -> Vec<Candidate> {
        let candidate = |name: String, file: SourceFile, kind| Candidate {
            fqn: vec![self.file.name.clone(), SCHEMA.to_owned(), name.clone()],
            schema: SCHEMA.to_owned(),
            name,
            file,
            kind,
        };
        let of_files = self.segments.iter();
        let mut candidates: Vec<_> = of_files
            .map(|segment| candidate(segment.name.clone(), segment.file.clone(), NodeKind::Segment))
            .collect();
        let enabled = self.segments.iter().filter(|segment| segment.enabled);
        let histories: Vec<_> = enabled
            .map(|segment| {
                let history = format!("{{{{ ref('{}__{HISTORY}') }}}}", segment.name);
                (segment.name.clone(), segment.segment.key.clone(), history)
            })
            .collect();
        if !histories.is_empty() {
            let file = SourceFile {
                path: SCHEMA.into(),
                relative: Path::new(SCHEMA).join(MEMBERSHIP),
                text: segment_sql::memberships(&histories).into(),
            };
            candidates.push(candidate(MEMBERSHIP.to_owned(), file, NodeKind::Model));
        }
        candidates
    }

    /// Who belongs to the segment, if the candidate is one.
    pub(super) fn segment_of(&self, candidate: &Candidate) -> Option<Arc<Segment>> {
        let is_segment = candidate.kind == NodeKind::Segment;
        let mut segments = self.segments.iter().filter(|_| is_segment);
        let found = segments.find(|segment| segment.name == candidate.name);
        found.map(|found| found.segment.clone())
    }

    /// What a segment reads.
    pub(super) fn uses_of_segment(&self, segment: &Segment) -> Result<Uses> {
        let mut uses = Uses::default();
        for said in segment.named() {
            if !self.unresolved.refs.contains_key(&said.text) {
                let names = self.unresolved.refs.keys().map(String::as_str);
                let error = Error::config("reading the segment", format!("there is no model `{}`", said.text));
                return Err(said.place.mark(error).hint(did_you_mean(&said.text, "models", names)));
            }
            uses.refs.push(said.text.clone());
        }
        for said in segment.include.iter().chain(&segment.exclude) {
            // Their members change with their histories, which are read to find out who may have changed.
            uses.refs.push(format!("{}__{HISTORY}", said.text));
        }
        for said in segment.sql() {
            let text = Value::String(said.text.clone());
            configs::render(&self.jinja, &text, &said.place, &|| self.outside(), &mut |more| {
                uses.refs.extend(more.refs);
                uses.sources.extend(more.sources);
            })?;
        }
        Ok(uses)
    }
}
