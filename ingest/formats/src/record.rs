//! Rows as JSON records: what `ops.rejected_rows` keeps of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use cordada_core::spelling::quoted;
use cordada_core::{Context, Result};

/// Those rows of a batch, each as a record of its values that are not null.
///
/// # Errors
/// None that is known.
pub fn records(batch: &RecordBatch, rows: &[usize]) -> Result<Vec<String>> {
    let columns = batch.columns().iter().map(|column| values(column, rows));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let schema = batch.schema();
    let record = |row: usize| {
        let fields = schema.fields().iter().zip(&columns);
        record(fields.filter_map(|(field, values)| Some((field.name().as_str(), values[row].as_deref()?))))
    };
    Ok((0..rows.len()).map(record).collect())
}

/// The record of some values, which are JSON, each behind its name.
pub fn record<'v>(values: impl IntoIterator<Item = (&'v str, &'v str)>) -> String {
    let mut record = "{".to_owned();
    for (name, value) in values {
        if record.len() > 1 {
            record.push(',');
        }
        record.push_str(&text(name));
        record.push(':');
        record.push_str(value);
    }
    record.push('}');
    record
}

/// The text as JSON.
pub fn text(text: &str) -> String {
    String::from_utf8_lossy(&quoted(text)).into_owned()
}

/// The values of those rows as JSON, `None` if null: numbers with all their digits, and what JSON has no number for
/// (NaN, infinity) or no form of its own as text.
///
/// # Errors
/// None that is known.
pub fn values(array: &ArrayRef, rows: &[usize]) -> Result<Vec<Option<String>>> {
    let doing = || "writing a record";
    let field = Arc::new(Field::new("", array.data_type().clone(), true));
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = match make_encoder(&field, array.as_ref(), &options) {
        Ok(encoder) => encoder,
        Err(ArrowError::JsonError(_) | ArrowError::InvalidArgumentError(_)) => return shown(array, rows),
        Err(error) => return Err(error).doing(doing),
    };
    let value = |row: &usize| {
        if array.is_null(*row) || *array.data_type() == DataType::Null {
            return Ok(None);
        }
        if let Some(special) = not_finite(array, *row) {
            return Ok(Some(text(special)));
        }
        let mut json = Vec::new();
        encoder.encode(*row, &mut json);
        Ok(Some(String::from_utf8_lossy(&json).into_owned()))
    };
    rows.iter().map(value).collect()
}

/// The name of a float that is not a number of JSON.
fn not_finite(array: &ArrayRef, row: usize) -> Option<&'static str> {
    let value = match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row),
        _ => return None,
    };
    if value.is_nan() {
        return Some("NaN");
    }
    value
        .is_infinite()
        .then_some(if value > 0.0 { "Infinity" } else { "-Infinity" })
}

/// Values of types that are not written as JSON, as they are shown.
fn shown(array: &ArrayRef, rows: &[usize]) -> Result<Vec<Option<String>>> {
    let options = FormatOptions::default().with_display_error(true);
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).doing(|| "writing a record")?;
    let value = |row: &usize| array.is_valid(*row).then(|| text(&formatter.value(*row).to_string()));
    Ok(rows.iter().map(value).collect())
}
