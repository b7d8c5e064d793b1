//! Any rows, in any format, split over any loads in any order: the table is the same, every row is in it, and no value is
//! another than in the source.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, NullArray, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate};
use flate2::Crc;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use proptest::sample::select;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::Project;

/// JSON values that may come in one column, so that whatever of them has landed can be written as it was: the second
/// group has numbers of one rule, the third times of one form, and so on.
const COLUMNS: [&[&str]; 10] = [
    &["null", "1", "-20", "2.5", "12345678901"],
    &["null", "1", "2.5", "\"x\"", "true"],
    &["null", "\"2024-01-01\"", "\"2024-01-02T10:00:00Z\""],
    &["null", "\"2024-01-02T10:00:00.250Z\"", "\"n/a\"", "[]"],
    &[
        "null",
        "{}",
        "{\"a\":1}",
        "{\"a\":2.5,\"b\":\"x\"}",
        "{\"a\":3,\"b\":\"y\",\"cC\":[{\"d\":1}]}",
    ],
    &[
        "{}",
        "{\"a\":1}",
        "{\"a\":2,\"b\":{\"c\":\"\\u00e9 \\\"\"}}",
        "{\"a\":3,\"b\":{\"c\":\"x\",\"d\":null}}",
        "{\"a\":null,\"e\":1}",
        "\"text\"",
        "7",
    ],
    &[
        "null",
        "[]",
        "[null]",
        "[[]]",
        "[[1]]",
        "[[2.5],[]]",
        "[{\"a\":1}]",
        "[{\"a\":2,\"b\":[{\"c\":true}]}]",
    ],
    &["1", "1.5e-3", "2.5"],
    &[
        "null",
        "{\"a\":1}",
        "{\"a\":\"x\"}",
        "{\"a\":2.5,\"b\":\"1\"}",
        "{\"b\":3,\"a\":-20}",
        "{\"a\":true}",
    ],
    &["[]", "[1]", "[\"x\",2]", "[2.5,null]", "[\"1\"]"],
];

/// What has landed: the types of the columns, and their values by `id`, as text and as JSON by column.
#[derive(Debug, PartialEq)]
struct Landed {
    types: BTreeMap<String, String>,
    rows: BTreeMap<String, Vec<String>>,
    json: BTreeMap<String, BTreeMap<usize, Value>>,
}

/// The fields of records in the order of their names, for which comes first is what an order of loads may decide.
fn named(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| (field.name(), named(field.data_type())))
                .collect::<BTreeMap<_, _>>();
            format!("{fields:?}")
        }
        DataType::List(item) => format!("[{}]", named(item.data_type())),
        other => other.to_string(),
    }
}

/// What a column holds, with the fields of records by name: their order is that of arrival.
fn values(column: &str, data_type: &DataType) -> Vec<String> {
    let DataType::Struct(fields) = data_type else {
        return vec![column.to_owned()];
    };
    let fields: BTreeMap<_, _> = fields.iter().map(|field| (field.name(), field.data_type())).collect();
    let within = fields
        .into_iter()
        .flat_map(|(name, of)| values(&format!("{column}['{name}']"), of));
    std::iter::once(format!("{column} is null")).chain(within).collect()
}

/// Lands files, some at a time.
async fn land(format: &str, disposition: &str, loads: &[Vec<(String, Vec<u8>)>], columns: usize) -> Landed {
    let streams = format!("{{t: {{path: 'in/*.{format}', key: [id], disposition: {disposition}}}}}");
    let project = Project::new(&streams).await;
    for load in loads {
        for (name, content) in load {
            project.write(&format!("in/{name}.{format}"), content);
        }
        project.ingest().await;
    }
    let table = "raw_shop.t".parse().unwrap();
    let version = project.lake.latest_version(&table).await.unwrap().unwrap();
    let path = project.lake.path_of(&table);
    let snapshot = project.lake.snapshot(&path, version).await.unwrap();
    let mut landed = Landed {
        types: BTreeMap::new(),
        rows: BTreeMap::new(),
        json: BTreeMap::new(),
    };
    for row in project.sql("select id from raw_shop.t").await {
        landed.json.entry(row).or_default();
    }
    let is_there = |name: &str| snapshot.schema().field_with_name(name).is_ok();
    for (number, column) in (0..columns)
        .map(|column| (column, format!("c{column}")))
        .filter(|(_, name)| is_there(name))
    {
        let data_type = snapshot.schema().field_with_name(&column).unwrap().data_type().clone();
        landed.types.insert(column.clone(), named(&data_type));
        let values = values(&column, &data_type).join(", ");
        for row in project.sql(&format!("select id, {values} from raw_shop.t")).await {
            let (id, value) = row.split_once('|').unwrap();
            landed.rows.entry(id.to_owned()).or_default().push(value.to_owned());
        }
        for row in project
            .sql(&format!("select id, to_json({column}) from raw_shop.t"))
            .await
        {
            let (id, value) = row.split_once('|').unwrap();
            let value = serde_json::from_str(value).unwrap();
            let twice = landed.json.get_mut(id).unwrap().insert(number, value);
            assert!(twice.is_none(), "{id} is there twice");
        }
    }
    assert!(project.sql("select 1 from ops.rejected_rows").await.is_empty());
    landed
}

