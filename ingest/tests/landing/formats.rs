//! What each format becomes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;

use super::{Project, gzip, zstd};

const ORDERS: &str = "OrderID,Name,Amount\n1,\"Ana, B\",2.50\n2,,3\n";
const LINES: &str = "{\"OrderID\":1,\"Name\":\"Ana, B\",\"Amount\":2.50}\n{\"OrderID\":2,\"Name\":null,\"Amount\":3}\n";

fn parquet_orders() -> Vec<u8> {
    let array: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![Some("Ana, B"), None]));
    let ids: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 2]));
    let amounts = arrow::array::Decimal128Array::from(vec![250, 300])
        .with_precision_and_scale(18, 2)
        .unwrap();
    write_parquet(vec![("OrderID", ids), ("Name", array), ("Amount", Arc::new(amounts))])
}

/// A file whose columns carry field ids, as those of many writers do.
fn write_parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let fields: Vec<_> = columns
        .iter()
        .zip(1..)
        .map(|((name, array), id)| {
            let metadata = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
            Field::new(*name, array.data_type().clone(), true).with_metadata(metadata)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn every_format_and_compression_lands_the_same_rows() {
    let tsv = ORDERS
        .replace("\"Ana, B\"", "Ana; B")
        .replace(',', "\t")
        .replace(';', ",");
    let array = format!(
        "[\n{},\n{}]",
        LINES.lines().next().unwrap(),
        LINES.lines().nth(1).unwrap()
    );
    let contents = [
        ("csv", ORDERS.as_bytes().to_vec()),
        ("tsv", tsv.into_bytes()),
        ("ndjson", LINES.as_bytes().to_vec()),
        ("json", array.into_bytes()),
        ("parquet", parquet_orders()),
    ];
    type Compress = fn(&[u8]) -> Vec<u8>;
    let compress: [(&str, Compress); 3] = [("", <[u8]>::to_vec), (".gz", gzip), (".zst", zstd)];
    for (format, content) in contents {
        for (suffix, compress) in compress {
            let project = Project::new(&format!("{{orders: {{path: 'orders.{format}{suffix}'}}}}")).await;
            let file = format!("orders.{format}{suffix}");
            project.write(&file, compress(&content));
            let report = project.ingest().await;
            assert_eq!((report.streams[0].rows, report.streams[0].rejected), (2, 0), "{file}");
            let rows = project
                .sql("select order_id, name, amount from raw_shop.orders order by 1")
                .await;
            assert_eq!(rows, ["1|Ana, B|2.50", "2|null|3.00"], "{file}");
            let expected = ["order_id Int64", "name Utf8", "amount Decimal128(18, 2)"];
            assert_eq!(project.columns("raw_shop.orders").await, expected, "{file}");
            let first = match format {
                "csv" | "tsv" | "json" => 2,
                _ => 1,
            };
            let origins = project
                .sql("select _origin from raw_shop.orders order by order_id")
                .await;
            assert_eq!(origins, [format!("{file}:{first}"), format!("{file}:{}", first + 1)]);
            let loads = project
                .sql("select distinct _load_id from raw_shop.orders where _loaded_at is not null")
                .await;
            assert_eq!(loads, [report.load_id]);
        }
    }
}

#[tokio::test]
async fn a_spanish_spreadsheet_lands_as_numbers_and_letters() {
    let project = Project::new(
        "{sales: {path: 'sales.csv', csv: {delimiter: ';', encoding: latin1, decimal: ',', nulls: ['', 'N/D']}}}",
    )
    .await;
    project.write(
        "sales.csv",
        b"A\xf1o;Regi\xf3n;Importe\r\n2024;Le\xf3n;1234,50\r\n2025;N/D;-0,05\r\n",
    );
    project.ingest().await;
    let rows = project
        .sql("select ano, region, importe from raw_shop.sales order by ano")
        .await;
    assert_eq!(rows, ["2024|León|1234.50", "2025|null|-0.05"]);
    let release = project.lake.releases().newest().await.unwrap();
    let relation = release.relation(&"raw_shop.sales".parse().unwrap()).unwrap();
    let docs = project.lake.docs(&relation.docs).await.unwrap();
    assert_eq!(
        docs.columns["region"].description.as_deref(),
        Some("`Región` in the source")
    );
}

#[tokio::test]
async fn times_without_a_zone_are_read_in_the_sources() {
    let project = Project::new("{}").await;
    project.configure("kind: files\ntimezone: Europe/Madrid\nstreams: {visits: {path: 'visits.*'}}\n");
    project.write("visits.csv", "id,at\n1,2024-07-01 12:00:00\n2,2024-07-01T12:00:00Z\n");
    let local: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_719_835_200_000_000]));
    let ids: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![3]));
    project.write("visits.parquet", write_parquet(vec![("id", ids), ("at", local)]));
    project.ingest().await;
    let rows = project.sql("select id, at from raw_shop.visits order by id").await;
    assert_eq!(
        rows,
        [
            "1|2024-07-01T10:00:00Z",
            "2|2024-07-01T12:00:00Z",
            "3|2024-07-01T10:00:00Z"
        ]
    );
}

