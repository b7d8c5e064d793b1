//! Keys: `table_constraints`, `key_column_usage`, `constraint_column_usage`, `referential_constraints`.
//!
//! Keys are what the project's tests state, and a build tests: they are not enforced when something is written.

use arrow::array::RecordBatch;
use datafusion::error::Result;

use crate::query::metadata::columns::{All, batch, number, numbers, text};
use crate::query::metadata::keys::primary_key_name;
use crate::query::metadata::listing::{Key, Listing};
use crate::query::session::CATALOG;

pub(super) fn table_constraints(listing: &Listing) -> Result<RecordBatch> {
    let keys = listing.keys();
    let (all, keys) = (All(keys.len()), keys.iter());
    let kind = |key: &Key| match key.references {
        None => "PRIMARY KEY",
        Some(_) => "FOREIGN KEY",
    };
    let schemas = || text(keys.clone().map(|key| key.relation.name.schema()));
    batch(vec![
        ("constraint_catalog", all.text(CATALOG)),
        ("constraint_schema", schemas()),
        ("constraint_name", text(keys.clone().map(|key| &key.name))),
        ("table_catalog", all.text(CATALOG)),
        ("table_schema", schemas()),
        ("table_name", text(keys.clone().map(|key| key.relation.name.name()))),
        ("constraint_type", text(keys.clone().map(kind))),
        ("is_deferrable", all.text("NO")),
        ("initially_deferred", all.text("NO")),
        ("enforced", all.text("NO")),
        ("nulls_distinct", all.no_text()),
    ])
}

pub(super) fn key_column_usage(listing: &Listing) -> Result<RecordBatch> {
    let keys = listing.keys();
    let columns: Vec<_> = keys
        .iter()
        .flat_map(|key| {
            key.columns
                .iter()
                .zip(1..)
                .map(move |(column, position)| (key, column, position))
        })
        .collect();
    let (all, columns) = (All(columns.len()), columns.iter());
    let schemas = || text(columns.clone().map(|(key, ..)| key.relation.name.schema()));
    // The place in the key that is referred to: the columns of both are in the same order.
    let there = |(key, _, position): &(&Key, &String, i32)| key.references.map(|_| *position);
    batch(vec![
        ("constraint_catalog", all.text(CATALOG)),
        ("constraint_schema", schemas()),
        ("constraint_name", text(columns.clone().map(|(key, ..)| &key.name))),
        ("table_catalog", all.text(CATALOG)),
        ("table_schema", schemas()),
        (
            "table_name",
            text(columns.clone().map(|(key, ..)| key.relation.name.name())),
        ),
        ("column_name", text(columns.clone().map(|(_, column, _)| column))),
        (
            "ordinal_position",
            number(columns.clone().map(|(.., position)| *position)),
        ),
        ("position_in_unique_constraint", numbers(columns.clone().map(there))),
    ])
}

/// The columns that a key is over: those of a primary key itself, and those that a foreign key refers to.
pub(super) fn constraint_column_usage(listing: &Listing) -> Result<RecordBatch> {
    let keys = listing.keys();
    let columns: Vec<_> = keys
        .iter()
        .flat_map(|key| {
            let (name, columns) = key.references.unwrap_or((&key.relation.name, key.columns));
            columns.iter().map(move |column| (key, name, column))
        })
        .collect();
    let (all, columns) = (All(columns.len()), columns.iter());
    batch(vec![
        ("table_catalog", all.text(CATALOG)),
        ("table_schema", text(columns.clone().map(|(_, name, _)| name.schema()))),
        ("table_name", text(columns.clone().map(|(_, name, _)| name.name()))),
        ("column_name", text(columns.clone().map(|(.., column)| column))),
        ("constraint_catalog", all.text(CATALOG)),
        (
            "constraint_schema",
            text(columns.clone().map(|(key, ..)| key.relation.name.schema())),
        ),
        ("constraint_name", text(columns.clone().map(|(key, ..)| &key.name))),
    ])
}

pub(super) fn referential_constraints(listing: &Listing) -> Result<RecordBatch> {
    let keys = listing.keys();
    let foreign: Vec<_> = keys.iter().filter_map(|key| Some((key, key.references?.0))).collect();
    let (all, foreign) = (All(foreign.len()), foreign.iter());
    batch(vec![
        ("constraint_catalog", all.text(CATALOG)),
        (
            "constraint_schema",
            text(foreign.clone().map(|(key, _)| key.relation.name.schema())),
        ),
        ("constraint_name", text(foreign.clone().map(|(key, _)| &key.name))),
        ("unique_constraint_catalog", all.text(CATALOG)),
        (
            "unique_constraint_schema",
            text(foreign.clone().map(|(_, there)| there.schema())),
        ),
        (
            "unique_constraint_name",
            text(foreign.clone().map(|(_, there)| primary_key_name(there))),
        ),
        ("match_option", all.text("NONE")),
        ("update_rule", all.text("NO ACTION")),
        ("delete_rule", all.text("NO ACTION")),
    ])
}
