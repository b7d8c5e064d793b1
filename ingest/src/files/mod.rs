//! The `files` source: what a file holds, found by reading it once, and its rows, by reading it again.

pub(crate) mod config;
pub(crate) mod csv;
pub(crate) mod discover;
pub(crate) mod excel;
pub(crate) mod extraction;
pub(crate) mod json;
pub(crate) mod parquet;
pub(crate) mod remote;
pub(crate) mod text;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use chrono_tz::Tz;
use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use crate::provenance::refuse_ours;
use crate::rejected::Rejected;
use crate::shape::{Shape, column_names};
use self::config::{FileStream, Format};
use self::csv::Csv;
use self::discover::Local;
use self::json::Json;
use self::parquet::Parquet;
use self::text::Plain;

/// A part of a file that is read on its own: bytes of a text, or row groups of Parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The line of its first byte, or the number of its first row, from 1.
    pub(crate) first: u64,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
}

/// What is known about a file's columns before their values are.
#[derive(Debug, Default)]
pub(crate) struct TextPlan {
    /// The source's own names.
    pub(crate) originals: Vec<String>,
    /// Their names in the lake.
    pub(crate) names: Vec<String>,
    pub(crate) declared: Vec<Option<DataType>>,
}

/// What the first reading of a file found.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) plan: TextPlan,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) pieces: Vec<Piece>,
}

/// Rows of a file.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) columns: Vec<ArrayRef>,
    /// The line that each row begins on, or its number.
    pub(crate) lines: Vec<u64>,
    pub(crate) rejected: Vec<Rejected>,
}

/// A file that has been read once.
#[derive(Debug)]
pub(crate) struct ScannedFile {
    content: Plain,
    reader: Reader,
    pub(crate) scanned: Scanned,
    /// The bytes that it has where it comes from.
    pub(crate) bytes: u64,
    /// The transaction by which it is known again, if it is a file of the source.
    pub(crate) content_id: Option<(String, i64)>,
}

#[derive(Debug)]
enum Reader {
    Csv(Csv),
    Json(Json),
    Parquet(Parquet),
}

impl ScannedFile {
    /// Reads the file once, on `workers` threads.
    ///
    /// # Errors
    /// Config for names that collide and a format that cannot be told; failed for a file that is not of its format.
    pub(crate) fn scan(
        local: Local,
        stream: &FileStream,
        zone: Tz,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let (name, options) = (local.name.clone(), stream.options());
        let format = stream.format.or_else(|| Format::of_name(&name)).ok_or_else(|| {
            Error::config(format!("reading {name}"), "its name does not tell its format")
                .hint("set `format:` to csv, tsv, ndjson, json, parquet or excel")
        })?;
        let plan = |originals: Vec<String>| {
            let names =
                column_names(originals.iter().map(String::as_str)).map_err(|error| error.with("file", &name))?;
            refuse_ours(&name, names.iter().map(String::as_str))?;
            let declared = names.iter().map(|name| options.declared(name).cloned()).collect();
            Ok(TextPlan {
                originals,
                names,
                declared,
            })
        };
        let bytes = local.bytes;
        let (content, reader, scanned);
        match format {
            Format::Csv | Format::Tsv => {
                let csv = Csv::new(&stream.csv, format, stream.csv.notation(zone));
                content = Plain::text(local, stream.csv.encoding, cancel)?;
                scanned = csv.scan(&content, plan, workers, cancel)?;
                reader = Reader::Csv(csv);
            }
            Format::Ndjson | Format::Json => {
                content = Plain::text(local, encoding_rs::UTF_8, cancel)?;
                let json = Json::new(&content, &options, format, zone)?;
                scanned = json.scan(&content, plan, workers, cancel)?;
                reader = Reader::Json(json);
            }
            Format::Excel => {
                let workbook = Plain::binary(local, cancel)?;
                let rows = excel::records(&workbook, &stream.excel, cancel)?;
                content = Plain::text(rows, encoding_rs::UTF_8, cancel)?;
                let json = Json::new(&content, &options, Format::Ndjson, zone)?;
                scanned = json.scan(&content, plan, workers, cancel)?;
                reader = Reader::Json(json);
            }
            Format::Parquet => {
                let parquet = Parquet { zone };
                content = Plain::binary(local, cancel)?;
                scanned = parquet.scan(&content, plan)?;
                reader = Reader::Parquet(parquet);
            }
        }
        Ok(Self {
            content,
            reader,
            scanned,
            bytes,
            content_id: None,
        })
    }

    /// Its name, as it appears in `_origin`.
    pub(crate) fn name(&self) -> &str {
        self.content.name()
    }

    /// Reads a piece again, into columns of `types`, one for each of the file's.
    pub(crate) fn decode(
        &self,
        piece: &Piece,
        types: &[DataType],
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<()> {
        let plan = &self.scanned.plan;
        match &self.reader {
            Reader::Csv(csv) => emit(csv.decode(&self.content, piece, plan, types)?),
            Reader::Json(json) => emit(json.decode(&self.content, piece, plan, types)?),
            Reader::Parquet(parquet) => parquet.decode(&self.content, piece, types, emit),
        }
    }

    /// The bytes that a piece stands for, where the file comes from.
    pub(crate) fn bytes_of(&self, piece: &Piece) -> u64 {
        let pieces = &self.scanned.pieces;
        let whole = pieces.last().map_or(0, |piece| piece.end) - pieces.first().map_or(0, |piece| piece.start);
        let share = (piece.end - piece.start) as f64 / whole.max(1) as f64;
        (self.bytes as f64 * share) as u64
    }
}
