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

/// How a seed's file is to be read.
pub(crate) struct Reading<T> {
    pub(crate) delimiter: u8,
    /// Whether columns have their names as the file spells them; otherwise in snake_case.
    pub(crate) names_as_written: bool,
    /// The types of columns that are configured; the others follow from the values.
    pub(crate) type_of: T,
}

/// Reads a seed.
///
/// # Errors
/// Config, with the line: a row with too few or too many fields, a value that is not of its column's type.
pub(crate) fn read(file: &SourceFile, reading: &Reading<impl Fn(&str) -> Option<DataType>>) -> Result<Seed> {
    let text = Text::read(file, reading.delimiter, reading.names_as_written)?;
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (at, name) in text.names.iter().enumerate() {
        let values = text.column(at);
        let data_type = (reading.type_of)(name).unwrap_or_else(|| inferred(&values));
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
    fn read(file: &SourceFile, delimiter: u8, names_as_written: bool) -> Result<Self> {
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
            .trim(csv::Trim::Headers)
            .from_reader(text.as_bytes());
        let names = reader
            .headers()
            .map_err(|error| wrong(&error))?
            .iter()
            .map(|name| match names_as_written {
                true => name.to_owned(),
                false => snake_case(name),
            })
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

    /// The values of a column. Empty ones are null, and so is `null`, as in dbt.
    fn column(&self, at: usize) -> StringArray {
        let is_null = |value: &str| value.is_empty() || value.eq_ignore_ascii_case("null");
        let values = self.rows.iter().map(|row| row.get(at));
        values
            .map(|value| value.filter(|value| !is_null(value.trim())))
            .collect()
    }
}

/// The values as `data_type`.
fn typed(file: &SourceFile, text: &Text, name: &str, values: &StringArray, data_type: &DataType) -> Result<ArrayRef> {
    let doing = || format!("reading {}", file.path.display());
    // Text is kept as it is written; around anything else there may be room.
    let trimmed: StringArray = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => values.clone(),
        _ => values.iter().map(|value| value.map(str::trim)).collect(),
    };
    let typed = cast_with_options(
        &trimmed,
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
    let fits = |fits: fn(&str) -> bool| values.iter().flatten().all(|value| fits(value.trim()));
    if values.null_count() == values.len() {
        DataType::Utf8
    } else if fits(is_integer) {
        DataType::Int64
    } else if fits(is_number) {
        exact(values)
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

/// The type of numbers: a double, unless one has more digits than a double keeps.
fn exact(values: &StringArray) -> DataType {
    let parts = values.iter().flatten().map(|value| {
        let digits = value.trim().trim_start_matches('-');
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        is_plain.then_some((whole.len(), fraction.len()))
    });
    let Some(parts) = parts.collect::<Option<Vec<_>>>() else {
        return DataType::Float64;
    };
    if parts.iter().all(|(whole, fraction)| whole + fraction <= 15) {
        return DataType::Float64;
    }
    let whole = parts.iter().map(|(whole, _)| *whole).max().unwrap_or_default();
    let fraction = parts.iter().map(|(_, fraction)| *fraction).max().unwrap_or_default();
    match i8::try_from(fraction) {
        Ok(scale) if whole + fraction <= 38 => DataType::Decimal128(38, scale),
        _ => DataType::Utf8,
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
        let type_of = |name: &str| (name == "price").then_some(DataType::Decimal128(10, 2));
        let reading = Reading {
            delimiter: b',',
            names_as_written: false,
            type_of,
        };
        read(&file, &reading)
    }

    #[test]
    fn values_are_kept_as_they_are_written() {
        let text = "big,wide,exact,room,nothing\n18446744073709551616,123456789012345678901234567890123456789,12345678901234567.25, x ,null\n1,2,3,y,z\n";
        let seed = seed(text).unwrap();
        let shown = |at: usize| arrow::util::display::array_value_to_string(seed.rows.column(at), 0).unwrap();
        let shown: Vec<_> = (0..5).map(shown).collect();
        let expected = [
            "18446744073709551616",
            "123456789012345678901234567890123456789",
            "12345678901234567.25",
            " x ",
            "",
        ];
        assert_eq!(shown, expected);
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
