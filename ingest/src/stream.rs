//! A stream's part of `sources/*.yml`: which files, how to read them, and what to do with their rows.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use chrono_tz::Tz;
use cordada_lake::names::snake_case;
use encoding_rs::{Encoding, UTF_8};
use serde::{Deserialize, Deserializer};

use crate::values::build::Notation;
use crate::values::evidence::timestamp;

/// One stream: the files that make one table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    /// Paths or URLs, with wildcards.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) path: Vec<String>,
    /// The format of the files whose name does not tell it.
    #[serde(default)]
    pub(crate) format: Option<Format>,
    #[serde(default)]
    pub(crate) csv: CsvOptions,
    #[serde(default)]
    pub(crate) key: Vec<String>,
    #[serde(default)]
    pub(crate) disposition: Disposition,
    #[serde(default)]
    pub(crate) columns: BTreeMap<String, ColumnOptions>,
}

/// The formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Csv,
    /// CSV with tabs.
    Tsv,
    /// One JSON value a line.
    #[serde(alias = "jsonl")]
    Ndjson,
    /// An array of records, or records one after the other.
    Json,
    Parquet,
}

impl Format {
    /// The format that a file's name tells, with or without a suffix of its compression.
    pub(crate) fn of_name(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(&name);
        Some(match name.rsplit_once('.')?.1 {
            "csv" | "txt" => Format::Csv,
            "tsv" | "tab" => Format::Tsv,
            "ndjson" | "jsonl" => Format::Ndjson,
            "json" => Format::Json,
            "parquet" => Format::Parquet,
            _ => return None,
        })
    }
}

/// What landing does with rows that are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Disposition {
    /// Keeps them.
    #[default]
    Append,
    /// Drops all of them.
    Replace,
    /// Drops those with the same key.
    Merge,
}

/// How CSV is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CsvOptions {
    /// The character between fields; `,`, or a tab for TSV, if `None`.
    pub(crate) delimiter: Option<char>,
    /// The character around fields; `""` for none.
    pub(crate) quote: String,
    /// Whether the first record names the columns.
    pub(crate) header: bool,
    #[serde(deserialize_with = "encoding")]
    pub(crate) encoding: &'static Encoding,
    /// The decimal point.
    pub(crate) decimal: char,
    /// Values that mean null, quoted or not.
    pub(crate) nulls: Vec<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        let (quote, nulls) = ("\"".to_owned(), vec![String::new()]);
        Self {
            delimiter: None,
            quote,
            header: true,
            encoding: UTF_8,
            decimal: '.',
            nulls,
        }
    }
}

impl CsvOptions {
    /// The delimiter of files of `format`.
    pub(crate) fn delimiter(&self, format: Format) -> u8 {
        let default = if format == Format::Tsv { b'\t' } else { b',' };
        self.delimiter.and_then(|c| u8::try_from(c).ok()).unwrap_or(default)
    }

    /// The quote, if there is one.
    pub(crate) fn quote(&self) -> Option<u8> {
        self.quote.bytes().next()
    }

    /// How values are written.
    pub(crate) fn notation(&self, zone: Tz) -> Notation {
        Notation {
            point: u8::try_from(self.decimal).unwrap_or(b'.'),
            zone,
        }
    }
}

/// What is declared about a column.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ColumnOptions {
    /// The type, where it is not to be inferred.
    #[serde(rename = "type", deserialize_with = "data_type")]
    pub(crate) data_type: Option<DataType>,
    /// Which kind of personal data it holds.
    pub(crate) pii: Option<String>,
}

impl Stream {
    /// The declared type of a column, by its name in the lake.
    pub(crate) fn declared(&self, column: &str) -> Option<&DataType> {
        self.column(column)?.data_type.as_ref()
    }

    /// What is declared about a column, by its name in the lake.
    pub(crate) fn column(&self, column: &str) -> Option<&ColumnOptions> {
        self.columns
            .iter()
            .find(|(name, _)| snake_case(name) == column)
            .map(|(_, options)| options)
    }

    /// The key's columns, by their names in the lake.
    pub(crate) fn key(&self) -> Vec<String> {
        self.key.iter().map(|name| snake_case(name)).collect()
    }

    /// Why it makes no sense, and what to do.
    pub(crate) fn validate(&self) -> Result<(), (String, &'static str)> {
        let csv = &self.csv;
        let wrong = |why: &str, hint| Err((why.to_owned(), hint));
        let usable = |c: char| c.is_ascii() && !matches!(c, '\n' | '\r' | '\0');
        if self.path.is_empty() {
            return wrong("`path` is empty", "name the files to land");
        }
        if self.disposition == Disposition::Merge && self.key.is_empty() {
            return wrong(
                "`disposition: merge` needs a key",
                "name the columns that identify a row in `key:`",
            );
        }
        if csv.quote.chars().count() > 1 || !csv.quote.chars().all(usable) {
            return wrong(
                "`quote` has to be one ASCII character",
                "use \"\" for files without quoting",
            );
        }
        if csv.delimiter.is_some_and(|c| !usable(c) || csv.quote.starts_with(c)) {
            return wrong(
                "`delimiter` has to be one ASCII character other than the quote",
                "for example \";\" or \"\\t\"",
            );
        }
        if !matches!(csv.decimal, '.' | ',') {
            return wrong("`decimal` has to be a point or a comma", "write decimal: \",\"");
        }
        if csv.decimal == ',' && csv.delimiter.is_none_or(|c| c == ',') && self.format != Some(Format::Tsv) {
            return wrong(
                "a decimal comma cannot be told from the delimiter",
                "set `delimiter:`, for example \";\"",
            );
        }
        Ok(())
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

fn encoding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Encoding, D::Error> {
    let label = String::deserialize(deserializer)?;
    let known = match label.as_str() {
        "utf8" => Some(UTF_8),
        label => Encoding::for_label(label.as_bytes()),
    };
    known.ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{label}` is no encoding; for example utf8, latin1 or windows-1252"
        ))
    })
}

fn data_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DataType>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let unknown = || {
        let types = "text, integer, decimal(p,s), double, boolean, date, timestamp";
        serde::de::Error::custom(format!("`{name}` is no type; the types are: {types}"))
    };
    let decimal = || -> Option<DataType> {
        let digits = name.strip_prefix("decimal(")?.strip_suffix(')')?;
        let (precision, scale) = digits.split_once(',')?;
        let (precision, scale): (u8, i8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        let valid = (1..=38).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision;
        valid.then_some(DataType::Decimal128(precision, scale))
    };
    Ok(Some(match name.as_str() {
        "text" => DataType::Utf8,
        "integer" => DataType::Int64,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => timestamp(),
        _ => decimal().ok_or_else(unknown)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        assert_eq!(Format::of_name("a/b.CSV.gz"), Some(Format::Csv));
        assert_eq!(Format::of_name("b.jsonl.zst"), Some(Format::Ndjson));
        assert_eq!(Format::of_name("b.dat"), None);
    }
}
