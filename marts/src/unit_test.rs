//! Unit tests: a model's SQL over rows that the test gives, and the rows that are to come of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use cordada_core::suggest::did_you_mean;
use cordada_core::{Context, Error, FilePosition, Result};
use serde_json::Value;

use crate::node::NodeId;
use crate::properties::{OverridesProperties, RowsProperties};

/// A unit test.
#[derive(Debug, Clone)]
pub(crate) struct UnitTest {
    pub(crate) name: String,
    pub(crate) model: NodeId,
    pub(crate) given: Vec<RowsProperties>,
    pub(crate) expect: RowsProperties,
    pub(crate) overrides: OverridesProperties,
    pub(crate) place: FilePosition,
}

/// Rows as a test writes them.
pub(crate) enum Written {
    /// Values by column, as text.
    Values(Vec<BTreeMap<String, Option<String>>>),
    /// A query.
    Query(String),
}

impl Written {
    /// Reads rows in the format that they say they are in.
    pub(crate) fn read(rows: &RowsProperties, place: &FilePosition) -> Result<Self> {
        let wrong = |why: &str| place.mark(Error::config("reading the rows of a unit test", why));
        let format = rows.format.as_deref().unwrap_or("dict");
        match (format, &rows.rows) {
            (_, Value::Null) => Ok(Self::Values(Vec::new())),
            ("dict", Value::Array(rows)) => {
                let row = |row: &Value| match row {
                    Value::Object(values) => {
                        Ok(values.iter().map(|(name, value)| (name.clone(), text(value))).collect())
                    }
                    _ => Err(wrong("a row is a mapping of columns to values")),
                };
                Ok(Self::Values(rows.iter().map(row).collect::<Result<_>>()?))
            }
            ("csv", Value::String(csv)) => {
                let mut reader = csv::ReaderBuilder::new()
                    .trim(csv::Trim::All)
                    .from_reader(csv.as_bytes());
                let names = reader.headers().map_err(|error| wrong(&error.to_string()))?.clone();
                let rows = reader.records().map(|row| {
                    let row = row.map_err(|error| wrong(&error.to_string()))?;
                    let values = row
                        .iter()
                        .map(|value| Some(value.to_owned()).filter(|value| !value.is_empty()));
                    Ok(names.iter().map(str::to_owned).zip(values).collect())
                });
                Ok(Self::Values(rows.collect::<Result<_>>()?))
            }
            ("sql", Value::String(query)) => Ok(Self::Query(query.trim().trim_end_matches(';').to_owned())),
            ("dict" | "csv" | "sql", _) => Err(wrong("the rows are not in their format")),
            _ => Err(wrong("unknown format").hint("use one of: dict, csv, sql")),
        }
    }
}

/// The values as columns of those of `schema` that `is_wanted` wants; what a row does not have is null.
pub(crate) fn batch(
    rows: &[BTreeMap<String, Option<String>>],
    schema: &SchemaRef,
    is_wanted: impl Fn(&str) -> bool,
    place: &FilePosition,
) -> Result<RecordBatch> {
    let wrong = |why: String| place.mark(Error::config("reading the rows of a unit test", why));
    for name in rows.iter().flat_map(BTreeMap::keys) {
        if schema.field_with_name(name).is_err() {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            return Err(wrong(format!("there is no column `{name}`")).hint(did_you_mean(name, "columns", names)));
        }
    }
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for field in schema.fields().iter().filter(|field| is_wanted(field.name())) {
        let values = rows.iter().map(|row| row.get(field.name()).and_then(Option::as_deref));
        let values: StringArray = values.collect();
        let strictly = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        columns.push(match rows.iter().any(|row| row.contains_key(field.name())) {
            true => cast_with_options(&values, field.data_type(), &strictly)
                .map_err(|_| wrong(format!("a value of `{}` is not a {}", field.name(), field.data_type())))?,
            false => new_null_array(field.data_type(), rows.len()),
        });
        fields.push(Field::new(field.name(), field.data_type().clone(), true));
    }
    let count = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &count)
        .doing(|| "reading the rows of a unit test")
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
