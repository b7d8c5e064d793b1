//! JSON: records of any shape, their types inferred over the whole file.

mod build;
pub mod lexer;
pub mod parts;
pub mod pointer;
pub mod scan;
pub(crate) mod split;
mod tape;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::DataType;
use cordada_core::Result;
use cordada_core::names::snake_case;
use cordada_core::source_names::SourceNames;
use cordada_core::threads::in_order;
use tokio_util::sync::CancellationToken;

use self::split::{BLOCK, Layout, Part};
use self::tape::{Kind, Tape};
use super::piece::{Decoded, Piece, Scanned, TextPlan};
use super::reading::Format;
use super::text::Plain;
use crate::reading::{Declared, Reading};
use crate::rejected::Rejected;
use crate::shape::{MAX_LEVELS, Object, Shape};
use crate::values::build::{Notation, is_readable};
use crate::values::evidence::Evidence;
use crate::values::zones::Zones;

/// How to read a JSON file.
#[derive(Debug, Clone)]
pub struct Json {
    layout: Layout,
    /// Where the first record may begin.
    start: u64,
    declared: Declared,
    /// The names of the fields of records.
    names: Arc<SourceNames>,
    zones: Zones,
}

/// What is known of the keys of a piece's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Unknown,
    /// None is twice in one object.
    Distinct,
}

/// The records of a piece.
struct Records<'d> {
    tape: Tape<'d>,
    roots: Vec<u32>,
    lines: Vec<u64>,
    rejected: Vec<Rejected>,
}

impl Json {
    /// The reader of a file of `format` (NDJSON or JSON).
    pub fn new(text: &Plain, reading: &Reading, format: Format) -> Result<Self> {
        let (layout, start) = match format {
            Format::Ndjson => (Layout::of_ndjson(text)?, text.start()),
            _ => Layout::of_json(text)?,
        };
        Ok(Self {
            layout,
            start,
            ..Self::lines(reading)
        })
    }

    /// The reader of records that are written one a line.
    pub(crate) fn lines(reading: &Reading) -> Self {
        Self {
            layout: Layout::Lines,
            start: 0,
            declared: reading.declared.clone(),
            names: Arc::default(),
            zones: reading.zones.clone(),
        }
    }

    /// Reads records by these names from now on.
    pub(crate) fn read_by(&mut self, names: Arc<SourceNames>) {
        self.names = names;
    }

