//! Seeds: small CSV files of the project, typed over all of their values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use chrono::{NaiveDate, Utc};
use cordada_core::names::snake_case;
use cordada_core::{Context, Error, Result};

use crate::source_file::SourceFile;

/// The rows of a seed: it is part of the project, so it is small enough to hold.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) schema: SchemaRef,
    pub(crate) rows: RecordBatch,
}

/// Reads a seed. `type_of` knows the types that are configured; the others follow from the values.
///
/// # Errors
/// Config, with the line: a row with too few or too many fields, a value that is not of its column's type.
pub(crate) fn read(file: &SourceFile, delimiter: u8, type_of: impl Fn(&str) -> Option<DataType>) -> Result<Seed> {
    let text = Text::read(file, delimiter)?;
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (at, name) in text.names.iter().enumerate() {
        let values = text.column(at);
        let data_type = type_of(name).unwrap_or_else(|| inferred(&values));
        columns.push(typed(file, &text, name, &values, &data_type)?);
        fields.push(Field::new(name, data_type, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new(schema.clone(), columns).doing(|| format!("reading {}", file.path.display()))?;
    Ok(Seed { schema, rows })
}

/// A CSV file as text.
struct Text {
    names: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

impl Text {
    fn read(file: &SourceFile, delimiter: u8) -> Result<Self> {
        let wrong = |error: &csv::Error| {
            let line = error.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
            let why = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("the row has {len} fields, the header {expected_len}")
                }
                _ => error.to_string(),
            };
            Error::config("reading a seed", why).at(file.path.display(), line, 0)
        };
        let text = file.text.trim_start_matches('\u{feff}');
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let names = reader
            .headers()
            .map_err(|error| wrong(&error))?
            .iter()
            .map(snake_case)
            .collect::<Vec<_>>();
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() || names[..at].contains(name) {
                let why = format!("column {} has no name of its own: `{name}`", at + 1);
                return Err(Error::config("reading a seed", why).at(file.path.display(), 1, 0));
            }
        }
        let rows = reader
            .into_records()
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error))?;
        Ok(Self { names, rows })
    }

    /// The values of a column; empty ones are null.
    fn column(&self, at: usize) -> StringArray {
        self.rows
            .iter()
            .map(|row| row.get(at).filter(|value| !value.is_empty()))
            .collect()
    }
}

/// The values as `data_type`.
fn typed(file: &SourceFile, text: &Text, name: &str, values: &StringArray, data_type: &DataType) -> Result<ArrayRef> {
    let doing = || format!("reading {}", file.path.display());
    let typed = cast_with_options(
        values,
        data_type,
        &CastOptions {
            safe: true,
            ..CastOptions::default()
        },
    )
    .doing(doing)?;
    let lost = (0..values.len()).find(|row| typed.is_null(*row) && !values.is_null(*row));
    match lost {
        None => Ok(typed),
        Some(row) => {
            let line = text.rows[row]
                .position()
                .map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
            Err(
                Error::config("reading a seed", format!("the value of `{name}` is not a {data_type}"))
                    .hint("correct the value or the column's type in `column_types`")
                    .at(file.path.display(), line, 0),
            )
        }
    }
}

/// The narrowest type that holds every value as it is written. A number with leading zeros is text: a postal code.
fn inferred(values: &StringArray) -> DataType {
    let fits = |fits: fn(&str) -> bool| values.iter().flatten().all(fits);
    if values.null_count() == values.len() {
        DataType::Utf8
    } else if fits(is_integer) {
        DataType::Int64
    } else if fits(is_number) {
        DataType::Float64
    } else if fits(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "false")) {
        DataType::Boolean
    } else if fits(|text| text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()) {
        DataType::Date32
    } else if fits(|text| text.len() > 10 && string_to_datetime(&Utc, text).is_ok()) {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    } else {
        DataType::Utf8
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (digits == "0" || !digits.starts_with('0')) && text.parse::<i64>().is_ok() && !text.starts_with('+')
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = digits.split('.').next().unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit())
        && (whole == "0" || !whole.starts_with('0'))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seed(text: &str) -> Result<Seed> {
        let file = SourceFile {
            path: "seeds/s.csv".into(),
            relative: "seeds/s.csv".into(),
            text: text.into(),
        };
        read(&file, b',', |name| {
            (name == "price").then_some(DataType::Decimal128(10, 2))
        })
    }

    #[test]
    fn types_follow_from_all_values() {
        let text = "Id,PostalCode,price,since,seen_at,ok,note\n\
                    1,08001,1.10,2024-01-31,2024-01-31 10:00:00,true,\n\
                    2,28001,2,2024-02-01,2024-01-31T10:00:00Z,FALSE,85123A\n";
        let types: Vec<_> = seed(text)
            .unwrap()
            .schema
            .fields()
            .iter()
            .map(|f| format!("{}: {}", f.name(), f.data_type()))
            .collect();
        let expected = [
            "id: Int64",
            "postal_code: Utf8",
            "price: Decimal128(10, 2)",
            "since: Date32",
            "seen_at: Timestamp(µs, \"UTC\")",
            "ok: Boolean",
            "note: Utf8",
        ];
        assert_eq!(types, expected);
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let error = seed("a,b\n1,2\n3\n").unwrap_err().to_string();
        assert!(
            error.starts_with("seeds/s.csv:3: ") && error.contains("1 fields, the header 2"),
            "{error}"
        );
        let error = seed("a,price\n1,2\n2,dear\n").unwrap_err().to_string();
        assert!(
            error.starts_with("seeds/s.csv:3: ") && error.contains("`price`"),
            "{error}"
        );
        assert!(!error.contains("dear"), "values may be personal: {error}");
    }

    proptest! {
        #[test]
        fn no_value_is_lost(values in prop::collection::vec("[-0-9.eTf:truea]{1,6}", 1..20)) {
            let text = format!("v\n{}\n", values.join("\n"));
            let rows = seed(&text).unwrap().rows;
            prop_assert_eq!(rows.num_rows(), values.len());
            prop_assert_eq!(rows.column(0).null_count(), 0);
        }
    }
}
