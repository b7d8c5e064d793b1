//! How the files of a stream are read: the format, and what a user says about it.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use cordada_core::names::snake_case;
use cordada_core::source_names::is_written_alike;
use cordada_core::units::Size;
use encoding_rs::{Encoding, UTF_8};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::excel::ExcelOptions;
use crate::values::zones::Zones;

/// The types that are declared.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Of columns that are known by what exactly the source calls them; `None` for those that have none.
    known: HashMap<String, Option<DataType>>,
    /// Of the others, as they are written in the configuration.
    written: Vec<(String, DataType)>,
}

impl Declared {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares the type of the column that the source calls `source`; `None`: that it has none.
    pub fn know(&mut self, source: &str, data_type: Option<DataType>) {
        self.known.insert(source.to_owned(), data_type);
    }

    /// Declares the type of the column that is `written` so, by the source's name or the lake's.
    pub fn write(&mut self, written: &str, data_type: DataType) {
        self.written.push((written.to_owned(), data_type));
    }

    /// The type of the column that the source calls so.
    pub fn of(&self, source: &str) -> Option<&DataType> {
        if let Some(known) = self.known.get(source) {
            return known.as_ref();
        }
        let exactly = self.written.iter().find(|(written, _)| written == source);
        let found = exactly.or_else(|| {
            let name = snake_case(source);
            let is_it =
                |written: &str| written == name || (snake_case(written) == name && is_written_alike(written, source));
            self.written.iter().find(|(written, _)| is_it(written))
        });
        found.map(|(_, data_type)| data_type)
    }

    /// Whether any column is to be something else than text.
    pub fn any_but_text(&self) -> bool {
        let known = self.known.values().flatten();
        let mut types = known.chain(self.written.iter().map(|(_, data_type)| data_type));
        types.any(|data_type| *data_type != DataType::Utf8)
    }
}

impl FromIterator<(String, DataType)> for Declared {
    fn from_iter<T: IntoIterator<Item = (String, DataType)>>(written: T) -> Self {
        Self {
            known: HashMap::new(),
            written: written.into_iter().collect(),
        }
    }
}

/// How the files of a stream are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The format of the files whose name does not tell it.
    pub format: Option<Format>,
    /// How CSV is written.
    pub csv: CsvOptions,
    /// Which part of a workbook is read.
    pub excel: ExcelOptions,
    /// The types that are declared.
    pub declared: Declared,
    /// The zones of times that carry none.
    pub zones: Zones,
}

impl Reading {
    /// JSON records, one a line.
    pub fn of_records(declared: Declared, zones: impl Into<Zones>) -> Self {
        Self {
            format: Some(Format::Ndjson),
            csv: CsvOptions::default(),
            excel: ExcelOptions::default(),
            declared,
            zones: zones.into(),
        }
    }
}

/// The formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Values with a delimiter between them.
    Csv,
    /// CSV with tabs.
    Tsv,
    /// One JSON value a line.
    #[serde(alias = "jsonl")]
    Ndjson,
    /// An array of records, or records one after the other.
    Json,
    /// Apache Parquet.
    Parquet,
    /// A workbook: xlsx, xlsm, xlsb, xls or ods.
    Excel,
}

impl Format {
    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Ndjson => "ndjson",
            Format::Json => "json",
            Format::Parquet => "parquet",
            Format::Excel => "excel",
        }
    }

    /// The format that a file's name tells, with or without a suffix of its compression.
    pub fn of_name(name: &str) -> Option<Format> {
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
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// The character between fields; `,`, or a tab for TSV, if `None`.
    pub delimiter: Option<char>,
    /// The character around fields; `""` for none.
    pub quote: String,
    /// The character that takes the meaning of the one after it, in fields with and without quotes.
    pub escape: Option<char>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// The line that names the columns, as an editor counts lines, from 1; what is above it is passed over. 0: none does.
    pub header_row: Option<u32>,
    /// Lines above the table that are passed over.
    pub skip: u32,
    /// What the text is encoded in.
    #[serde(deserialize_with = "encoding", serialize_with = "encoding_name")]
    pub encoding: &'static Encoding,
    /// The decimal point.
    pub decimal: char,
    /// Values that mean null, quoted or not.
    pub nulls: Vec<String>,
    /// What one record may have at most.
    pub max_record: Size,
}

/// What one record of CSV may have, unless a user says otherwise.
const MAX_RECORD: Size = Size::mebibytes(16);

/// What can be said of it: places within a block of records are numbers of 31 bits.
pub const MOST_OF_A_RECORD: Size = Size::mebibytes(512);

impl Default for CsvOptions {
    fn default() -> Self {
        let (quote, nulls) = ("\"".to_owned(), vec![String::new()]);
        Self {
            delimiter: None,
            quote,
            escape: None,
            header: true,
            header_row: None,
            skip: 0,
            encoding: UTF_8,
            decimal: '.',
            nulls,
            max_record: MAX_RECORD,
        }
    }
}

impl CsvOptions {
    /// The delimiter of files of `format`.
    pub fn delimiter(&self, format: Format) -> u8 {
        let default = if format == Format::Tsv { b'\t' } else { b',' };
        self.delimiter.and_then(|c| u8::try_from(c).ok()).unwrap_or(default)
    }

    /// The quote, if there is one.
    pub fn quote(&self) -> Option<u8> {
        self.quote.bytes().next()
    }

    /// The escape, if there is one: a quote that escapes itself is only doubled.
    pub fn escape(&self) -> Option<u8> {
        let escape = self.escape.and_then(|c| u8::try_from(c).ok());
        escape.filter(|escape| Some(*escape) != self.quote())
    }

    /// Whether a record names the columns.
    pub fn has_header(&self) -> bool {
        self.header && self.header_row != Some(0)
    }

    /// Bytes that one record may have.
    pub fn max_record(&self) -> usize {
        usize::try_from(self.max_record.0).unwrap_or(usize::MAX)
    }

    /// The decimal point.
    pub fn point(&self) -> u8 {
        u8::try_from(self.decimal).unwrap_or(b'.')
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn encoding_name<S: Serializer>(encoding: &&'static Encoding, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(encoding.name())
}

/// An encoding by its name in the WHATWG's standard.
pub fn encoding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Encoding, D::Error> {
    let label = String::deserialize(deserializer)?;
    let known = match label.as_str() {
        "utf8" => Some(UTF_8),
        label => Encoding::for_label(label.as_bytes()),
    };
    known.ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{label}` is not an encoding; for example utf8, latin1 or windows-1252"
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
