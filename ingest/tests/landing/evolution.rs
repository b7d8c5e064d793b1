//! Columns that come, go and change: whatever the order in which rows arrive, and however they are split over loads, the
//! table is the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, NullArray, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use proptest::sample::select;

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

/// What has landed: the types of the columns, and their values by `id`.
#[derive(Debug, PartialEq)]
struct Landed {
    types: BTreeMap<String, String>,
    rows: BTreeMap<String, Vec<String>>,
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
    };
    let is_there = |name: &str| snapshot.schema().field_with_name(name).is_ok();
    for column in (0..columns)
        .map(|column| format!("c{column}"))
        .filter(|name| is_there(name))
    {
        let data_type = snapshot.schema().field_with_name(&column).unwrap().data_type().clone();
        landed.types.insert(column.clone(), named(&data_type));
        let values = values(&column, &data_type).join(", ");
        for row in project.sql(&format!("select id, {values} from raw_shop.t")).await {
            let (id, value) = row.split_once('|').unwrap();
            landed.rows.entry(id.to_owned()).or_default().push(value.to_owned());
        }
    }
    assert!(project.sql("select 1 from ops.rejected_rows").await.is_empty());
    landed
}

/// The same files in one load, and in loads of their own in this and in the reverse order.
fn is_the_same_in_any_order(format: &str, disposition: &str, files: Vec<Vec<u8>>, columns: usize) {
    let files: Vec<(String, Vec<u8>)> = files
        .into_iter()
        .enumerate()
        .map(|(number, content)| (format!("f{number}"), content))
        .collect();
    let one_by_one: Vec<_> = files.iter().map(|file| vec![file.clone()]).collect();
    let reversed: Vec<_> = one_by_one.iter().rev().cloned().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let at_once = land(format, disposition, &[files], columns).await;
        for loads in [one_by_one, reversed] {
            assert_eq!(land(format, disposition, &loads, columns).await, at_once);
        }
    });
}

/// A value, or none, for each column of each row of each file.
fn files() -> impl Strategy<Value = Vec<Vec<Vec<Option<&'static str>>>>> {
    let value = |column: usize| proptest::option::weighted(0.8, select(COLUMNS[column]));
    let row = (0..COLUMNS.len()).map(value).collect::<Vec<_>>();
    prop::collection::vec(prop::collection::vec(row, 1..3), 2..4)
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn json_lands_the_same_in_any_order(
        files in files(),
        format in select(vec!["ndjson", "json"]),
        disposition in select(vec!["append", "merge", "insert-only", "scd2"]),
    ) {
        let files = files.iter().enumerate().map(|(file, rows)| match format {
            "json" => format!("[{}]", json(file, rows).join(",\n")).into_bytes(),
            _ => json(file, rows).join("\n").into_bytes(),
        });
        is_the_same_in_any_order(format, disposition, files.collect(), COLUMNS.len());
    }

    #[test]
    fn csv_lands_the_same_in_any_order(files in files(), disposition in select(vec!["append", "merge", "scd2"])) {
        let files = files.iter().enumerate().map(|(file, rows)| {
            let mut text = "id,c0,c1,c2,c3\n".to_owned();
            for (row, values) in rows.iter().enumerate() {
                text.push_str(&(file * 10 + row).to_string());
                for value in &values[..4] {
                    let value = value.filter(|value| *value != "null").unwrap_or_default();
                    text.push_str(&format!(",{}", value.trim_matches('"')));
                }
                text.push('\n');
            }
            text.into_bytes()
        });
        is_the_same_in_any_order("csv", disposition, files.collect(), 4);
    }

    #[test]
    fn parquet_lands_the_same_in_any_order(
        kinds in prop::collection::vec(prop::collection::vec(0..7usize, 2), 2..4),
        disposition in select(vec!["append", "merge"]),
    ) {
        let files = kinds.iter().enumerate().map(|(file, kinds)| parquet(file, kinds));
        is_the_same_in_any_order("parquet", disposition, files.collect(), 2);
    }
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