/// The same files in one load, in loads of their own in this and in the reverse order, and as `seed` has it. Gives what
/// landed.
fn is_the_same_in_any_order(format: &str, disposition: &str, files: Vec<Vec<u8>>, columns: usize, seed: u64) -> Landed {
    let files: Vec<(String, Vec<u8>)> = files
        .into_iter()
        .enumerate()
        .map(|(number, content)| (format!("f{number}"), content))
        .collect();
    let one_by_one: Vec<_> = files.iter().map(|file| vec![file.clone()]).collect();
    let reversed: Vec<_> = one_by_one.iter().rev().cloned().collect();
    let any = arranged(files.clone(), seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let at_once = land(format, disposition, &[files], columns).await;
        for loads in [one_by_one, reversed, any] {
            assert_eq!(land(format, disposition, &loads, columns).await, at_once);
        }
        at_once
    })
}

/// The files in some order, some of them in one load.
fn arranged<T>(mut files: Vec<T>, seed: u64) -> Vec<Vec<T>> {
    let mut random = StdRng::seed_from_u64(seed);
    files.shuffle(&mut random);
    let mut loads: Vec<Vec<T>> = Vec::new();
    for file in files {
        match loads.last_mut().filter(|_| random.random_bool(0.5)) {
            Some(load) => load.push(file),
            None => loads.push(vec![file]),
        }
    }
    loads
}

/// Every row has landed, with the values that it has in the source, of which null and none are the same.
fn is_unaltered(landed: &Landed, files: &[Vec<Vec<Value>>]) {
    let rows = files.iter().enumerate().flat_map(|(file, rows)| {
        rows.iter()
            .enumerate()
            .map(move |(row, values)| (file * 10 + row, values))
    });
    let mut count = 0;
    for (id, values) in rows {
        count += 1;
        let there = landed.json.get(&id.to_string());
        let there = there.unwrap_or_else(|| panic!("row {id} is lost: {landed:?}"));
        for (column, value) in values.iter().enumerate() {
            let is = there.get(&column).unwrap_or(&Value::Null);
            assert!(
                says_the_same(value, is),
                "column {column} of row {id} was {value}, and is {is}: {landed:?}"
            );
        }
    }
    assert_eq!(landed.json.len(), count, "{landed:?}");
}

/// Whether what has landed says what was in the source: fields in no order and with names of the lake, without nulls; a
/// value as text where others beside it made that of its column; numbers and times whatever their digits.
fn says_the_same(source: &Value, landed: &Value) -> bool {
    match (source, landed) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(source), Value::Bool(landed)) => source == landed,
        (Value::Number(source), Value::Number(landed)) => source.as_f64() == landed.as_f64(),
        (Value::String(source), Value::String(landed)) => source == landed || is_same_time(source, landed),
        (Value::Array(source), Value::Array(landed)) => {
            source.len() == landed.len()
                && source
                    .iter()
                    .zip(landed)
                    .all(|(source, landed)| says_the_same(source, landed))
        }
        (Value::Object(source), Value::Object(landed)) => {
            let source = source.iter().map(|(field, value)| (field.replace("cC", "c_c"), value));
            let source: BTreeMap<String, &Value> = source.collect();
            source.keys().chain(landed.keys()).all(|field| {
                let before = source.get(field).copied().unwrap_or(&Value::Null);
                says_the_same(before, landed.get(field).unwrap_or(&Value::Null))
            })
        }
        (Value::String(_) | Value::Null, _) => false,
        (source, Value::String(text)) => {
            let parsed: Result<Value, _> = serde_json::from_str(text);
            parsed.is_ok_and(|parsed| !parsed.is_string() && is_same_text(source, &parsed))
        }
        _ => false,
    }
}

/// Whether a JSON text says what was in the source, under the names that it has there.
fn is_same_text(source: &Value, text: &Value) -> bool {
    match (source, text) {
        (Value::Object(source), Value::Object(text)) => source.keys().chain(text.keys()).all(|field| {
            let of = |object: &serde_json::Map<String, Value>| object.get(field).cloned().unwrap_or_default();
            is_same_text(&of(source), &of(text))
        }),
        (Value::Array(source), Value::Array(text)) => {
            source.len() == text.len() && source.iter().zip(text).all(|(source, text)| is_same_text(source, text))
        }
        (source, text) => source == text,
    }
}

