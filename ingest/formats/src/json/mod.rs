//! JSON: records of any shape, their types inferred over the whole file.

mod build;
pub mod lexer;
pub mod parts;
pub mod pointer;
pub mod scan;
pub(crate) mod split;
mod tape;

use std::collections::HashMap;
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
        let records = self.records(data, 0);
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
        let records = self.records(&data, piece.first);
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
    fn records<'d>(&self, data: &'d [u8], first: u64) -> Records<'d> {
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
                false => self.record(&mut records.tape, place.start, place.end, &mut declared),
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
        start: usize,
        end: usize,
        declared: &mut Met<'o>,
    ) -> Result<u32, String> {
        let root = tape.push(start, end)?;
        let wrong = match tape.node(root).kind {
            Kind::Object => match tape.repeated_key(root) {
                Some(key) => Some(format!("the key `{key}` is in it twice")),
                None => self.misfit(tape, root, declared),
            },
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
            object.objects += 1;
            for (expected, (key, value)) in tape.entries(node).enumerate() {
                let values = object.key(expected, tape.text(key, &mut scratch));
                observe(values, tape, value, depth + 1);
            }
        }
        (Kind::Array, Shape::List(item)) => tape.items(node).for_each(|node| observe(item, tape, node, depth + 1)),
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
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;
    use crate::local::Local;
    use crate::scanned::plan;

    /// Rows, what was rejected, and the types.
    fn read(content: &str, format: Format) -> Result<(u64, Vec<Rejected>, Vec<DataType>)> {
        let cancel = CancellationToken::new();
        let text = Plain::text(
            Local::holding(content.as_bytes(), "x.json")?,
            encoding_rs::UTF_8,
            &cancel,
        )?;
        let declared = Declared::from_iter([("n".to_owned(), DataType::Int64)]);
        let json = Json::new(&text, &Reading::of_records(declared, chrono_tz::UTC), format)?;
        let mut all = Vec::new();
        for block in [1 << 20, 3] {
            let scanned =
                json.scan_in_blocks(block, &text, |names| Ok(plan(names, &json.declared)), 2, &cancel)?;
            let types: Vec<_> = scanned
                .shapes
                .iter()
                .map(|shape| shape.data_type(None))
                .collect::<Result<_>>()?;
            let (mut rows, mut rejected) = (0, Vec::new());
            for piece in &scanned.pieces {
                let decoded = json.decode(&text, piece, &scanned.plan, &types)?;
                rows += decoded.lines.len() as u64;
                rejected.extend(decoded.rejected);
            }
            all.push((rows, rejected, types));
        }
        assert_eq!(all[0], all[1]);
        Ok(all.remove(0))
    }

    fn reasons(content: &str, format: Format) -> (u64, Vec<(u64, String)>) {
        let (rows, rejected, _) = read(content, format).unwrap();
        (
            rows,
            rejected
                .into_iter()
                .map(|rejected| (rejected.line, rejected.reason))
                .collect(),
        )
    }

    #[test]
    fn an_array_that_breaks_off_is_no_file() {
        for cut in [
            "[{\"a\":1},\n{\"a\":2}",
            "[{\"a\":1},\n{\"a\":2},\n",
            "[{\"a\":1},{\"a\":",
            "[{\"a\":\"x]},{}]",
            "[",
            "[{}],[{}",
        ] {
            let error = read(cut, Format::Json).unwrap_err().to_string();
            assert!(error.contains("x.json") && error.contains("not closed"), "{error}");
        }
        for (whole, rows) in [
            ("[]", 0),
            ("[{\"a\":1}\n]\n", 1),
            ("[{\"a\":1}][{\"a\":2}]\n[]\n[{\"a\":3},{\"a\":4}]", 4),
            ("\u{feff}[{\"a\":1}]\n\u{feff}[{\"a\":1}]", 2),
        ] {
            assert_eq!(reasons(whole, Format::Json), (rows, Vec::new()), "{whole}");
        }
        let behind = reasons("[{\"a\":1},\n{\"a\":2}]\n{\"error\": [{\"a\":3}]}\n", Format::Json);
        assert_eq!(
            behind,
            (2, vec![(3, "it stands behind the end of the array".to_owned())])
        );
    }

    #[test]
    fn a_key_that_is_there_twice_costs_its_record() {
        let content =
            "{\"a\":1,\"b\":{\"x\":1}}\n{\"a\":1,\"a\":2}\n{\"b\":{\"x\":1,\"\\u0078\":2}}\n\u{feff}{\"a\":3}\n";
        let twice = |line, key| (line, format!("the key `{key}` is in it twice"));
        assert_eq!(
            reasons(content, Format::Ndjson),
            (2, vec![twice(2, "a"), twice(3, "x")])
        );
        assert_eq!(reasons("{\"a\":1}\r{\"a\":2}\r", Format::Ndjson).0, 2);
    }

    #[test]
    fn an_empty_text_is_nothing_where_a_number_is_declared() {
        let found = reasons("{\"n\":\"\"}\n{\"n\":\"7\"}\n{\"n\":\" \"}\n", Format::Ndjson);
        assert_eq!(found, (2, vec![(3, "n is not of the declared type".to_owned())]));
    }

    #[test]
    fn what_is_deep_is_text_and_what_has_no_end_is_rejected() {
        let nested = |depth: usize| {
            format!(
                "{{\"a\":{}1{}}}\n",
                "[{\"b\":".repeat(depth / 2),
                "}]".repeat(depth / 2)
            )
        };
        for depth in [2, 16, 18, 60, 126] {
            let content = nested(depth);
            let (rows, rejected, types) = read(&content, Format::Ndjson).unwrap();
            assert_eq!((rows, rejected.len()), (1, 0), "{depth}");
            let mut levels = 0;
            let mut within = types[0].clone();
            loop {
                within = match within {
                    DataType::List(item) => item.data_type().clone(),
                    DataType::Struct(fields) => fields[0].data_type().clone(),
                    innermost => break assert_eq!(innermost == DataType::Utf8, depth > MAX_LEVELS, "{depth}"),
                };
                levels += 1;
            }
            assert_eq!(levels, depth.min(MAX_LEVELS));
        }
        let (rows, rejected, _) = read(&(nested(2) + &nested(100_000)), Format::Ndjson).unwrap();
        assert_eq!((rows, rejected.len()), (1, 1));
    }

    #[test]
    fn the_text_of_what_is_deep_is_what_was_written() {
        let deep = "[".repeat(MAX_LEVELS) + "{\"b\":[1.10,\"é\"]}" + &"]".repeat(MAX_LEVELS);
        let content = format!("{{\"a\":{deep}}}\n{{\"a\":[[]]}}\n");
        let cancel = CancellationToken::new();
        let text = Plain::text(
            Local::holding(content.as_bytes(), "x").unwrap(),
            encoding_rs::UTF_8,
            &cancel,
        )
        .unwrap();
        let json = Json::new(
            &text,
            &Reading::of_records(Declared::new(), chrono_tz::UTC),
            Format::Ndjson,
        )
        .unwrap();
        let scanned = json
            .scan(&text, |names| Ok(plan(names, &json.declared)), 1, &cancel)
            .unwrap();
        let types = [scanned.shapes[0].data_type(None).unwrap()];
        let decoded = json.decode(&text, &scanned.pieces[0], &scanned.plan, &types).unwrap();
        let mut values = decoded.columns[0].slice(0, 1);
        for _ in 0..MAX_LEVELS {
            values = values.as_list::<i32>().value(0);
        }
        assert_eq!(values.as_string::<i32>().value(0), "{\"b\":[1.10,\"é\"]}");
    }
}
