use arrow::array::AsArray;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::local::Local;
use crate::piece::Scanned;
use crate::shape::Shape;

/// A record and the line that it begins on.
type Record = (u64, Vec<String>);

struct Fixture {
    csv: Csv,
    text: Plain,
    scanned: Scanned,
}

fn scan(content: &[u8], options: &CsvOptions, block: u64) -> Fixture {
    let cancel = CancellationToken::new();
    let local = Local::holding(content, "x.csv").unwrap();
    let text = Plain::text(local, options.encoding, &cancel).unwrap();
    let csv = Csv::new(options, Format::Csv, options.notation(chrono_tz::UTC));
    let plan = |names: Vec<String>| {
        Ok(TextPlan {
            originals: names.clone(),
            declared: vec![None; names.len()],
            names,
        })
    };
    let scanned = csv.scan_in_blocks(block, &text, plan, 3, &cancel).unwrap();
    Fixture { csv, text, scanned }
}

impl Fixture {
    /// All rows as text, and what was rejected.
    fn read(&self) -> (Vec<Record>, Vec<Rejected>) {
        let (mut rows, mut rejected) = (Vec::new(), Vec::new());
        let types = vec![DataType::Utf8; self.scanned.plan.names.len()];
        for piece in &self.scanned.pieces {
            let decoded = self.csv.decode(&self.text, piece, &self.scanned.plan, &types).unwrap();
            assert_eq!(decoded.lines.len() as u64, piece.rows);
            assert_eq!(decoded.rejected.len() as u64, piece.rejected);
            for (row, line) in decoded.lines.iter().enumerate() {
                let value = |column: &arrow::array::ArrayRef| column.as_string::<i32>().value(row).to_owned();
                rows.push((*line, decoded.columns.iter().map(value).collect()));
            }
            rejected.extend(decoded.rejected);
        }
        rejected.sort_by_key(|record| record.line);
        (rows, rejected)
    }

    fn types(&self) -> Vec<DataType> {
        self.scanned
            .shapes
            .iter()
            .map(|shape: &Shape| shape.data_type(None).unwrap())
            .collect()
    }
}

fn without_nulls() -> CsvOptions {
    CsvOptions {
        nulls: Vec::new(),
        ..CsvOptions::default()
    }
}

fn field() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a"),
        Just("12"),
        Just(","),
        Just("\""),
        Just("\n"),
        Just("\r\n"),
        Just("ñ"),
        Just(" ")
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn reads_what_the_csv_crate_writes(
        records in (1usize..5).prop_flat_map(|width| prop::collection::vec(prop::collection::vec(field(), width), 1..40)),
        crlf: bool,
        cut_last_line_end: bool,
        block in 1u64..200,
    ) {
        let terminator = if crlf { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(b'\n') };
        let mut writer = ::csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        let header: Vec<_> = (0..records[0].len()).map(|column| format!("c{column}")).collect();
        writer.write_record(&header).unwrap();
        records.iter().for_each(|record| writer.write_record(record).unwrap());
        let mut content = writer.into_inner().unwrap();
        if cut_last_line_end {
            content.truncate(content.len() - if crlf { 2 } else { 1 });
        }
        let fixture = scan(&content, &without_nulls(), block);
        let (rows, rejected) = fixture.read();
        prop_assert!(rejected.is_empty(), "{:?}", rejected);

        let mut reader = ::csv::Reader::from_reader(&content[..]);
        let expected: Vec<Record> = reader
            .records()
            .map(|record| {
                let record = record.unwrap();
                (record.position().unwrap().line(), record.iter().map(str::to_owned).collect())
            })
            .collect();
        let values = |rows: &[Record]| rows.iter().map(|(_, values)| values.clone()).collect::<Vec<_>>();
        prop_assert_eq!(values(&rows), values(&expected));
        prop_assert_eq!(values(&rows).len(), records.len());
        if !crlf {
            prop_assert_eq!(rows, expected);
        }
    }

    #[test]
    fn where_blocks_end_changes_nothing(
        body in "[a1,\"\n\r]{0,300}",
        block in 1u64..64,
    ) {
        let content = format!("x,y\n{body}");
        let whole = scan(content.as_bytes(), &without_nulls(), 1 << 20);
        let blocks = scan(content.as_bytes(), &without_nulls(), block);
        prop_assert_eq!(whole.read(), blocks.read());
        prop_assert_eq!(whole.types(), blocks.types());
    }

    #[test]
    fn every_line_lands_or_is_rejected(body in "[a1,\"\n]{0,200}") {
        let content = format!("x,y\n{body}");
        let (rows, rejected) = scan(content.as_bytes(), &without_nulls(), 16).read();
        let lines: std::collections::BTreeSet<u64> =
            rows.iter().map(|(line, _)| *line).chain(rejected.iter().map(|record| record.line)).collect();
        prop_assert_eq!(lines.len(), rows.len() + rejected.len());
        let raw: usize = rejected.iter().map(|record| record.record.len()).sum();
        let values: usize = rows.iter().flat_map(|(_, values)| values).map(String::len).sum();
        // Beside values and rejected records there are only delimiters, quotes and line ends.
        let letters = body.chars().filter(|c| matches!(c, 'a' | '1')).count();
        prop_assert!(raw + values >= letters);
    }
}