fn is_same_time(source: &str, landed: &str) -> bool {
    let time = |text: &str| {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d");
        let day = day.ok().and_then(|day| Some(day.and_hms_opt(0, 0, 0)?.and_utc()));
        day.or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
    };
    time(source).is_some_and(|source| time(landed) == Some(source))
}

/// A value, or none, for each column of each row of each file.
fn files() -> impl Strategy<Value = Vec<Vec<Vec<Option<&'static str>>>>> {
    let value = |column: usize| proptest::option::weighted(0.8, select(COLUMNS[column]));
    let row = (0..COLUMNS.len()).map(value).collect::<Vec<_>>();
    prop::collection::vec(prop::collection::vec(row, 1..3), 2..5)
}

/// The rows of a file as JSON, whose spaces must not matter.
fn json(file: usize, rows: &[Vec<Option<&str>>]) -> Vec<String> {
    let rows = rows.iter().enumerate().map(|(row, values)| {
        let fields = values.iter().enumerate();
        let fields = fields.filter_map(|(column, value)| Some(format!(", \"c{column}\": {}", (*value)?)));
        let text = format!("{{\"id\": {}{}}}", file * 10 + row, fields.collect::<String>());
        text.replace(":{", ": {")
    });
    rows.collect()
}

/// The values of JSON, null where there is none.
fn sources(files: &[Vec<Vec<Option<&str>>>]) -> Vec<Vec<Vec<Value>>> {
    let value = |value: &Option<&str>| value.map_or(Value::Null, |value| serde_json::from_str(value).unwrap());
    let row = |values: &Vec<Option<&str>>| values.iter().map(value).collect();
    files.iter().map(|rows| rows.iter().map(row).collect()).collect()
}

proptest! {
    #![proptest_config(super::cases(12))]

    #[test]
    fn json_lands_the_same_in_any_order(
        files in files(),
        format in select(vec!["ndjson", "json"]),
        disposition in select(vec!["append", "merge", "insert-only", "scd2"]),
        seed: u64,
    ) {
        let sources = sources(&files);
        let files = files.iter().enumerate().map(|(file, rows)| match format {
            "json" => format!("[{}]", json(file, rows).join(",\n")).into_bytes(),
            _ => json(file, rows).join("\n").into_bytes(),
        });
        let landed = is_the_same_in_any_order(format, disposition, files.collect(), COLUMNS.len(), seed);
        is_unaltered(&landed, &sources);
    }

    #[test]
    fn csv_lands_the_same_in_any_order(
        files in files(),
        disposition in select(vec!["append", "merge", "scd2"]),
        seed: u64,
    ) {
        let field = |value: Option<&str>| {
            let value = value.filter(|value| *value != "null").unwrap_or_default();
            value.trim_matches('"').to_owned()
        };
        let texts = files.iter().enumerate().map(|(file, rows)| {
            let mut text = "id,c0,c1,c2,c3\n".to_owned();
            for (row, values) in rows.iter().enumerate() {
                text.push_str(&(file * 10 + row).to_string());
                for value in &values[..4] {
                    text.push_str(&format!(",{}", field(*value)));
                }
                text.push('\n');
            }
            text.into_bytes()
        });
        let landed = is_the_same_in_any_order("csv", disposition, texts.collect(), 4, seed);
        // A field is what it would be in JSON, if that is no text in quotes.
        let value = |value: &Option<&str>| match field(*value) {
            text if text.is_empty() => Value::Null,
            text => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        };
        let row = |values: &Vec<Option<&str>>| values[..4].iter().map(value).collect();
        let sources: Vec<Vec<_>> = files.iter().map(|rows| rows.iter().map(row).collect()).collect();
        is_unaltered(&landed, &sources);
    }

    #[test]
    fn workbooks_land_the_same_in_any_order(
        files in files(),
        disposition in select(vec!["append", "merge", "scd2"]),
        seed: u64,
    ) {
        let sources: Vec<Vec<_>> = sources(&files)
            .into_iter()
            .map(|rows| rows.into_iter().map(|values| values[..3].to_vec()).collect())
            .collect();
        let workbooks = sources.iter().enumerate().map(|(file, rows)| workbook(file, rows));
        let landed = is_the_same_in_any_order("xlsx", disposition, workbooks.collect(), 3, seed);
        is_unaltered(&landed, &sources);
    }

    #[test]
    fn parquet_lands_the_same_in_any_order(
        kinds in prop::collection::vec(prop::collection::vec(0..7usize, 2), 2..5),
        disposition in select(vec!["append", "merge"]),
        seed: u64,
    ) {
        let files = kinds.iter().enumerate().map(|(file, kinds)| parquet(file, kinds));
        let landed = is_the_same_in_any_order("parquet", disposition, files.collect(), 2, seed);
        assert_eq!(landed.json.len(), 2 * kinds.len());
    }
}