#[tokio::test]
async fn a_field_more_lands_beside_the_old_rows_and_in_the_child_table() {
    let project =
        Project::new("{t: {path: 'in/*.ndjson', key: [id], disposition: merge, unnest: {items: null}}}").await;
    for (load, text) in [
        "{\"id\":1,\"items\":null}",
        "{\"id\":2,\"items\":[]}",
        "{\"id\":3,\"items\":[{\"sku\":\"a\"}]}",
        "{\"id\":4,\"items\":[{\"sku\":\"b\",\"price\":1.5,\"tags\":{\"x\":1}}]}\n{\"id\":3,\"items\":[{\"sku\":\"c\"}]}",
    ]
    .into_iter()
    .enumerate()
    {
        project.write(&format!("in/{load}.ndjson"), text);
        project.ingest().await;
    }
    let items = "select _parent_id, sku, price, tags['x'] from raw_shop.t__items order by 1";
    assert_eq!(project.sql(items).await, ["3|c|null|null", "4|b|1.5|1"]);
}

#[tokio::test]
async fn what_has_no_value_yet_is_text_to_readers_and_in_no_file() {
    let project = Project::new("{t: {path: 'in/*.csv'}}").await;
    project.write("in/1.csv", "id,v\n1,\n");
    project.ingest().await;
    assert_eq!(project.columns("raw_shop.t").await, ["id Int64", "v Utf8"]);
    assert_eq!(
        project.sql("select id, v from raw_shop.t where v is null").await,
        ["1|null"]
    );
    project.write("in/2.csv", "id,v\n2,12.50\n");
    project.ingest().await;
    assert_eq!(project.columns("raw_shop.t").await, ["id Int64", "v Decimal128(18, 2)"]);
    // The file of the first load is the one that it wrote.
    let files = "select count(distinct _load_id) from raw_shop.t";
    assert_eq!(project.sql(files).await, ["2"]);
    let table = "raw_shop.t".parse().unwrap();
    let version = project.lake.latest_version(&table).await.unwrap().unwrap();
    let snapshot = project
        .lake
        .snapshot(&project.lake.path_of(&table), version)
        .await
        .unwrap();
    assert_eq!(snapshot.files().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_becomes_text_is_written_as_it_was() {
    let streams = "{t: {path: 'in/*.csv'}, j: {path: 'in/*.ndjson'}}";
    let project = Project::new(streams).await;
    project.configure(&format!("kind: files\ntimezone: Europe/Madrid\nstreams: {streams}\n"));
    project.write("in/1.csv", "id,price,at,flag\n1,1.10,2024-07-01 10:00:00,TRUE\n");
    project.write("in/1.ndjson", "{\"id\":1,\"c\":{\"zipCode\": \"é\", \"n\": 1.10}}\n");
    project.ingest().await;
    project.write("in/2.csv", "id,price,at,flag\n2,n/a,n/a,n/a\n");
    project.write("in/2.ndjson", "{\"id\":2,\"c\":\"x\"}\n");
    project.ingest().await;
    let rows = project
        .sql("select id, price, at, flag from raw_shop.t order by id")
        .await;
    assert_eq!(rows, ["1|1.10|2024-07-01 10:00:00|TRUE", "2|n/a|n/a|n/a"]);
    let rows = project.sql("select id, c from raw_shop.j order by id").await;
    assert_eq!(rows, ["1|{\"n\":1.10,\"zipCode\":\"é\"}", "2|x"]);
}

/// Values, and others of which one makes their column another type.
const WIDENED: [(&str, &[&str], &[&str]); 4] = [
    (
        "csv",
        &["7", "1.10", "12345678901"],
        &["x", "2.5", "123456789012345678901234567890", "1e-3"],
    ),
    (
        "csv",
        &["true", "TRUE", "2024-01-01", "2024-01-01 10:00:00"],
        &["x", "2024-01-02T10:00:00.5Z"],
    ),
    (
        "ndjson",
        &["7", "1.5", "\"a\"", "true", "\"2024-01-01\""],
        &["\"x\"", "2.25", "{\"a\":1}", "[1]"],
    ),
    (
        "ndjson",
        &[
            "{\"a\":1}",
            "{\"b\":1.50,\"a\":[1,2]}",
            "[1]",
            "[{\"a\":1}]",
            "[]",
            "{}",
        ],
        &[
            "\"x\"",
            "{\"a\":2.5}",
            "{\"c\":1}",
            "[2.5]",
            "[\"x\"]",
            "[{\"a\":1,\"b\":2}]",
            "7",
        ],
    ),
];

/// Rows, each of an id and values, as a file.
fn file(format: &str, rows: &[(&str, Vec<&str>)]) -> String {
    let columns = rows.first().map_or(0, |(_, values)| values.len());
    let mut text = match format {
        "csv" => format!("id{}\n", (0..columns).map(|at| format!(",v{at}")).collect::<String>()),
        _ => String::new(),
    };
    for (id, values) in rows {
        let values = values.iter().enumerate().map(|(at, value)| match format {
            "csv" => format!(",{value}"),
            _ => format!(",\"v{at}\":{value}"),
        });
        let values: String = values.collect();
        match format {
            "csv" => text.push_str(&format!("{id}{values}\n")),
            _ => text.push_str(&format!("{{\"id\":{id}{values}}}\n")),
        }
    }
    text
}

/// The ids of a history of rows with the first of each pair, which come again beside the second.
async fn versions(format: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let streams = format!("{{t: {{path: 'in/*.{format}', key: [id], disposition: scd2}}}}");
    let project = Project::new(&streams).await;
    let (values, others): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    project.write(&format!("in/1.{format}"), file(format, &[("1", values.clone())]));
    project.ingest().await;
    project.write(&format!("in/2.{format}"), file(format, &[("1", values), ("2", others)]));
    project.ingest().await;
    project.sql("select id from raw_shop.t order by id").await
}

#[tokio::test]
async fn a_row_that_comes_again_beside_another_type_is_no_new_version() {
    for (format, values, others) in WIDENED {
        let pairs = values
            .iter()
            .flat_map(|value| others.iter().map(move |other| (*value, *other)));
        let pairs: Vec<_> = pairs.collect();
        if versions(format, &pairs).await == ["1", "2"] {
            continue;
        }
        for pair in pairs {
            assert_eq!(versions(format, &[pair]).await, ["1", "2"], "{pair:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_comes_again_beside_another_type_is_the_same() {
    for (format, values, others) in &WIDENED[..3] {
        for value in *values {
            for other in others.iter().filter(|other| !other.starts_with(['{', '['])) {
                let streams = format!("{{t: {{path: 'in/*.{format}', key: [id], disposition: merge}}}}");
                let project = Project::new(&streams).await;
                project.write(&format!("in/1.{format}"), file(format, &[(value, vec!["1"])]));
                project.ingest().await;
                let rows = [(*value, vec!["2"]), (*other, vec!["3"])];
                project.write(&format!("in/2.{format}"), file(format, &rows));
                project.ingest().await;
                let rows = project.sql("select v0 from raw_shop.t order by v0").await;
                assert_eq!(rows, ["2", "3"], "{value} beside {other}");
            }
        }
    }
}

#[tokio::test]
async fn the_text_of_a_record_does_not_depend_on_what_came_first() {
    let lines = [
        "{\"id\":1,\"v\":{\"a\":1,\"b\":null}}\n",
        "{\"id\":2,\"v\":{ \"c\":[{\"y\":1,\"x\":2}], \"b\":\"\\u00e9\",\"a\":2}}\n",
        "{\"id\":3,\"v\":\"x\"}\n",
    ];
    let expected = [
        "1|{\"a\":1}",
        "2|{\"a\":2,\"b\":\"é\",\"c\":[{\"x\":2,\"y\":1}]}",
        "3|x",
    ];
    let orders: [&[&[usize]]; 4] = [
        &[&[0, 1, 2]],
        &[&[0], &[1], &[2]],
        &[&[2], &[1], &[0]],
        &[&[1], &[0, 2]],
    ];
    for order in orders {
        let project = Project::new("{t: {path: 'in/*.ndjson'}}").await;
        for (load, rows) in order.iter().enumerate() {
            let text: String = rows.iter().map(|row| lines[*row]).collect();
            project.write(&format!("in/{load}.ndjson"), text);
            project.ingest().await;
        }
        let rows = project.sql("select id, v from raw_shop.t order by id").await;
        assert_eq!(rows, expected, "{order:?}");
    }
}
