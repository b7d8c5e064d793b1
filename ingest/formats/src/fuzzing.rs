//! What holds for the readers of CSV and JSON whatever bytes a file has; fuzzing and the unit tests call it.
//!
//! The first byte of an input chooses how the rest is read, so that an input that was found is complete.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use cordada_core::Result;
use cordada_core::units::Size;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::csv::Csv;
use super::json::Json;
use super::json::split::{Layout, Part};
use super::local::Local;
use super::piece::{Decoded, Piece, Scanned, TextPlan};
use super::reading::{CsvOptions, Format, Reading};
use super::rejected::Rejected;
use super::scanned::plan;
use super::text::Plain;
use super::values::evidence::timestamp;

/// Bytes a block, and workers: the whole at once, then in ever smaller pieces.
const WAYS: [(u64, usize); 4] = [(1 << 20, 1), (64, 2), (7, 3), (1, 2)];

/// What a file's readers make of it.
#[derive(Debug, PartialEq)]
struct Found {
    types: Vec<DataType>,
    /// By line, every value as text.
    rows: Vec<(u64, Vec<Option<String>>)>,
    rejected: Vec<Rejected>,
}

/// A CSV file: it is read, or refused, the same in whatever pieces; what was counted first is there when it is read;
/// every value is of the type that was found; every byte is in a row or in a rejected record, in its order.
pub fn csv(input: &[u8]) {
    let Some((how, content)) = input.split_first() else {
        return;
    };
    let options = csv_options(*how);
    let Ok(text) = plain(content, &options) else {
        return;
    };
    let Ok(csv) = Csv::of(&text, &options, Format::Csv, &chrono_tz::UTC.into()) else {
        return;
    };
    let declared = declared_type(*how >> 4);
    let plan = |names: Vec<String>| {
        let declared = (0..names.len()).map(|column| declared.clone().filter(|_| column % 2 == 0));
        Ok(TextPlan {
            originals: names.clone(),
            unnamed: 0,
            declared: declared.collect(),
            names,
        })
    };
    let read = |(block, workers)| {
        let scanned = csv.scan_in_blocks(block, &text, plan, workers, &CancellationToken::new())?;
        assert_contiguous(&text, &scanned.pieces);
        let found = found(&scanned, |piece, types| csv.decode(&text, piece, &scanned.plan, types));
        let start = scanned.pieces.first().map_or(text.end(), |piece| piece.start);
        Ok((start, found?))
    };
    let Some((start, found)) = same_in_all_ways(read) else {
        return;
    };
    assert_nothing_lost(&bytes_of(&text, start), &found, csv.delimiter(), &options);
    // What the whole reading says of a file must not depend on more than its bytes.
    let whole = || {
        csv.scan(&text, plan, 2, &CancellationToken::new())
            .map(|scanned| scanned.pieces)
    };
    let [first, second] = [whole(), whole()].map(|read| read.map_err(|error| error.to_string()));
    assert_eq!(first, second);
}

/// A JSON file: as for [`csv`], and rows are what serde_json says of each record; what it takes is not rejected.
pub fn json(input: &[u8]) {
    let Some((how, content)) = input.split_first() else {
        return;
    };
    let format = if how & 1 == 0 { Format::Ndjson } else { Format::Json };
    let Ok(text) = plain(content, &CsvOptions::default()) else {
        return;
    };
    let declared = declared_type(*how >> 1).map(|declared| ("a".to_owned(), declared));
    let reading = Reading::of_records(declared.into_iter().collect(), chrono_tz::UTC);
    let Ok(json) = Json::new(&text, &reading, format) else {
        return;
    };
    let read = |(block, workers)| {
        let plan = |originals| Ok(plan(originals, &reading.declared));
        let scanned = json.scan_in_blocks(block, &text, plan, workers, &CancellationToken::new())?;
        assert_contiguous(&text, &scanned.pieces);
        let found = found(&scanned, |piece, types| json.decode(&text, piece, &scanned.plan, types))?;
        Ok((scanned.plan.originals, found))
    };
    if let Some((keys, found)) = same_in_all_ways(read) {
        assert_records(&text, format, &keys, &found);
    }
}

