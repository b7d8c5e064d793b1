//! The names that a table's columns have been given: what the source calls each is kept with the table, as a column's
//! comment, and of the fields of records in what the table keeps ([`crate::kept`]).

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Fields, Schema};
use cordada_core::source_names::SourceNames;
use cordada_core::types::COMMENT;
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::provenance::OURS;

/// What a history adds to a table.
const HISTORY: [&str; 3] = ["_valid_from", "_valid_to", "_row_hash"];

/// The fields of records whose names in the lake are not the source's: these, by the paths of those.
pub(crate) type RenamedFields = BTreeMap<String, String>;

/// The names of a table's columns, and those that the configuration gives.
pub(crate) fn names_of(options: &Options, table: Option<&Schema>, renamed: Option<&RenamedFields>) -> SourceNames {
    let mut reserved = OURS.to_vec();
    if options.disposition() == Disposition::Scd2 {
        reserved.extend(HISTORY);
    }
    let is_reserved = |name: &str| reserved.contains(&name);
    let fields = table.iter().flat_map(|table| table.fields());
    let fields: Vec<_> = fields.filter(|field| !is_reserved(field.name())).collect();
    let mut names = SourceNames::new(options.given_names(), reserved.clone());
    for field in fields {
        let source = field.metadata().get(COMMENT).unwrap_or(field.name());
        names.know(source, field.name());
        if let Some(fields) = records(field.data_type()) {
            know_fields(names.within(field.name()), fields, field.name(), renamed);
        }
    }
    names
}

fn know_fields(names: &mut SourceNames, fields: &Fields, path: &str, renamed: Option<&RenamedFields>) {
    for field in fields {
        let path = format!("{path}.{}", field.name());
        let source = renamed.map_or("", |renamed| renamed.get(&path).unwrap_or(field.name()));
        names.know(source, field.name());
        if let Some(fields) = records(field.data_type()) {
            know_fields(names.within(field.name()), fields, &path, renamed);
        }
    }
}

/// What is to be kept of the names of a table's fields.
pub(crate) fn renamed_fields<'s>(names: &SourceNames, tables: impl IntoIterator<Item = &'s Schema>) -> RenamedFields {
    let mut renamed = RenamedFields::new();
    for field in tables.into_iter().flat_map(|table| table.fields()) {
        if let (Some(names), Some(fields)) = (names.fields(field.name()), records(field.data_type())) {
            add_renamed(names, fields, field.name(), &mut renamed);
        }
    }
    renamed
}

fn add_renamed(names: &SourceNames, fields: &Fields, path: &str, renamed: &mut RenamedFields) {
    for field in fields {
        let path = format!("{path}.{}", field.name());
        if let (Some(names), Some(fields)) = (names.fields(field.name()), records(field.data_type())) {
            add_renamed(names, fields, &path, renamed);
        }
        let source = names.source(field.name());
        if let Some(source) = source.filter(|source| !source.is_empty() && source != field.name()) {
            renamed.insert(path, source.to_owned());
        }
    }
}

/// The fields of the records that a column holds, be it in lists.
fn records(data_type: &DataType) -> Option<&Fields> {
    match data_type {
        DataType::Struct(fields) => Some(fields),
        DataType::List(item) => records(item.data_type()),
        _ => None,
    }
}

/// What is said of a table's columns, by their names in it.
pub(crate) fn options_of(options: &Options, table: &Schema) -> Options {
    options.named(&names_of(options, Some(table), None))
}