#[test]
fn types_are_those_of_the_whole_file() {
    let mut content = String::from("code,amount,at,flag,empty\n");
    for row in 0..10_000 {
        content.push_str(&format!("{row},{row}.5,2024-01-01,true,\n"));
    }
    content.push_str("85123A,0.125,2024-01-01 10:00:00,false,\n");
    let fixture = scan(content.as_bytes(), &CsvOptions::default(), 4096);
    let time = crate::values::evidence::timestamp();
    let expected = [
        DataType::Utf8,
        DataType::Decimal128(18, 3),
        time,
        DataType::Boolean,
        DataType::Utf8,
    ];
    assert_eq!(fixture.types(), expected);
    assert!(fixture.scanned.pieces.len() > 10);
}

#[test]
fn one_broken_record_costs_one_line() {
    let content = b"a,b\n1,2\n3\n4,5,6\n\"open,7\n8,9\n\"x\"y,1\n10,\xff\n11,12\n";
    let (rows, rejected) = scan(content, &CsvOptions::default(), 8).read();
    let lines: Vec<_> = rows.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 6, 9]);
    let rejected: Vec<_> = rejected
        .into_iter()
        .map(|record| (record.line, record.reason, record.record))
        .collect();
    let expected = [
        (3, "1 fields instead of 2", "3"),
        (4, "3 fields instead of 2", "4,5,6"),
        (5, "its quotes do not match", "\"open,7"),
        (7, "its quotes do not match", "\"x\"y,1"),
        (8, "bytes that are not of the file's encoding", "10,\u{fffd}"),
    ];
    assert_eq!(
        rejected,
        expected.map(|(line, reason, record)| (line, reason.to_owned(), record.to_owned()))
    );
}

#[test]
fn a_quote_that_is_never_closed_costs_one_line() {
    let content = b"a,b\n1,2\n\"never,3\n4,5\n";
    let (rows, rejected) = scan(content, &CsvOptions::default(), 1 << 20).read();
    assert_eq!(rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(rejected[0].reason, "its quotes do not match");
}

#[test]
fn dialects_are_followed() {
    let options = CsvOptions {
        nulls: vec!["NULL".into()],
        header: false,
        quote: String::new(),
        ..CsvOptions::default()
    };
    let fixture = scan(b"\"a,NULL\nb,\n\n", &options, 4);
    assert_eq!(fixture.scanned.plan.names, ["column_1", "column_2"]);
    let (rows, rejected) = fixture.read();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].1[0], "\"a");
    assert!(rejected.is_empty());
}

#[test]
fn an_empty_file_has_no_columns_and_a_header_alone_no_rows() {
    assert!(scan(b"", &CsvOptions::default(), 8).scanned.plan.names.is_empty());
    let fixture = scan(b"a,,c", &CsvOptions::default(), 8);
    assert_eq!(fixture.scanned.plan.names, ["a", "column_2", "c"]);
    assert!(fixture.read().0.is_empty());
}
