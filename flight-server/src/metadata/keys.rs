//! Primary and foreign keys, as the project's tests state them and the release documents them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, UpdateDeleteRules,
};
use cordada_core::TableName;
use cordada_lake::query::metadata::{foreign_key_name, primary_key, primary_key_name};
use cordada_lake::query::session::CATALOG;
use cordada_query::DocumentedRelation;

pub(super) fn primary_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

pub(super) fn foreign_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}

pub(super) fn primary(
    command: &CommandGetPrimaryKeys,
    relations: &[DocumentedRelation],
) -> Result<RecordBatch, ArrowError> {
    let wanted = RelationFilter::new(&command.catalog, &command.db_schema, &command.table);
    let relations: Vec<_> = relations.iter().filter(|relation| wanted.is(&relation.name)).collect();
    let rows: Vec<_> = relations
        .iter()
        .flat_map(|relation| {
            let columns = primary_key(&relation.name, &relation.docs).iter();
            columns.zip(1..).map(move |(column, nth)| (relation, column, nth))
        })
        .collect();
    let columns: Vec<ArrayRef> = vec![
        text(rows.iter().map(|_| CATALOG)),
        text(rows.iter().map(|(relation, ..)| relation.name.schema())),
        text(rows.iter().map(|(relation, ..)| relation.name.name())),
        text(rows.iter().map(|(_, column, _)| column.as_str())),
        text(rows.iter().map(|(relation, ..)| primary_key_name(&relation.name))),
        Arc::new(rows.iter().map(|(.., nth)| *nth).collect::<Int32Array>()),
    ];
    RecordBatch::try_new(primary_schema(), columns)
}

pub(super) fn exported(
    command: &CommandGetExportedKeys,
    relations: &[DocumentedRelation],
) -> Result<RecordBatch, ArrowError> {
    let referenced = RelationFilter::new(&command.catalog, &command.db_schema, &command.table);
    let mut references = references(relations, |_, to| referenced.is(to));
    references.sort_by(|a, b| (&a.from, &a.name, a.nth).cmp(&(&b.from, &b.name, b.nth)));
    foreign(&references)
}

pub(super) fn imported(
    command: &CommandGetImportedKeys,
    relations: &[DocumentedRelation],
) -> Result<RecordBatch, ArrowError> {
    let referring = RelationFilter::new(&command.catalog, &command.db_schema, &command.table);
    let mut references = references(relations, |from, _| referring.is(from));
    references.sort_by(|a, b| (&a.to, &a.name, a.nth).cmp(&(&b.to, &b.name, b.nth)));
    foreign(&references)
}

pub(super) fn cross_reference(
    command: &CommandGetCrossReference,
    relations: &[DocumentedRelation],
) -> Result<RecordBatch, ArrowError> {
    let referenced = RelationFilter::new(&command.pk_catalog, &command.pk_db_schema, &command.pk_table);
    let referring = RelationFilter::new(&command.fk_catalog, &command.fk_db_schema, &command.fk_table);
    let mut references = references(relations, |from, to| referring.is(from) && referenced.is(to));
    references.sort_by(|a, b| (&a.from, &a.name, a.nth).cmp(&(&b.from, &b.name, b.nth)));
    foreign(&references)
}

/// The relation that a command asks for; what it leaves out does not narrow.
struct RelationFilter<'a> {
    catalog: Option<&'a str>,
    schema: Option<&'a str>,
    table: &'a str,
}

impl<'a> RelationFilter<'a> {
    fn new(catalog: &'a Option<String>, schema: &'a Option<String>, table: &'a str) -> Self {
        Self {
            catalog: catalog.as_deref(),
            schema: schema.as_deref(),
            table,
        }
    }

    fn is(&self, name: &TableName) -> bool {
        self.catalog.is_none_or(|catalog| catalog == CATALOG)
            && self.schema.is_none_or(|schema| schema == name.schema())
            && self.table == name.name()
    }
}

/// One column of a foreign key.
struct Reference {
    from: TableName,
    from_column: String,
    to: TableName,
    to_column: String,
    /// The key's name.
    name: String,
    /// The column's place in the key, from 1.
    nth: i32,
}

/// The foreign keys between relations that may be read, and that are wanted `(from, to)`.
fn references(relations: &[DocumentedRelation], wanted: impl Fn(&TableName, &TableName) -> bool) -> Vec<Reference> {
    let mut references = Vec::new();
    for relation in relations {
        for key in &relation.docs.foreign_keys {
            let is_visible = relations.iter().any(|other| other.name == key.references);
            if !is_visible || !wanted(&relation.name, &key.references) {
                continue;
            }
            let name = foreign_key_name(&relation.name, &key.columns);
            references.extend(
                key.columns
                    .iter()
                    .zip(&key.referenced_columns)
                    .zip(1..)
                    .map(|((from, to), nth)| Reference {
                        from: relation.name.clone(),
                        from_column: from.clone(),
                        to: key.references.clone(),
                        to_column: to.clone(),
                        name: name.clone(),
                        nth,
                    }),
            );
        }
    }
    references
}

fn foreign(references: &[Reference]) -> Result<RecordBatch, ArrowError> {
    // Nothing cascades: the lake is read, and written by the project alone.
    let rule: ArrayRef = Arc::new(
        references
            .iter()
            .map(|_| UpdateDeleteRules::NoAction as u8)
            .collect::<UInt8Array>(),
    );
    let columns: Vec<ArrayRef> = vec![
        text(references.iter().map(|_| CATALOG)),
        text(references.iter().map(|r| r.to.schema())),
        text(references.iter().map(|r| r.to.name())),
        text(references.iter().map(|r| &r.to_column)),
        text(references.iter().map(|_| CATALOG)),
        text(references.iter().map(|r| r.from.schema())),
        text(references.iter().map(|r| r.from.name())),
        text(references.iter().map(|r| &r.from_column)),
        Arc::new(references.iter().map(|r| r.nth).collect::<Int32Array>()),
        text(references.iter().map(|r| &r.name)),
        text(references.iter().map(|r| primary_key_name(&r.to))),
        rule.clone(),
        rule,
    ];
    RecordBatch::try_new(foreign_schema(), columns)
}

fn text<S: AsRef<str>>(values: impl Iterator<Item = S>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}