fn csv_options(how: u8) -> CsvOptions {
    let delimiter = [',', ';', '\t', '|'][usize::from(how & 3)];
    CsvOptions {
        delimiter: (how >> 4 != 6).then_some(delimiter),
        escape: (how >> 4 == 5).then_some('\\'),
        max_record: if how >> 4 == 4 { Size(20) } else { Size::mebibytes(1) },
        quote: if how & 4 == 0 { "\"" } else { "" }.to_owned(),
        header: how & 8 == 0,
        encoding: if how >> 4 == 7 {
            encoding_rs::WINDOWS_1252
        } else {
            encoding_rs::UTF_8
        },
        decimal: if delimiter == ';' { ',' } else { '.' },
        ..CsvOptions::default()
    }
}

fn declared_type(which: u8) -> Option<DataType> {
    Some(match which {
        1 => DataType::Int64,
        2 => DataType::Boolean,
        3 => DataType::Float64,
        4 => DataType::Decimal128(18, 2),
        5 => DataType::Date32,
        6 => timestamp(),
        _ => return None,
    })
}

fn plain(content: &[u8], options: &CsvOptions) -> Result<Plain> {
    Plain::text(
        Local::holding(content, "input")?,
        options.encoding,
        &CancellationToken::new(),
    )
}

fn bytes_of(text: &Plain, start: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    text.read(start, text.end(), &mut bytes).unwrap();
    bytes
}

/// What comes out, whatever the way; `None` if the file is refused, whatever the way.
fn same_in_all_ways<T: PartialEq + std::fmt::Debug>(read: impl Fn((u64, usize)) -> Result<T>) -> Option<T> {
    let [first, others @ ..] = WAYS.map(|way| read(way).map_err(|error| error.to_string()));
    for (other, way) in others.iter().zip(&WAYS[1..]) {
        assert_eq!(*other, first, "read in blocks of {} by {} workers", way.0, way.1);
    }
    first.ok()
}

fn assert_contiguous(text: &Plain, pieces: &[Piece]) {
    for pair in pieces.windows(2) {
        assert_eq!(pair[0].end, pair[1].start, "pieces follow each other");
    }
    assert!(
        pieces.last().is_none_or(|last| last.end == text.end()),
        "the last piece ends the file"
    );
}

/// Reads all pieces, as text and as what their types are.
fn found(scanned: &Scanned, decode: impl Fn(&Piece, &[DataType]) -> Result<Decoded>) -> Result<Found> {
    let types = scanned
        .shapes
        .iter()
        .map(|shape| shape.data_type(None))
        .collect::<Result<Vec<_>>>()?;
    let mut found = Found {
        types,
        rows: Vec::new(),
        rejected: Vec::new(),
    };
    let text = vec![DataType::Utf8; found.types.len()];
    for piece in &scanned.pieces {
        let decoded = decode(piece, &text).unwrap();
        assert_eq!(decoded.lines.len() as u64, piece.rows, "rows that were counted");
        assert_eq!(
            decoded.rejected.len() as u64,
            piece.rejected,
            "rejected records that were counted"
        );
        assert_typed(&found.types, decode(piece, &found.types).unwrap(), piece.rows);
        let value = |row: usize| {
            let columns = decoded.columns.iter().map(|column| column.as_string::<i32>());
            columns
                .map(|column| column.iter().nth(row).flatten().map(str::to_owned))
                .collect()
        };
        found
            .rows
            .extend(decoded.lines.iter().enumerate().map(|(row, line)| (*line, value(row))));
        found.rejected.extend(decoded.rejected);
    }
    found.rejected.sort_by_key(|rejected| rejected.line);
    Ok(found)
}

