//! The text of records, as PostgreSQL writes it: `(1,"b c",)`.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::common::{Result, internal_err};

use super::shown::shown;

/// The texts of records.
///
/// # Errors
/// Execution: there is no text of a field.
pub(super) fn to_text(array: &ArrayRef) -> Result<StringArray> {
    let Some(records) = array.as_struct_opt() else {
        return internal_err!("{} is not a record", array.data_type());
    };
    let fields = records.columns().iter().map(shown).collect::<Result<Vec<_>>>()?;
    let text = |row: usize| {
        let mut out = String::from("(");
        for (place, field) in fields.iter().enumerate() {
            out.push_str(if place > 0 { "," } else { "" });
            if field.is_valid(row) {
                write(field.value(row), &mut out);
            }
        }
        out.push(')');
        out
    };
    Ok((0..records.len())
        .map(|row| records.is_valid(row).then(|| text(row)))
        .collect())
}

/// A field, in quotes where it would be read as something else. A null is nothing.
fn write(field: &str, out: &mut String) {
    let is_plain = !field.is_empty()
        && !field.contains(|letter: char| matches!(letter, '"' | '\\' | '(' | ')' | ',' | ' ' | '\t'..='\r'));
    if is_plain {
        out.push_str(field);
        return;
    }
    out.push('"');
    for letter in field.chars() {
        if matches!(letter, '"' | '\\') {
            out.push(letter);
        }
        out.push(letter);
    }
    out.push('"');
}
