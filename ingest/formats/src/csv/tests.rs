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
    try_scan(content, options, block).unwrap()
}

fn try_scan(content: &[u8], options: &CsvOptions, block: u64) -> Result<Fixture> {
    let cancel = CancellationToken::new();
    let local = Local::holding(content, "x.csv").unwrap();
    let text = Plain::text(local, options.encoding, &cancel).unwrap();
    let csv = Csv::of(&text, options, Format::Csv, &chrono_tz::UTC.into()).unwrap();
    let plan = |names: Vec<String>| {
        Ok(TextPlan {
            originals: names.clone(),
            unnamed: 0,
            declared: vec![None; names.len()],
            names,
        })
    };
    let scanned = csv.scan_in_blocks(block, &text, plan, 3, &cancel)?;
    Ok(Fixture { csv, text, scanned })
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
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cut_last_line_end: bool,
        block in 1u64..200,
    ) {
        let crlf = line_end == "\r\n";
        let terminator = if crlf { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(line_end.as_bytes()[0]) };
        // What tells the line end is quoted in every row of a file that has it in its values.
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
        if line_end == "\n" {
            prop_assert_eq!(rows, expected);
        }
    }

    #[test]
    fn escapes_give_back_what_was_escaped(
        records in prop::collection::vec(prop::collection::vec("[a1,\"\\\\ñ\n]{0,6}", 2), 1..20),
        quoted: bool,
        block in 1u64..100,
    ) {
        let mut content = String::from("x,y\n");
        for record in &records {
            let fields = record.iter().map(|field| {
                let escaped: String = field
                    .chars()
                    .flat_map(|c| ['\\'].into_iter().filter(move |_| matches!(c, ',' | '"' | '\\' | '\n')).chain([c]))
                    .collect();
                if quoted { format!("\"{escaped}\"") } else { escaped }
            });
            content.push_str(&fields.collect::<Vec<_>>().join(","));
            content.push('\n');
        }
        let options = CsvOptions { escape: Some('\\'), ..without_nulls() };
        let (rows, rejected) = scan(content.as_bytes(), &options, block).read();
        prop_assert!(rejected.is_empty(), "{:?} of {:?}", rejected, content);
        prop_assert_eq!(rows.into_iter().map(|(_, values)| values).collect::<Vec<_>>(), records);
    }

    #[test]
    fn where_blocks_end_changes_nothing(
        header in prop::sample::select(vec!["x,y\n", "x,y,\r\n", "sep=,\nx,y\n"]),
        body in "[a1,\"\n\r\\\\\u{feff}]{0,300}",
        escape in prop::option::of(Just('\\')),
        returns: bool,
        block in 1u64..64,
    ) {
        let content = format!("{header}{body}");
        let content = if returns { content.replace('\n', "\r") } else { content };
        let options = CsvOptions { escape, max_record: cordada_core::units::Size(50), ..without_nulls() };
        let whole = try_scan(content.as_bytes(), &options, 1 << 20);
        let blocks = try_scan(content.as_bytes(), &options, block);
        match (whole, blocks) {
            (Ok(whole), Ok(blocks)) => {
                prop_assert_eq!(whole.read(), blocks.read());
                prop_assert_eq!(whole.types(), blocks.types());
            }
            // The lines of the file end otherwise than that of its header.
            (whole, blocks) => {
                let said = |scanned: Result<Fixture>| scanned.err().map(|error| error.to_string());
                prop_assert_eq!(said(whole), said(blocks));
            }
        }
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
        // No value says what it is.
        DataType::Null,
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

/// The values of all rows, with `|` between them.
fn rows(content: &[u8], options: &CsvOptions) -> Vec<String> {
    let mut rows = Vec::new();
    for block in [1 << 20, 7, 1] {
        let (read, rejected) = scan(content, options, block).read();
        assert!(rejected.is_empty(), "{rejected:?}");
        rows = read.into_iter().map(|(_, values)| values.join("|")).collect();
    }
    rows
}

#[test]
fn lines_end_in_many_ways() {
    for content in [
        "a,b\r1,x\r2,\"y\nz\"\r",
        "a,b\r1,x\r2,\"y\nz\"",
        "a,b\r1,x\r2,\"y\nz\"\n",
        "a,b\r\r1,x\r2,\"y\nz\"\r\n",
        "a,b\r\n1,x\r\n2,\"y\nz\"\r\n",
        "a,b\r\r\n1,x\r\r\n2,\"y\nz\"\r\r\n",
        "\u{feff}a,b\n1,x\n\u{feff}2,\"y\nz\"\n",
        "a,b\n1,x\n\u{feff}\"2\",\"y\nz\"",
    ] {
        assert_eq!(
            rows(content.as_bytes(), &without_nulls()),
            ["1|x", "2|y\nz"],
            "{content:?}"
        );
    }
    let numbers = scan(b"a,b\r1,2\r3,4\r", &CsvOptions::default(), 3);
    assert_eq!(numbers.types(), [DataType::Int64, DataType::Int64]);
    let (rows, rejected) = scan(b"a,b\n1,2\r3,4\n5,6\n", &CsvOptions::default(), 3).read();
    assert_eq!((rows.len(), rejected.len()), (1, 1));
    assert!(rejected[0].reason.contains("carriage return"), "{}", rejected[0].reason);
}

#[test]
fn fields_beyond_the_last_column_may_be_empty() {
    let plain = without_nulls();
    assert_eq!(rows(b"a,b\n1,2,\n3,4,,\"\"\n5,6\n", &plain), ["1|2", "3|4", "5|6"]);
    assert_eq!(rows(b"a\n1,\n2,\n", &plain), ["1", "2"]);
    // A header that has one more, and rows that do not.
    assert_eq!(rows(b"a,b,\n1,2\n3,4,5\n", &plain), ["1|2|", "3|4|5"]);
    let (rows, rejected) = scan(b"a,b\n1,2,3\n4\n", &plain, 64).read();
    assert_eq!((rows.len(), rejected.len()), (0, 2));
}

#[test]
fn the_table_may_begin_further_down() {
    let below = b"Account: \"x, shared\n\n;Report\nid;name\n1;a\n";
    let options = |header_row, skip, header| CsvOptions {
        delimiter: Some(';'),
        header_row,
        skip,
        header,
        ..without_nulls()
    };
    for (options, names) in [
        (options(Some(4), 0, true), ["id", "name"]),
        (options(None, 3, true), ["id", "name"]),
        (options(None, 4, false), ["column_1", "column_2"]),
    ] {
        let fixture = scan(below, &options, 64);
        assert_eq!(fixture.scanned.plan.names, names);
        assert_eq!(fixture.read().0, [(5, vec!["1".to_owned(), "a".to_owned()])]);
    }
    let fixture = scan(b"sep=;\r\n\r\nid;name\r\n1;a,b\r\n", &without_nulls(), 64);
    assert_eq!(fixture.read().0, [(4, vec!["1".to_owned(), "a,b".to_owned()])]);
    let text = Plain::text(
        Local::holding(b"id\n1\n", "x.csv").unwrap(),
        encoding_rs::UTF_8,
        &CancellationToken::new(),
    );
    let beyond = Csv::of(
        &text.unwrap(),
        &options(Some(9), 0, true),
        Format::Csv,
        &chrono_tz::UTC.into(),
    );
    assert!(beyond.unwrap_err().to_string().contains("header_row"));
}

#[test]
fn escapes_take_the_meaning_of_what_follows() {
    let options = CsvOptions {
        escape: Some('\\'),
        nulls: vec!["\\N".into()],
        ..CsvOptions::default()
    };
    let fixture = scan(b"a,b\n\"x\\\"y\",1\\,2\n\"\\\\\",\\N\n\"d\"\"q\",\n", &options, 4);
    assert!(fixture.read().1.is_empty());
    let types = [DataType::Utf8, DataType::Utf8];
    let piece = &fixture.scanned.pieces[0];
    let first = fixture
        .csv
        .decode(&fixture.text, piece, &fixture.scanned.plan, &types)
        .unwrap();
    assert_eq!(first.columns[0].as_string::<i32>().value(0), "x\"y");
    assert_eq!(first.columns[1].as_string::<i32>().value(0), "1,2");
    let all = scan(b"a,b\n\\\\,\\N\n", &options, 1 << 20);
    let decoded = all
        .csv
        .decode(&all.text, &all.scanned.pieces[0], &all.scanned.plan, &types)
        .unwrap();
    assert_eq!(decoded.columns[0].as_string::<i32>().value(0), "\\");
    assert!(arrow::array::Array::is_null(&decoded.columns[1], 0));
}

#[test]
fn a_record_may_be_as_long_as_is_said() {
    let content = format!("a,b\n1,\"{}\"\n2,x\n", "y\n".repeat(40));
    let longest = |bytes| CsvOptions {
        max_record: cordada_core::units::Size(bytes),
        ..without_nulls()
    };
    for block in [1 << 20, 16, 1] {
        let (rows, rejected) = scan(content.as_bytes(), &longest(100), block).read();
        assert_eq!((rows.len(), rejected.len()), (2, 0));
        let (rows, rejected) = scan(content.as_bytes(), &longest(50), block).read();
        assert_eq!(rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [43]);
        assert_eq!(rejected[0].reason, "its quotes do not match");
    }
}

#[test]
fn a_file_that_is_written_otherwise_says_so() {
    let read = |content: &[u8], options: &CsvOptions| {
        let cancel = CancellationToken::new();
        let text = Plain::text(Local::holding(content, "x.csv").unwrap(), options.encoding, &cancel).unwrap();
        let csv = Csv::of(&text, options, Format::Csv, &chrono_tz::UTC.into()).unwrap();
        let plan = |names: Vec<String>| {
            Ok(TextPlan {
                originals: names.clone(),
                unnamed: 0,
                declared: vec![None; names.len()],
                names,
            })
        };
        csv.scan(&text, plan, 1, &cancel)
            .map(|scanned| scanned.plan.names.len())
    };
    for (content, hint) in [
        ("a;b\n1;2\n", "delimiter: \";\""),
        ("a;b\n1;2,5\n3;4,5\n", "delimiter: \";\""),
        ("a\tb\n1\t2\n", "delimiter: \"\\t\""),
        ("Report\n\na,b\n1,2\n3,4\n", "header_row: 3"),
        ("a,b\n1,2,3\n4,5,6\n7,8,9\n", "header: false, skip: 1"),
    ] {
        let error = read(content.as_bytes(), &CsvOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("x.csv") && error.contains(hint), "{error}");
    }
    // Whoever sets the delimiter has looked at it; one bad row, or one column of texts, is what it is.
    let told = CsvOptions {
        delimiter: Some(','),
        ..CsvOptions::default()
    };
    assert_eq!(read(b"a;b\n1;2\n", &told).unwrap(), 1);
    assert_eq!(read(b"a,b\n1\n", &CsvOptions::default()).unwrap(), 2);
    assert_eq!(read(b"note\na;b\nc\nd;e\n", &CsvOptions::default()).unwrap(), 1);
}

#[test]
fn only_columns_without_a_heading_may_be_missing() {
    let count = |content: &str| {
        let fixture = try_scan(content.as_bytes(), &CsvOptions::default(), 64).unwrap();
        let (rows, rejected) = fixture.read();
        (rows.len(), rejected.len())
    };
    assert_eq!(count("a,\n1\n2,3\n"), (2, 0));
    assert_eq!(count("a,column_2\n1\n2,3\n"), (1, 1));
}

#[test]
fn a_first_line_that_tells_no_delimiter_is_a_header() {
    for line in ["sep=\0", "sep=\"", "\"sep=\"\"", "sep=\r"] {
        let content = format!("{line}\n1\n");
        let _ = try_scan(content.as_bytes(), &CsvOptions::default(), 64);
    }
}