#[tokio::test]
async fn nested_json_lands_as_structs_and_lists() {
    let project = Project::new("{orders: {path: 'orders.ndjson'}}").await;
    project.write(
        "orders.ndjson",
        concat!(
            "{\"id\":1,\"price\":0.1,\"big\":12345678901234567890,\"lines\":[{\"skuCode\":\"A\",\"n\":1}],\"mixed\":1}\n",
            "{\"id\":2,\"price\":123456789.123456789,\"lines\":[],\"mixed\":{\"a\":[1, 2]},\"at\":\"2024-01-01T00:00:00Z\"}\n",
            "not json\n",
            "[1]\n",
            "{\"id\":3,\"lines\":[{\"skuCode\":\"B\\u00e9\",\"n\":2.5},{}]}\n",
        ),
    );
    let report = project.ingest().await;
    assert_eq!((report.streams[0].rows, report.streams[0].rejected), (3, 2));
    let rows = project
        .sql("select id, price, big, mixed, at from raw_shop.orders order by id")
        .await;
    let expected = [
        "1|0.100000000|12345678901234567890|1|null",
        "2|123456789.123456789|null|{\"a\":[1,2]}|2024-01-01T00:00:00Z",
        "3|null|null|null|null",
    ];
    assert_eq!(rows, expected);
    let lines = project
        .sql("select id, l['sku_code'], l['n'] from (select id, unnest(lines) as l from raw_shop.orders) order by 1, 3")
        .await;
    assert_eq!(lines, ["1|A|1.0", "3|Bé|2.5", "3|null|null"]);
    let rejected = project
        .sql("select line, reason, record, stream, file from ops.rejected_rows order by line")
        .await;
    assert_eq!(
        rejected,
        [
            "3|not a JSON value|not json|orders|orders.ndjson",
            "4|the record is not an object|[1]|orders|orders.ndjson"
        ]
    );
}

#[tokio::test]
async fn parquet_types_that_delta_lacks_are_converted() {
    let project = Project::new("{t: {path: 't.parquet'}}").await;
    let words: DictionaryArray<Int32Type> = vec![Some("x"), None].into_iter().collect();
    project.write(
        "t.parquet",
        write_parquet(vec![
            ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            (
                "nanos",
                Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_000]).with_timezone("UTC")),
            ),
            ("clock", Arc::new(Time64MicrosecondArray::from(vec![3_600_000_000, 0]))),
            ("word", Arc::new(words)),
            ("small", Arc::new(Int32Array::from(vec![1, 2]))),
        ]),
    );
    project.ingest().await;
    let rows = project
        .sql("select u, nanos, clock, word, small from raw_shop.t order by small")
        .await;
    let expected = [
        "18446744073709551615|1970-01-01T00:00:00.000001Z|01:00:00|x|1",
        "0|1970-01-01T00:00:00.000002Z|00:00:00|null|2",
    ];
    assert_eq!(rows, expected);
    let log = std::fs::read_to_string(
        project
            .path()
            .join("lake/raw_shop/t/_delta_log/00000000000000000000.json"),
    )
    .unwrap();
    assert!(
        !log.contains("field_id") && !log.contains("field.id"),
        "foreign metadata reached the table: {log}"
    );
}