/// The columns go together as a batch of these types.
fn assert_typed(types: &[DataType], decoded: Decoded, rows: u64) {
    let fields = types.iter().map(|data_type| Field::new("", data_type.clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    if !types.is_empty() {
        let batch = RecordBatch::try_new(schema.into(), decoded.columns).unwrap();
        assert_eq!(batch.num_rows() as u64, rows);
    }
}

/// Apart from what sets values apart, the bytes are those of the rows and the rejected records, in this order.
fn assert_nothing_lost(content: &[u8], found: &Found, delimiter: u8, options: &CsvOptions) {
    let known = std::str::from_utf8(content).is_ok();
    let matters = |byte: &u8| {
        // So do the bytes of a mark, which begin no record of their own.
        let apart = [b'\r', b'\n', delimiter, 0xef, 0xbb, 0xbf].contains(byte)
            || [options.quote(), options.escape()].contains(&Some(*byte));
        // Wrong bytes stand as U+FFFD in a rejected record.
        !apart && (known || byte.is_ascii())
    };
    let mut records: BTreeMap<u64, String> = BTreeMap::new();
    for (line, values) in &found.rows {
        let text = values.iter().flatten().map(String::as_str).collect();
        assert_eq!(records.insert(*line, text), None, "one record a line");
    }
    for rejected in &found.rejected {
        assert_eq!(
            records.insert(rejected.line, rejected.record.clone()),
            None,
            "one record a line"
        );
    }
    let kept = records.values().flat_map(|record| record.bytes()).filter(matters);
    let expected = content.iter().copied().filter(matters);
    assert!(kept.eq(expected), "bytes are lost, doubled or out of order");
}

/// Records, one by one: what lands is what serde_json reads, and what it reads lands.
fn assert_records(text: &Plain, format: Format, keys: &[String], found: &Found) {
    let (layout, start) = match format {
        Format::Ndjson => (Layout::of_ndjson(text).unwrap(), text.start()),
        _ => Layout::of_json(text).unwrap(),
    };
    let content = bytes_of(text, start);
    let mut rows = found.rows.iter();
    let mut rejected = found.rejected.iter().peekable();
    let mut known = 0;
    for Part { place: range, outside } in layout.records(&content) {
        assert!(
            content[known..range.start].iter().all(is_between),
            "bytes between records are lost"
        );
        known = range.end;
        let record = &content[range];
        if let Some(rejected) = rejected.next_if(|rejected| rejected.record == String::from_utf8_lossy(record)) {
            let is_object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(record).is_ok();
            let whole = !["is not of the declared type", "is in it twice"]
                .iter()
                .any(|reason| rejected.reason.ends_with(reason));
            assert!(
                !(is_object && whole && !outside),
                "rejected, but read by serde_json: {rejected:?}"
            );
        } else {
            assert!(!outside, "what stands behind the array landed");
            let (_, values) = rows.next().unwrap();
            assert_eq!(*values, row_of(record, keys));
        }
    }
    assert!(
        content[known..].iter().all(is_between),
        "bytes after the last record are lost"
    );
    assert!(rows.next().is_none() && rejected.next().is_none());
}

fn is_between(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']' | b'}' | 0xef | 0xbb | 0xbf)
}

/// The values that a record has for these keys, as serde_json reads them.
fn row_of(record: &[u8], keys: &[String]) -> Vec<Option<String>> {
    let mut row = vec![None; keys.len()];
    for (key, value) in serde_json::from_slice::<HashMap<String, Box<RawValue>>>(record).unwrap() {
        let column = keys.iter().position(|known| *known == key).unwrap();
        row[column] = match value.get() {
            "null" => None,
            text if text.starts_with('"') => Some(serde_json::from_str(text).unwrap()),
            text => Some(without_spaces(text)),
        };
    }
    row
}

/// JSON without the spaces between its tokens, and without escapes that need not be; numbers stay as they are written.
fn without_spaces(json: &str) -> String {
    let (mut plain, mut rest) = (String::new(), json);
    while let Some(at) = rest.find('"') {
        plain.extend(rest[..at].chars().filter(|c| !c.is_ascii_whitespace()));
        let mut strings = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<serde_json::Value>();
        plain += &strings.next().unwrap().unwrap().to_string();
        rest = &rest[at + strings.byte_offset()..];
    }
    plain.extend(rest.chars().filter(|c| !c.is_ascii_whitespace()));
    plain
}

#[cfg(test)]
mod tests;
