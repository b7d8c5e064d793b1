//! A stream of files in `sources/*.yml`: which files, and how to read them.

use std::collections::BTreeMap;
use std::path::Path;

use cordada_core::yaml::one_or_many;
use cordada_core::{Error, Result};
use cordada_ingest_formats::excel::ExcelOptions;
use cordada_ingest_formats::reading::{CsvOptions, Format, MOST_OF_A_RECORD, Reading};
use cordada_ingest_source::options::Zone;
use cordada_ingest_source::{stream, unknown_stream};
use serde::Deserialize;

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

    /// One of its streams.
    ///
    /// # Errors
    /// Config: it has none of that name.
    pub(crate) fn stream(&self, name: &str) -> Result<&FileStream> {
        let missing = || unknown_stream(name, self.streams.keys().map(String::as_str));
        self.streams.get(name).ok_or_else(missing)
    }
}

impl FileStream {
    /// How its files are read.
    pub(crate) fn reading(&self, zone: Zone) -> Reading {
        Reading {
            format: self.format,
            csv: self.csv.clone(),
            excel: self.excel.clone(),
            declared: self.options().declared_types(),
            zones: self.options().zones(zone.0),
        }
    }

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
        if csv.escape.is_some_and(|c| !usable(c) || csv.delimiter == Some(c)) {
            return wrong(
                "`escape` has to be one ASCII character other than the delimiter",
                "for example \"\\\\\"",
            );
        }
        if csv.skip > 0 && csv.header_row.is_some_and(|row| row > 0) {
            return wrong(
                "`header_row` and `skip` both say where the table begins",
                "keep `header_row`, the line that names the columns; or `skip`, the lines above it",
            );
        }
        if !csv.header && csv.header_row.is_some_and(|row| row > 0) {
            return wrong(
                "`header: false` says that there is no `header_row`",
                "remove one of them; `skip` passes over lines above the first row",
            );
        }
        if csv.max_record.0 == 0 || csv.max_record > MOST_OF_A_RECORD {
            return wrong(
                "`max_record` has to be between 1 byte and 512 MiB",
                "write max_record: 64MiB",
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
