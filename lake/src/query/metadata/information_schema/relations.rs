//! `tables`, `columns`, `views` and `schemata`.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;

use super::NAME;
use crate::query::metadata::columns::{All, batch, number, numbers, text, texts, yes_or_no};
use crate::query::metadata::listing::{Listing, Relation};
use crate::query::metadata::pg_catalog::type_name;
use crate::query::metadata::sql_types::{self, Numeric};
use crate::query::session::CATALOG;

/// Bytes that a text may have at most, as PostgreSQL says it of text without a limit.
const LONGEST_TEXT: i32 = 1 << 30;

/// The relations, and the tables of this schema itself.
pub(super) fn tables(listing: &Listing, own: impl Iterator<Item = &'static str>) -> Result<RecordBatch> {
    let relations = &listing.relations;
    let own: Vec<_> = own.collect();
    let all = All(relations.len() + own.len());
    let kind = |relation: &Relation| if relation.is_view { "VIEW" } else { "BASE TABLE" };
    let schemas = relations.iter().map(|relation| relation.name.schema());
    let names = relations.iter().map(|relation| relation.name.name());
    let comments = relations.iter().map(|relation| relation.docs.description.as_deref());
    batch(vec![
        ("table_catalog", all.text(CATALOG)),
        ("table_schema", text(schemas.chain(own.iter().map(|_| NAME)))),
        ("table_name", text(names.chain(own.iter().copied()))),
        (
            "table_type",
            text(relations.iter().map(kind).chain(own.iter().map(|_| "VIEW"))),
        ),
        ("self_referencing_column_name", all.no_text()),
        ("reference_generation", all.no_text()),
        ("user_defined_type_catalog", all.no_text()),
        ("user_defined_type_schema", all.no_text()),
        ("user_defined_type_name", all.no_text()),
        ("is_insertable_into", all.text("NO")),
        ("is_typed", all.text("NO")),
        ("commit_action", all.no_text()),
        ("table_comment", texts(comments.chain(own.iter().map(|_| None)))),
    ])
}

/// A column of a relation.
struct Column<'a> {
    relation: &'a Relation,
    /// From 1.
    position: i32,
    field: &'a Field,
    comment: Option<&'a str>,
}

impl Column<'_> {
    fn data_type(&self) -> &DataType {
        self.field.data_type()
    }

    fn numeric(&self) -> Option<Numeric> {
        sql_types::numeric(self.data_type())
    }
}

/// The columns of all relations.
pub(super) fn columns(listing: &Listing) -> Result<RecordBatch> {
    let of = |relation| {
        let columns = Relation::columns(relation).zip(1..);
        columns.map(move |((field, comment), position)| Column {
            relation,
            position,
            field,
            comment,
        })
    };
    let columns: Vec<_> = listing.relations.iter().flat_map(of).collect();
    let (all, columns) = (All(columns.len()), columns.iter());
    let length = |c: &Column| sql_types::is_text(c.data_type()).then_some(LONGEST_TEXT);
    batch(vec![
        ("table_catalog", all.text(CATALOG)),
        ("table_schema", text(columns.clone().map(|c| c.relation.name.schema()))),
        ("table_name", text(columns.clone().map(|c| c.relation.name.name()))),
        ("column_name", text(columns.clone().map(|c| c.field.name()))),
        ("ordinal_position", number(columns.clone().map(|c| c.position))),
        ("column_default", all.no_text()),
        (
            "is_nullable",
            text(columns.clone().map(|c| yes_or_no(c.field.is_nullable()))),
        ),
        (
            "data_type",
            text(columns.clone().map(|c| sql_types::full_name(c.data_type()))),
        ),
        ("character_maximum_length", all.no_number()),
        ("character_octet_length", numbers(columns.clone().map(length))),
        (
            "numeric_precision",
            numbers(columns.clone().map(|c| Some(c.numeric()?.precision))),
        ),
        (
            "numeric_precision_radix",
            numbers(columns.clone().map(|c| Some(c.numeric()?.radix))),
        ),
        ("numeric_scale", numbers(columns.clone().map(|c| c.numeric()?.scale))),
        (
            "datetime_precision",
            numbers(columns.clone().map(|c| sql_types::datetime_precision(c.data_type()))),
        ),
        ("interval_type", all.no_text()),
        ("interval_precision", all.no_number()),
        ("character_set_catalog", all.no_text()),
        ("character_set_schema", all.no_text()),
        ("character_set_name", all.no_text()),
        ("collation_catalog", all.no_text()),
        ("collation_schema", all.no_text()),
        ("collation_name", all.no_text()),
        ("domain_catalog", all.no_text()),
        ("domain_schema", all.no_text()),
        ("domain_name", all.no_text()),
        ("udt_catalog", all.text(CATALOG)),
        ("udt_schema", all.text("pg_catalog")),
        ("udt_name", text(columns.clone().map(|c| type_name(c.data_type())))),
        ("dtd_identifier", text(columns.clone().map(|c| c.position.to_string()))),
        ("is_self_referencing", all.text("NO")),
        ("is_identity", all.text("NO")),
        ("identity_generation", all.no_text()),
        ("identity_start", all.no_text()),
        ("identity_increment", all.no_text()),
        ("identity_maximum", all.no_text()),
        ("identity_minimum", all.no_text()),
        ("identity_cycle", all.text("NO")),
        ("is_generated", all.text("NEVER")),
        ("generation_expression", all.no_text()),
        ("is_updatable", all.text("NO")),
        ("column_comment", texts(columns.map(|c| c.comment))),
    ])
}

/// The views, with their queries as far as whoever asks may see those.
pub(super) fn views(listing: &Listing) -> Result<RecordBatch> {
    let views: Vec<_> = listing.relations.iter().filter(|relation| relation.is_view).collect();
    let (all, views) = (All(views.len()), views.iter());
    let definitions = texts(views.clone().map(|view| view.definition.as_deref()));
    batch(vec![
        ("table_catalog", all.text(CATALOG)),
        ("table_schema", text(views.clone().map(|view| view.name.schema()))),
        ("table_name", text(views.clone().map(|view| view.name.name()))),
        ("view_definition", definitions.clone()),
        ("check_option", all.text("NONE")),
        ("is_updatable", all.text("NO")),
        ("is_insertable_into", all.text("NO")),
        ("is_trigger_updatable", all.text("NO")),
        ("is_trigger_deletable", all.text("NO")),
        ("is_trigger_insertable_into", all.text("NO")),
        // The engine's name for it, which was the only one.
        ("definition", definitions),
    ])
}

/// The schemas, and this one.
pub(super) fn schemata(listing: &Listing) -> Result<RecordBatch> {
    let names: Vec<_> = listing.schemas.iter().map(String::as_str).chain([NAME]).collect();
    let all = All(names.len());
    batch(vec![
        ("catalog_name", all.text(CATALOG)),
        ("schema_name", text(names)),
        ("schema_owner", all.text(crate::query::session::OWNER)),
        ("default_character_set_catalog", all.no_text()),
        ("default_character_set_schema", all.no_text()),
        ("default_character_set_name", all.no_text()),
        ("sql_path", all.no_text()),
    ])
}
