//! A stream of files in `sources/*.yml`: which files, and how to read them.

use std::collections::BTreeMap;
use std::path::Path;

use chrono_tz::Tz;
use cordada_core::yaml::one_or_many;
use cordada_core::{Error, Result};
use cordada_ingest_discovery::discover::{self, FoundFile};
use cordada_ingest_formats::excel::ExcelOptions;
use cordada_ingest_formats::reading::{CsvOptions, Declared, Format, MOST_OF_A_RECORD, Reading};
use cordada_ingest_source::options::Zone;
use cordada_ingest_source::{stream, unknown_stream};
use serde::{Deserialize, Serialize};

use crate::unfinished::Lines;

stream! {
    /// One stream: the files that make one table.
    pub(crate) struct FileStream {
        /// Paths or URLs, with wildcards.
        #[serde(deserialize_with = "one_or_many")]
        pub(crate) path: Vec<String>,
        /// Whether they may be outside of the project's folder.
        #[serde(default)]
        pub(crate) allow_outside: bool,
        /// The format of the files whose name does not tell it.
        #[serde(default)]
        pub(crate) format: Option<Format>,
        /// In which order files land that are new together.
        #[serde(default)]
        pub(crate) order: Order,
        #[serde(default)]
        pub(crate) csv: CsvOptions,
        #[serde(default)]
        pub(crate) excel: ExcelOptions,
    }
}

/// In which order files land: of rows with one key those of the last file count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// By their names, numbers in them as numbers: `c-8` before `c-10`.
    #[default]
    Name,
    /// By when they were written last.
    Modified,
}

impl Order {
    /// Sorts files, which are in the order of their names.
    pub(crate) fn sort(self, files: &mut [FoundFile]) {
        if self == Self::Modified {
            files.sort_by_key(|file| file.modified);
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
    /// Whether files of all its streams may be outside of the project's folder.
    #[serde(default)]
    pub(crate) allow_outside: bool,
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

    /// The files of a stream.
    ///
    /// # Errors
    /// As [`discover::find`].
    pub(crate) async fn find(&self, project: &Path, stream: &FileStream) -> Result<Vec<FoundFile>> {
        let allow_outside = self.allow_outside || stream.allow_outside;
        discover::find(project, &stream.path, allow_outside, &self.storage).await
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
    /// How its files are read, whose columns have these types.
    pub(crate) fn reading(&self, declared: Declared, zone: Zone) -> Reading {
        Reading {
            format: self.format,
            csv: self.csv.clone(),
            excel: self.excel.clone(),
            declared,
            zones: self.options().zones(zone.0),
        }
    }

    /// How its files are read, as a text: another one reads them anew. It names what is not as by default, so that
    /// what later versions can be told changes nothing for those who do not say it.
    pub(crate) fn settings(&self, zone: Tz) -> String {
        let mut settings = Vec::new();
        settings.extend(self.format.map(|format| format!("format {}", format.name())));
        let zone = self.options().timezone.unwrap_or(zone);
        settings.extend((zone != Tz::UTC).then(|| format!("timezone {zone}")));
        settings.extend(told("csv", &self.csv));
        settings.extend(told("excel", &self.excel));
        for (name, column) in &self.options().columns {
            let said = column.reading();
            settings.extend((!said.is_empty()).then(|| format!("column {name} {said}")));
            settings.extend(column.timezone.map(|Zone(zone)| format!("timezone of {name} {zone}")));
        }
        settings.join("\n")
    }

    /// The character around fields that may hold line ends, in a file of that name; and whether it may be escaped.
    pub(crate) fn quote_in(&self, name: &str) -> (Option<u8>, bool) {
        match self.format.or_else(|| Format::of_name(name)) {
            Some(Format::Csv | Format::Tsv) => (self.csv.quote(), self.csv.escape().is_some()),
            _ => (None, false),
        }
    }

    /// Whether a file of that name is of lines that may become more.
    pub(crate) fn grows(&self, name: &str) -> bool {
        let format = self.format.or_else(|| Format::of_name(name));
        let utf16 = [encoding_rs::UTF_16LE, encoding_rs::UTF_16BE].contains(&self.csv.encoding);
        match format {
            Some(Format::Csv | Format::Tsv) => !utf16,
            Some(Format::Ndjson) => true,
            _ => false,
        }
    }

    /// What the lines of a file of that name are, by which it is told whether the last one is whole.
    pub(crate) fn lines(&self, name: &str) -> Option<Lines> {
        match self.format.or_else(|| Format::of_name(name)) {
            Some(Format::Ndjson) => Some(Lines::Json),
            Some(format @ (Format::Csv | Format::Tsv)) if self.grows(name) && self.csv.escape().is_none() => {
                Some(Lines::Fields {
                    delimiter: self.csv.delimiter(format),
                    quote: self.csv.quote(),
                })
            }
            _ => None,
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

/// What is said under a key that is not as by default.
fn told<T: Serialize + Default>(key: &str, options: &T) -> Vec<String> {
    let entries = |options: &T| match serde_json::to_value(options) {
        Ok(serde_json::Value::Object(entries)) => entries,
        _ => serde_json::Map::new(),
    };
    let default = entries(&T::default());
    let told = entries(options).into_iter();
    let told = told.filter(|(name, value)| default.get(name) != Some(value));
    told.map(|(name, value)| format!("{key}.{name} {value}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(text: &str) -> String {
        let source = format!("kind: files\nstreams: {{s: {text}}}\n");
        let source: FilesSource = cordada_core::yaml::parse(Path::new("s.yml"), &source).unwrap();
        source.streams["s"].settings(source.timezone.0)
    }

    #[test]
    fn only_what_is_said_and_changes_the_reading_is_told() {
        assert_eq!(
            settings("{path: a, key: [id], disposition: merge, csv: {header: true}}"),
            ""
        );
        assert_eq!(settings("{path: a, csv: {delimiter: \";\"}}"), "csv.delimiter \";\"");
        assert_eq!(
            settings("{path: a, csv: {encoding: latin1}}"),
            "csv.encoding \"windows-1252\""
        );
        assert_ne!(
            settings("{path: a, columns: {x: {type: text}}}"),
            settings("{path: a, columns: {x: {type: integer}}}")
        );
        assert_eq!(settings("{path: a, columns: {x: {pii: email}}}"), "");
        // Tables keep a hash of it: another text would land all files anew.
        assert_eq!(
            settings(
                "{path: a, format: ndjson, columns: {x: {from: X, type: 'decimal(9,2)', timezone: Europe/Madrid}, y: \
                 {pii: email, transform: hash}}}"
            ),
            "format ndjson\ncolumn x type decimal(9,2) from \"X\"\ntimezone of x Europe/Madrid\ncolumn y transform hash of \
             email"
        );
    }
}