#[tokio::test]
async fn declared_types_are_kept_and_what_is_not_of_them_is_rejected() {
    let columns = "{zip: {type: text}, n: {type: integer}, amount: {type: 'decimal(10,2)'}, email: {pii: email}}";
    let project = Project::new(&format!("{{c: {{path: 'c.*', columns: {columns}}}}}")).await;
    project.write(
        "c.csv",
        "zip,n,amount,email\n28001,1,2.5,a@b\n08001,x,1,c@d\n08001,2,1.234,e@f\n",
    );
    project.write(
        "c.ndjson",
        "{\"zip\":8001,\"n\":\"3\",\"amount\":1}\n{\"zip\":1,\"n\":1.5}\n",
    );
    let report = project.ingest().await;
    assert_eq!((report.streams[0].rows, report.streams[0].rejected), (2, 3));
    let rows = project.sql("select zip, n, amount from raw_shop.c order by n").await;
    assert_eq!(rows, ["28001|1|2.50", "8001|3|1.00"]);
    let reasons = project
        .sql("select file, line, reason from ops.rejected_rows order by 1, 2")
        .await;
    let expected = [
        "c.csv|3|n is not of the declared type",
        "c.csv|4|amount is not of the declared type",
        "c.ndjson|2|n is not of the declared type",
    ];
    assert_eq!(reasons, expected);
    let release = project.lake.releases().newest().await.unwrap();
    let relation = release.relation(&"raw_shop.c".parse().unwrap()).unwrap();
    let docs = project.lake.docs(&relation.docs).await.unwrap();
    assert_eq!(docs.columns["email"].pii.as_deref(), Some("email"));
}

#[tokio::test]
async fn mistakes_are_named() {
    let cases = [
        ("{o: {path: 'no-*.csv'}}", "no-*.csv", 2),
        ("{o: {path: 'bad.dat'}}", "format", 2),
        (
            "{o: {path: 'good.csv', columns: {emial: {pii: email}}}}",
            "did you mean `email`",
            2,
        ),
        (
            "{o: {path: 'good.csv', key: [id], disposition: merge}}",
            "no column `id`",
            2,
        ),
        ("{o: {path: 'cut.csv.gz'}}", "cut.csv.gz", 1),
    ];
    for (streams, expected, code) in cases {
        let project = Project::new(streams).await;
        project.write("bad.dat", "x");
        project.write("good.csv", "email\na\n");
        project.write("cut.csv.gz", &gzip(&b"a,b\n1,2\n".repeat(1000))[..40]);
        let error = project.try_ingest(&[]).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.exit_code(), code, "{error}");
        let loads = project.sql("select status, rows from ops.loads").await;
        assert_eq!(loads, ["failed|0"]);
        assert_eq!(project.lake.releases().newest().await.unwrap().number, 0);
    }
    let project = Project::new("{orders: {path: 'x.csv'}}").await;
    let error = project.try_ingest(&["shop.order".parse().unwrap()]).await.unwrap_err();
    assert!(error.to_string().contains("did you mean `orders`"), "{error}");
    let error = project.try_ingest(&["erp".parse().unwrap()]).await.unwrap_err();
    assert!(error.to_string().contains("there are: shop"), "{error}");
}

#[tokio::test]
async fn a_column_may_have_a_zone_of_its_own() {
    let project = Project::new("{}").await;
    project.configure(
        "kind: files\ntimezone: Europe/Madrid\nstreams:\n  csv: {path: o.csv, columns: {at_gmt: {timezone: UTC}}}\n  \
         json: {path: o.ndjson, timezone: UTC, columns: {visit.at: {timezone: Asia/Tokyo}}}\n",
    );
    project.write("o.csv", "at,at_gmt\n2026-07-01 12:00:00,2026-07-01 10:00:00\n");
    project.write(
        "o.ndjson",
        "{\"at\":\"2026-07-01T10:00:00\",\"visit\":{\"at\":\"2026-07-01T19:00:00\",\"clicks\":[\"2026-07-01T10:00:00\"]}}\n",
    );
    project.ingest().await;
    let ten = "2026-07-01T10:00:00Z";
    assert_eq!(
        project.sql("select at, at_gmt from raw_shop.csv").await,
        [format!("{ten}|{ten}")]
    );
    let nested = project
        .sql("select at, visit['at'], visit['clicks'][1] from raw_shop.json")
        .await;
    assert_eq!(nested, [format!("{ten}|{ten}|{ten}")]);
}

