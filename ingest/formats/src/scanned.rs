//! What a file holds, found by reading it once, and its rows, by reading it again.

use std::sync::Arc;

use arrow::datatypes::DataType;
use cordada_core::source_names::SourceNames;
use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::csv::Csv;
use super::json::Json;
use super::local::Local;
use super::parquet::Parquet;
use super::piece::{Decoded, Piece, Scanned, TextPlan};
use super::reading::{Declared, Format, Reading};
use super::text::Plain;
use crate::excel;

/// A file that has been read once.
#[derive(Debug)]
pub struct ScannedFile {
    content: Plain,
    reader: FormatReader,
    /// What the first reading found.
    pub scanned: Scanned,
    /// The bytes that it has where it comes from.
    pub bytes: u64,
    /// The transaction by which it is known again, if it is a file of the source.
    pub content_id: Option<(String, i64)>,
    /// Lines at its beginning that have landed before.
    pub landed_lines: u64,
}

#[derive(Debug)]
enum FormatReader {
    Csv(Csv),
    Json(Json),
    Parquet(Parquet),
}

impl ScannedFile {
    /// Reads the file once, on `workers` threads.
    ///
    /// # Errors
    /// Config for a format that cannot be told; failed for a file that is not of its format.
    pub fn scan(local: Local, reading: &Reading, workers: usize, cancel: &CancellationToken) -> Result<Self> {
        let name = local.name.clone();
        let format = reading.format.or_else(|| Format::of_name(&name)).ok_or_else(|| {
            Error::config(format!("reading {name}"), "its name does not tell its format")
                .hint("set `format:` to csv, tsv, ndjson, json, parquet or excel")
        })?;
        let plan = |originals| Ok(plan(originals, &reading.declared));
        let bytes = local.bytes;
        let (content, reader, scanned);
        match format {
            Format::Csv | Format::Tsv => {
                content = Plain::text(local, reading.csv.encoding, cancel)?;
                let csv = Csv::of(&content, &reading.csv, format, &reading.zones)?;
                scanned = csv.scan(&content, plan, workers, cancel)?;
                reader = FormatReader::Csv(csv);
            }
            Format::Ndjson | Format::Json => {
                content = Plain::text(local, encoding_rs::UTF_8, cancel)?;
                let json = Json::new(&content, reading, format)?;
                scanned = json.scan(&content, plan, workers, cancel)?;
                reader = FormatReader::Json(json);
            }
            Format::Excel => {
                let workbook = Plain::binary(local, cancel)?;
                let rows = excel::records(&workbook, &reading.excel, cancel)?;
                content = Plain::text(rows, encoding_rs::UTF_8, cancel)?;
                let json = Json::new(&content, reading, Format::Ndjson)?;
                scanned = json.scan(&content, plan, workers, cancel)?;
                reader = FormatReader::Json(json);
            }
            Format::Parquet => {
                let parquet = Parquet {
                    zones: reading.zones.clone(),
                };
                content = Plain::binary(local, cancel)?;
                scanned = parquet.scan(&content, plan)?;
                reader = FormatReader::Parquet(parquet);
            }
        }
        Ok(Self {
            content,
            reader,
            scanned,
            bytes,
            content_id: None,
            landed_lines: 0,
        })
    }

    /// The file of JSON records, one a line, of which is known what `scanned` says.
    pub(crate) fn of_records(local: Local, json: Json, scanned: Scanned) -> Self {
        Self {
            bytes: local.bytes,
            content: Plain::utf8(local),
            reader: FormatReader::Json(json),
            scanned,
            content_id: None,
            landed_lines: 0,
        }
    }

    /// Whether each of its rows has only the columns that it needs.
    pub fn is_of_records(&self) -> bool {
        matches!(self.reader, FormatReader::Json(_))
    }

    /// Gives its columns, and the fields of their records, the names that the table has for them or gets.
    pub fn name_columns(&mut self, names: &mut SourceNames) {
        self.scanned.name_columns(names);
    }

    /// Reads by these names from now on.
    pub fn read_by(&mut self, names: &Arc<SourceNames>) {
        if let FormatReader::Json(json) = &mut self.reader {
            json.read_by(names.clone());
        }
    }

    /// Its name, as it appears in `_origin`.
    pub fn name(&self) -> &str {
        self.content.name()
    }

    /// Reads a piece again, into columns of `types`, one for each of the file's.
    pub fn decode(&self, piece: &Piece, types: &[DataType], emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<()> {
        let plan = &self.scanned.plan;
        match &self.reader {
            FormatReader::Csv(csv) => emit(csv.decode(&self.content, piece, plan, types)?),
            FormatReader::Json(json) => emit(json.decode(&self.content, piece, plan, types)?),
            FormatReader::Parquet(parquet) => parquet.decode(&self.content, piece, plan, types, emit),
        }
    }

    /// The bytes that a piece stands for, where the file comes from.
    pub fn bytes_of(&self, piece: &Piece) -> u64 {
        let pieces = &self.scanned.pieces;
        let whole = pieces.last().map_or(0, |piece| piece.end) - pieces.first().map_or(0, |piece| piece.start);
        let share = (piece.end - piece.start) as f64 / whole.max(1) as f64;
        (self.bytes as f64 * share) as u64
    }
}

/// What is known of the columns that a source calls `originals`. Their names are those that they have alone: see
/// [`Scanned::name_columns`].
pub(crate) fn plan(originals: Vec<String>, declared: &Declared) -> TextPlan {
    TextPlan {
        names: SourceNames::default().assign(&originals),
        declared: originals.iter().map(|source| declared.of(source).cloned()).collect(),
        originals,
        unnamed: 0,
    }
}