    /// Reads the whole file once. `plan` tells what is known about columns once their names are.
    pub fn scan(
        &self,
        text: &Plain,
        plan: impl FnOnce(Vec<String>) -> Result<TextPlan>,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<Scanned> {
        self.scan_in_blocks(BLOCK, text, plan, workers, cancel)
    }

    /// As [`Json::scan`], in blocks of about that many bytes.
    pub(crate) fn scan_in_blocks(
        &self,
        block: u64,
        text: &Plain,
        plan: impl FnOnce(Vec<String>) -> Result<TextPlan>,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<Scanned> {
        let ranges = self.layout.pieces(text, self.start, block)?;
        let mut head = Vec::new();
        text.read(text.start(), self.start, &mut head)?;
        let mut line = 1 + newlines(&head);
        let mut shape = Shape::Object(Object::default());
        let mut pieces = Vec::with_capacity(ranges.len());
        let work = |piece: usize| {
            let (start, end) = (ranges[piece].start, ranges[piece].end);
            let mut data = Vec::new();
            text.read(start, end, &mut data)?;
            Ok((self.survey(&data, start), newlines(&data)))
        };
        in_order(ranges.len(), workers, cancel, work, |_, ((mut piece, found), lines)| {
            piece.first = line;
            line += lines;
            shape.merge(found);
            pieces.push(piece);
            Ok(())
        })?;
        scanned(shape, pieces, plan)
    }

    /// The piece that begins at `start` with the bytes `data`, and what its records look like. Its line is not known.
    pub(crate) fn survey(&self, data: &[u8], start: u64) -> (Piece, Shape) {
        let records = self.records(data, 0, Keys::Unknown);
        let mut shape = Shape::Object(Object::default());
        for root in &records.roots {
            observe(&mut shape, &records.tape, *root, 0);
        }
        let piece = Piece {
            start,
            end: start + data.len() as u64,
            first: 0,
            rows: records.roots.len() as u64,
            rejected: records.rejected.len() as u64,
        };
        (piece, shape)
    }

    /// Reads a piece into columns of `types`, one for each of the file's.
    pub fn decode(&self, text: &Plain, piece: &Piece, plan: &TextPlan, types: &[DataType]) -> Result<Decoded> {
        let mut data = Vec::new();
        text.read(piece.start, piece.end, &mut data)?;
        // Where nothing was rejected no key is there twice.
        let keys = if piece.rejected == 0 {
            Keys::Distinct
        } else {
            Keys::Unknown
        };
        let records = self.records(&data, piece.first, keys);
        let roots: Vec<_> = records.roots.iter().map(|root| Some(*root)).collect();
        let place = |key: &str| plan.originals.iter().position(|original| original == key);
        let columns = build::object_values(&records.tape, &roots, plan.originals.len(), place);
        let columns = columns
            .iter()
            .zip(types)
            .zip(&plan.names)
            .map(|((nodes, data_type), name)| {
                let fields = self.names.fields(name);
                build::column(&records.tape, nodes, data_type, fields, self.zones.column(name))
                    .map_err(|error| error.with("file", text.name()).with("column", name))
            });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Decoded {
            columns,
            lines: records.lines,
            rejected: records.rejected,
            cut: Vec::new(),
        })
    }

    /// The records of a piece whose first line is `first`.
    fn records<'d>(&self, data: &'d [u8], first: u64, keys: Keys) -> Records<'d> {
        let mut records = Records {
            tape: Tape::new(data),
            roots: Vec::new(),
            lines: Vec::new(),
            rejected: Vec::new(),
        };
        let mut declared = HashMap::new();
        let (mut line, mut counted) = (first, 0);
        for Part { place, outside } in self.layout.records(data) {
            line += newlines(&data[counted..place.start]);
            counted = place.start;
            let record = match outside {
                true => Err("it stands behind the end of the array".to_owned()),
                false => self.record(&mut records.tape, place.clone(), keys, &mut declared),
            };
            match record {
                Ok(root) => {
                    records.roots.push(root);
                    records.lines.push(line);
                }
                Err(reason) => {
                    let record = String::from_utf8_lossy(&data[place]).into_owned();
                    records.rejected.push(Rejected { line, reason, record });
                }
            }
        }
        records
    }

    /// Reads one record, which has to be an object whose values are of their declared types; `declared` are those of the
    /// keys that were met before.
    fn record<'o>(
        &'o self,
        tape: &mut Tape<'_>,
        place: Range<usize>,
        keys: Keys,
        declared: &mut Met<'o>,
    ) -> Result<u32, String> {
        let root = tape.push(place.start, place.end)?;
        let wrong = match tape.node(root).kind {
            // Which one is not said: keys are of the source as values are, and may be of persons.
            Kind::Object if keys == Keys::Unknown && tape.repeats_a_key(root) => {
                Some("a key is in it twice".to_owned())
            }
            Kind::Object => self.misfit(tape, root, declared),
            _ => Some("the record is not an object".to_owned()),
        };
        match wrong {
            None => Ok(root),
            Some(reason) => {
                tape.truncate(root);
                Err(reason)
            }
        }
    }

    fn misfit<'o>(&'o self, tape: &Tape<'_>, root: u32, known: &mut Met<'o>) -> Option<String> {
        if !self.declared.any_but_text() {
            return None;
        }
        let (mut name, mut scratch) = (Vec::new(), Vec::new());
        tape.entries(root).find_map(|(key, value)| {
            let key = tape.text(key, &mut name);
            let declared = match known.get(key) {
                Some(declared) => (*declared)?,
                None => {
                    let declared = self.declared.of(&String::from_utf8_lossy(key));
                    known.insert(key.to_vec(), declared);
                    declared?
                }
            };
            let readable = match tape.node(value).kind {
                Kind::Null => true,
                Kind::Array | Kind::Object => *declared == DataType::Utf8,
                kind => {
                    let text = tape.text(value, &mut scratch);
                    build::is_nothing(kind, text, declared) || is_readable(text, declared, NOTATION)
                }
            };
            (!readable).then(|| {
                let column = snake_case(&String::from_utf8_lossy(key));
                format!("{column} is not of the declared type")
            })
        })
    }
}

