//! A stream of files in `sources/*.yml`: which files, and how to read them.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::{Error, Result};
use encoding_rs::{Encoding, UTF_8};
use serde::{Deserialize, Deserializer};
use tokio_util::sync::CancellationToken;

use crate::extract::{Extraction, Request};
use crate::kind::Kind;
use crate::options::{Options, Zone, stream};
use crate::values::build::Notation;
use super::discover;
use super::excel::ExcelOptions;
use super::extraction::Files;

stream! {
    /// One stream: the files that make one table.
    pub(crate) struct FileStream {
        /// Paths or URLs, with wildcards.
        #[serde(deserialize_with = "one_or_many")]
        pub(crate) path: Vec<String>,
        /// The format of the files whose name does not tell it.
        #[serde(default)]
        pub(crate) format: Option<Format>,
        #[serde(default)]
        pub(crate) csv: CsvOptions,
        #[serde(default)]
        pub(crate) excel: ExcelOptions,
    }
}

impl FileStream {
    /// A stream of JSON records, one a line, that are no file of the source.
    pub(crate) fn of_records(options: &Options) -> Self {
        Self {
            path: Vec::new(),
            format: Some(Format::Ndjson),
            csv: CsvOptions::default(),
            excel: ExcelOptions::default(),
            key: options.key.clone(),
            disposition: options.disposition,
            columns: options.columns.clone(),
            contract: options.contract,
            deleted: options.deleted.clone(),
            unnest: options.unnest.clone(),
        }
    }
}

/// A source of files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// The zone of times that carry none.
    #[serde(default)]
    pub(crate) timezone: Zone,
    /// Options of the object store, for paths that are URLs.
    #[serde(default)]
    pub(crate) storage: BTreeMap<String, String>,
    pub(crate) streams: BTreeMap<String, FileStream>,
}

impl FilesSource {
    /// Why it makes no sense, and what to do.
    pub(crate) fn validate(&self, file: &Path) -> Result<()> {
        for (name, stream) in &self.streams {
            stream.validate().map_err(|(why, hint)| {
                Error::config(format!("reading stream {name}"), why)
                    .hint(hint)
                    .at(file.display(), 0, 0)
            })?;
        }
        Ok(())
    }

    fn stream(&self, name: &str) -> Result<&FileStream> {
        let missing = || Error::config("looking for a stream", format!("there is no stream `{name}`"));
        self.streams.get(name).ok_or_else(missing)
    }
}

#[async_trait]
impl Kind for FilesSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        self.streams
            .iter()
            .map(|(name, stream)| (name.clone(), stream.options()))
            .collect()
    }

    fn timezone(&self) -> Tz {
        self.timezone.0
    }

    fn shows_progress(&self) -> bool {
        true
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let stream = self.stream(request.stream)?;
        Ok(Box::new(Files::new(request, self, stream)))
    }

    async fn check(&self, project: &Path, _source: &str, stream: &str, _cancel: &CancellationToken) -> Result<()> {
        let paths = &self.stream(stream)?.path;
        discover::find(project, paths, &self.storage).await.map(|_| ())
    }
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
    /// A workbook: xlsx, xlsm, xlsb, xls or ods.
    Excel,
}

impl Format {
    /// The format that a file's name tells, with or without a suffix of its compression.
    pub(crate) fn of_name(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst", ".bz2"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(&name);
        Some(match name.rsplit_once('.')?.1 {
            "csv" | "txt" => Format::Csv,
            "tsv" | "tab" => Format::Tsv,
            "ndjson" | "jsonl" => Format::Ndjson,
            "json" => Format::Json,
            "parquet" => Format::Parquet,
            "xlsx" | "xlsm" | "xlsb" | "xls" | "ods" => Format::Excel,
            _ => return None,
        })
    }
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

impl FileStream {
    /// Why it makes no sense, and what to do.
    pub(crate) fn validate(&self) -> Result<(), (String, &'static str)> {
        let csv = &self.csv;
        let wrong = |why: &str, hint| Err((why.to_owned(), hint));
        let usable = |c: char| c.is_ascii() && !matches!(c, '\n' | '\r' | '\0');
        if self.path.is_empty() {
            return wrong("`path` is empty", "name the files to land");
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

/// A path, or a list of them.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
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

/// An encoding by its name in the WHATWG's standard.
pub(crate) fn encoding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Encoding, D::Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        assert_eq!(Format::of_name("a/b.CSV.gz"), Some(Format::Csv));
        assert_eq!(Format::of_name("b.jsonl.zst"), Some(Format::Ndjson));
        assert_eq!(Format::of_name("b.csv.bz2"), Some(Format::Csv));
        assert_eq!(Format::of_name("b.dat"), None);
    }
}