#[tokio::test]
async fn codes_and_numbers_stay_as_they_are_written() {
    let project = Project::new(
        "{parts: {path: 'parts_*.csv'}, lab: {path: lab.csv}, told: {path: parts_1.csv, columns: {part: {type: double}}}}",
    )
    .await;
    project.write("parts_1.csv", "part,zip\n12E4,007\n120000,08001\n");
    project.write("lab.csv", "level,n\n1.5e-07,-0.5\n2.25,1e+03\n");
    project.ingest().await;
    project.write("parts_2.csv", "part,zip\n1e5,+34\nA7,0x10\n");
    project.ingest().await;
    assert_eq!(
        project.sql("select part, zip from raw_shop.parts order by part").await,
        ["120000|08001", "12E4|007", "1e5|+34", "A7|0x10"]
    );
    assert_eq!(project.columns("raw_shop.lab").await, ["level Float64", "n Float64"]);
    assert_eq!(
        project.sql("select part from raw_shop.told order by zip").await,
        ["120000.0", "120000.0"]
    );
}

#[tokio::test]
async fn a_file_of_another_dialect_lands_nothing_until_its_key_is_set() {
    let project = Project::new("{sales: {path: sales.csv}}").await;
    let utf16: Vec<u8> = "Report\r\n\r\nKunde;PLZ;Umsatz\r\nA;01067;1,50\r\nB;80331;-2,25\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    project.write("sales.csv", [&b"\xff\xfe"[..], &utf16].concat());
    let error = project.try_ingest(&[]).await.unwrap_err().to_string();
    assert!(error.contains("delimiter: \";\", header_row: 3"), "{error}");
    project.configure(
        "kind: files\nstreams: {sales: {path: sales.csv, csv: {delimiter: ';', decimal: ',', header_row: 3}}}\n",
    );
    project.ingest().await;
    assert_eq!(
        project
            .sql("select kunde, plz, umsatz, _origin from raw_shop.sales order by 1")
            .await,
        ["A|01067|1.50|sales.csv:4", "B|80331|-2.25|sales.csv:5"]
    );
}

#[tokio::test]
async fn headings_that_are_equal_or_missing_lose_no_column() {
    let project = Project::new("{t: {path: t.csv}}").await;
    project.write("t.csv", "Score,,Score,\r\r\n1,a,2\r\r\n3,b,4,,\r\r\n");
    project.ingest().await;
    assert_eq!(
        project
            .sql("select score, column_2, score_2, column_4 from raw_shop.t order by 1")
            .await,
        ["1|a|2|null", "3|b|4|null"]
    );
}

#[tokio::test]
async fn json_that_is_not_whole_is_on_record_or_fails() {
    let project = Project::new("{cut: {path: cut.json}, odd: {path: odd.json}, trees: {path: trees.ndjson}}").await;
    project.write("cut.json", "[{\"id\":1},\n{\"id\":2}\n");
    let deep = |depth: usize| "{\"c\":[".repeat(depth) + "{\"leaf\":1.10}" + &"]}".repeat(depth);
    project.write("odd.json", "[{\"id\":1}]\n[{\"id\":2},{\"id\":3,\"id\":4}]\n</html>");
    project.write("trees.ndjson", format!("{}\n{}\n{}\n", deep(5), deep(60), deep(20_000)));
    let cut = project
        .try_ingest(&["shop.cut".parse().unwrap()])
        .await
        .unwrap_err()
        .to_string();
    assert!(cut.contains("cut.json") && cut.contains("not closed"), "{cut}");
    project.try_ingest(&["shop.odd".parse().unwrap()]).await.unwrap();
    project.try_ingest(&["shop.trees".parse().unwrap()]).await.unwrap();
    assert_eq!(project.sql("select id from raw_shop.odd order by 1").await, ["1", "2"]);
    let reasons = project
        .sql("select stream, line, reason from ops.rejected_rows order by 1, 2")
        .await;
    assert_eq!(
        reasons,
        [
            "odd|2|a key is in it twice",
            "odd|3|it stands behind the end of the array",
            "trees|3|values are nested too deep"
        ]
    );
    let trees = project.sql("select c from raw_shop.trees").await;
    assert!(
        trees.len() == 2 && trees.iter().all(|tree| tree.contains("1.10")),
        "{trees:?}"
    );
}