/// A workbook of one sheet, with those values of JSON in its cells.
fn workbook(file: usize, rows: &[Vec<Value>]) -> Vec<u8> {
    let columns = rows.first().map_or(0, Vec::len);
    let header = (0..columns).map(|column| Value::String(format!("c{column}")));
    let header = std::iter::once(Value::from("id")).chain(header).collect();
    let with_id = rows.iter().enumerate().map(|(row, values)| {
        let id = std::iter::once(Value::from(file * 10 + row));
        id.chain(values.iter().cloned()).collect()
    });
    let all = std::iter::once(header).chain(with_id).enumerate();
    let mut sheet = String::new();
    for (row, values) in all.map(|(row, values): (usize, Vec<Value>)| (row + 1, values)) {
        let _ = write!(sheet, "<row r=\"{row}\">");
        for (column, value) in ('A'..='Z').zip(values) {
            let at = format!("r=\"{column}{row}\"");
            let _ = match value {
                Value::String(value) => write!(sheet, "<c {at} t=\"inlineStr\"><is><t>{value}</t></is></c>"),
                Value::Bool(value) => write!(sheet, "<c {at} t=\"b\"><v>{}</v></c>", u8::from(value)),
                Value::Number(value) => write!(sheet, "<c {at}><v>{value}</v></c>"),
                _ => Ok(()),
            };
        }
        sheet.push_str("</row>");
    }
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/package/2006/relationships";
    let types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let of = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let relation = |kind: &str, to: &str| {
        format!(
            "<Relationships xmlns=\"{relations}\"><Relationship Id=\"r\" Type=\"{types}/{kind}\" Target=\"{to}\"/></Relationships>"
        )
    };
    zip(&[
        (
            "[Content_Types].xml",
            format!(
                "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
                 <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
                 <Override PartName=\"/xl/workbook.xml\" ContentType=\"{of}.sheet.main+xml\"/>\
                 <Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"{of}.worksheet+xml\"/></Types>"
            ),
        ),
        ("_rels/.rels", relation("officeDocument", "xl/workbook.xml")),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{types}\"><sheets>\
                 <sheet name=\"S\" sheetId=\"1\" r:id=\"r\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            relation("worksheet", "worksheets/sheet1.xml"),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet xmlns=\"{main}\"><sheetData>{sheet}</sheetData></worksheet>"),
        ),
    ])
}

/// An archive of those files, stored as they are.
fn zip(files: &[(&str, String)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = Crc::new();
        crc.update(content.as_bytes());
        let (sum, length) = (crc.sum(), u32::try_from(content.len()).unwrap());
        let (named, at) = (
            u16::try_from(name.len()).unwrap(),
            u32::try_from(archive.len()).unwrap(),
        );
        // Version, flags, method, time and date; the sum, both lengths, the name's length, no extra field.
        let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        for number in [sum, length, length] {
            about.extend(number.to_le_bytes());
        }
        about.extend(named.to_le_bytes());
        about.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&about);
        archive.extend(name.as_bytes());
        archive.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&about);
        // No comment, on the first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, at) = (
        u16::try_from(files.len()).unwrap(),
        u32::try_from(archive.len()).unwrap(),
    );
    let length = u32::try_from(directory.len()).unwrap();
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(length.to_le_bytes());
    archive.extend(at.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

/// A file of two rows whose columns are of those kinds.
fn parquet(file: usize, kinds: &[usize]) -> Vec<u8> {
    let number = i64::try_from(file).unwrap();
    let record = |fields: Vec<(&str, ArrayRef)>| -> ArrayRef { Arc::new(StructArray::try_from(fields).unwrap()) };
    let texts = || -> ArrayRef { Arc::new(StringArray::from(vec![Some("x"), None])) };
    let ints = || -> ArrayRef { Arc::new(Int64Array::from(vec![None, Some(number)])) };
    let column = |kind: usize| -> ArrayRef {
        let decimals = Decimal128Array::from(vec![250, 1200]);
        match kind {
            0 => Arc::new(Int32Array::from(vec![7, -7])),
            1 => ints(),
            2 => Arc::new(decimals.with_precision_and_scale(10, 2).unwrap()),
            3 => texts(),
            4 => Arc::new(NullArray::new(2)),
            5 => record(vec![("a", ints())]),
            _ => record(vec![
                ("a", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
                ("b", texts()),
            ]),
        }
    };
    let id: ArrayRef = Arc::new(Int64Array::from(vec![number * 10, number * 10 + 1]));
    let columns = std::iter::once(id).chain(kinds.iter().map(|kind| column(*kind)));
    let columns: Vec<ArrayRef> = columns.collect();
    let names = ["id", "c0", "c1"].into_iter().zip(&columns);
    let fields = names.map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), None).unwrap();
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    writer.into_inner().unwrap()
}
