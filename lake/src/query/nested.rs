//! Lists, structs and maps as text, for formats that have no such values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use cordada_core::{Context, Result};

use crate::query::functions::json::write::write;

/// The rows with lists, structs and maps as JSON: `[1,2]`, `{"a": 1}`. Other columns are as they were.
///
/// # Errors
/// Failed: a value in them has no text.
pub fn as_json(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let is_plain = |field: &Arc<Field>| !field.data_type().is_nested();
    if schema.fields().iter().all(is_plain) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if is_plain(field) {
            fields.push(field.clone());
            columns.push(column.clone());
            continue;
        }
        let mut texts = StringBuilder::new();
        for row in 0..column.len() {
            if column.is_null(row) {
                texts.append_null();
                continue;
            }
            let mut text = String::new();
            write(column, row, field, &mut text).doing(|| "writing a list as text")?;
            texts.append_value(text);
        }
        fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
        columns.push(Arc::new(texts.finish()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).doing(|| "writing lists as text")
}