/// What the pieces of a file hold, whose records are of `shape`.
pub(crate) fn scanned(
    shape: Shape,
    pieces: Vec<Piece>,
    plan: impl FnOnce(Vec<String>) -> Result<TextPlan>,
) -> Result<Scanned> {
    let Shape::Object(object) = shape else {
        return Ok(Scanned::default());
    };
    let keys = object.keys.into_iter().map(|key| (key.name, key.values));
    let (names, shapes): (Vec<_>, Vec<_>) = keys.unzip();
    let plan = plan(names)?;
    let declared = |(shape, declared): (Shape, &Option<DataType>)| declared.clone().map_or(shape, Shape::Declared);
    let shapes = shapes.into_iter().zip(&plan.declared).map(declared).collect();
    Ok(Scanned { plan, shapes, pieces })
}

/// The declared types of the keys that were met, where they have one.
type Met<'o> = HashMap<Vec<u8>, Option<&'o DataType>>;

pub(crate) fn newlines(data: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', data).count() as u64
}

/// How JSON writes numbers. Whether a value is a time does not depend on its zone.
const NOTATION: Notation = Notation {
    point: b'.',
    zone: chrono_tz::UTC,
};

/// Takes a value into the shape of its column, `depth` levels within it.
fn observe(shape: &mut Shape, tape: &Tape<'_>, node: u32, depth: usize) {
    let mut scratch = Vec::new();
    match (tape.node(node).kind, &mut *shape) {
        (Kind::Null, _) => {}
        (Kind::Object | Kind::Array, shape) if depth > MAX_LEVELS => *shape = Shape::TEXT,
        (Kind::Object, Shape::Object(object)) => {
            for (expected, (key, value)) in tape.entries(node).enumerate() {
                let values = object.key(expected, tape.text(key, &mut scratch));
                observe(values, tape, value, depth + 1);
                values.bound();
            }
        }
        (Kind::Array, Shape::List(item)) => tape.items(node).for_each(|node| {
            observe(item, tape, node, depth + 1);
            item.bound();
        }),
        (Kind::Object | Kind::Array, shape) => {
            let mut own = match tape.node(node).kind {
                Kind::Object => Shape::Object(Object::default()),
                _ => Shape::List(Box::default()),
            };
            observe(&mut own, tape, node, depth);
            shape.merge(own);
        }
        (kind, Shape::Scalar(evidence)) => observe_scalar(evidence, kind, tape.text(node, &mut scratch)),
        (kind, shape) => {
            let mut evidence = Evidence::default();
            observe_scalar(&mut evidence, kind, tape.text(node, &mut scratch));
            shape.merge(Shape::Scalar(evidence));
        }
    }
}

/// A string that looks like a number is a string; one that is a time is a time, for JSON has no other way to say it.
fn observe_scalar(evidence: &mut Evidence, kind: Kind, text: &[u8]) {
    match kind {
        Kind::Boolean => evidence.observe_boolean(text),
        Kind::Number => evidence.observe_number(text, b'.'),
        _ => evidence.observe_time(text),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
