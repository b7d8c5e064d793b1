//! PostgreSQL: types, snapshots, cursors, deletions.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use cordada_ingest_source::Source as _;

use super::servers::TestPostgres;
use super::{Source, batches, column};
use crate::contract::session_contract;

session_contract!(TestPostgres);

const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN money_amount AS numeric(12, 2);
    CREATE TABLE types (
        a_bool bool, a_int2 int2, a_int4 int4, a_int8 int8, a_oid oid, a_float4 float4, a_float8 float8,
        a_numeric numeric(12, 3), a_any numeric, a_domain money_amount, a_money money, a_text text, a_varchar varchar(9),
        a_char char(4), a_name name, a_json json, a_jsonb jsonb, a_xml xml, a_uuid uuid, a_bytea bytea, a_date date,
        a_timestamp timestamp, a_timestamptz timestamptz, a_time time, a_timetz timetz, a_interval interval,
        a_inet inet, a_cidr cidr, a_mac macaddr, a_bit bit(3), a_mood mood, a_pair pair, a_range int4range,
        an_int_list int[], a_text_list text[], a_numeric_list numeric(5,1)[], an_interval_list interval[],
        \"Mixed Case\" int);
    INSERT INTO types VALUES (
        true, -7, 8, -9000000000, 4000000000, 1.5, 0.1, 12345.678, 123456789012345678901234567890.123456789012345, -1.50,
        1234.56, 'añ''o', 'x', 'ab', 'n', '{\"a\": 1}', '{\"b\": [1, 2]}', '<a/>',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00ff', '2024-02-29', '2024-07-01 12:00:00.123456',
        '2024-07-01 12:00:00+02', '23:59:59.5', '12:00+02', '1 year 2 mons 3 days 04:05:06', '10.0.0.1', '10.0.0.0/8',
        '08:00:2b:01:02:03', '101', 'happy', (1, 'x y'), '[1,5)', '{1,NULL,3}', '{\"a,b\",\"c\\\"d\",NULL,\"NULL\"}',
        '{1.5,-2}', '{1 day,2 hours}', 42);
    INSERT INTO types (a_int4) VALUES (NULL);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_read_exactly() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    types(&server).await;
    what_the_lake_cannot_hold_is_an_error(&server).await;
    in_parallel(&server).await;
    queries_and_views(&server).await;
    mistakes_are_explained(&server).await;
    cursors(&server).await;
    deletions(&server).await;
}

async fn types(server: &TestPostgres) {
    server.run(TYPES).await;
    let source = Source::new(&server.url(), "{table: public.types, disposition: replace}").await;
    let load = source.load(None).await.unwrap();
    assert_eq!(load.rows(), 2);
    let of = |name: &str| {
        load.batches[0]
            .schema()
            .field_with_name(name)
            .unwrap()
            .data_type()
            .clone()
    };
    for (name, expected, data_type) in [
        ("a_bool", "true", DataType::Boolean),
        ("a_int2", "-7", DataType::Int16),
        ("a_int8", "-9000000000", DataType::Int64),
        ("a_oid", "4000000000", DataType::Int64),
        ("a_float4", "1.5", DataType::Float32),
        ("a_float8", "0.1", DataType::Float64),
        ("a_numeric", "12345.678", DataType::Decimal128(12, 3)),
        (
            "a_any",
            "123456789012345678901234567890.123456789012345",
            DataType::Utf8,
        ),
        ("a_domain", "-1.50", DataType::Decimal128(12, 2)),
        ("a_money", "1234.56", DataType::Decimal128(20, 2)),
        ("a_text", "añ'o", DataType::Utf8),
        ("a_char", "ab  ", DataType::Utf8),
        ("a_json", "{\"a\": 1}", DataType::Utf8),
        ("a_jsonb", "{\"b\": [1, 2]}", DataType::Utf8),
        ("a_xml", "<a/>", DataType::Utf8),
        ("a_uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", DataType::Utf8),
        ("a_bytea", "00ff", DataType::Binary),
        ("a_date", "2024-02-29", DataType::Date32),
        ("a_timestamp", "2024-07-01T12:00:00.123456Z", source_time()),
        ("a_timestamptz", "2024-07-01T10:00:00Z", source_time()),
        ("a_time", "23:59:59.5", DataType::Utf8),
        ("a_timetz", "12:00:00+02", DataType::Utf8),
        ("a_interval", "P1Y2M3DT4H5M6S", DataType::Utf8),
        ("a_inet", "10.0.0.1", DataType::Utf8),
        ("a_cidr", "10.0.0.0/8", DataType::Utf8),
        ("a_mac", "08:00:2b:01:02:03", DataType::Utf8),
        ("a_bit", "101", DataType::Utf8),
        ("a_mood", "happy", DataType::Utf8),
        ("a_pair", "(1,\"x y\")", DataType::Utf8),
        ("a_range", "[1,5)", DataType::Utf8),
        ("an_int_list", "[1, , 3]", list(DataType::Int32)),
        ("a_text_list", "[a,b, c\"d, , NULL]", list(DataType::Utf8)),
        ("a_numeric_list", "[1.5, -2.0]", list(DataType::Decimal128(5, 1))),
        ("an_interval_list", "[P1D, PT2H]", list(DataType::Utf8)),
        ("Mixed Case", "42", DataType::Int32),
    ] {
        assert_eq!((load.text(name), of(name)), (expected.to_owned(), data_type), "{name}");
        assert_eq!(load.batches[0].column_by_name(name).unwrap().null_count(), 1, "{name}");
    }
    let declared =
        "{table: types, disposition: replace, columns: {a_any: {type: 'decimal(38,8)'}, a_date: {type: text}}}";
    // The value has more digits than that, and the other row none.
    let load = Source::new(&server.url(), declared).await.load(None).await.unwrap();
    assert_eq!((load.rows(), column(&load, "a_any")), (1, vec![None]));
}

fn source_time() -> DataType {
    cordada_ingest_formats::values::evidence::timestamp()
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(arrow::datatypes::Field::new("element", item, true)))
}

async fn what_the_lake_cannot_hold_is_an_error(server: &TestPostgres) {
    server
        .run("CREATE TABLE odd (id int, until date, at timestamptz, n numeric(5,2), m int[])")
        .await;
    server
        .run("INSERT INTO odd VALUES (1, 'infinity', '0044-03-15 12:00:00+00 BC', 'NaN', '{{1},{2}}')")
        .await;
    let text = "columns: {until: {type: text}, n: {type: text}, m: {type: text}}";
    let load = Source::new(&server.url(), &format!("{{table: odd, disposition: replace, {text}}}"))
        .await
        .load(None)
        .await
        .unwrap();
    assert_eq!(load.lines(), ["1,infinity,-0043-03-15T12:00:00Z,NaN,{{1},{2}}"]);
}

async fn in_parallel(server: &TestPostgres) {
    server
        .run(
            "CREATE TABLE big AS SELECT i AS id, repeat('x', 100) AS filler FROM generate_series(1, 200000) i;
              DELETE FROM big WHERE id % 10 = 0;
              CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id);
              CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
              CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (200000);
              INSERT INTO parts SELECT i, repeat('y', 100) FROM generate_series(0, 149999) i;",
        )
        .await;
    let load = Source::new(&server.url(), "{table: big, disposition: replace}")
        .await
        .load(None)
        .await
        .unwrap();
    let ids: std::collections::HashSet<_> = column(&load, "id").into_iter().collect();
    assert_eq!((load.rows(), ids.len()), (180_000, 180_000));
    let load = Source::new(&server.url(), "{table: parts, disposition: replace}")
        .await
        .load(None)
        .await
        .unwrap();
    let ids: std::collections::HashSet<_> = column(&load, "id").into_iter().collect();
    assert_eq!((load.rows(), ids.len()), (150_000, 150_000));
}

async fn queries_and_views(server: &TestPostgres) {
    server.run("CREATE VIEW few AS SELECT id FROM big WHERE id < 5").await;
    let lines = async |stream: &str| {
        Source::new(&server.url(), stream)
            .await
            .load(None)
            .await
            .unwrap()
            .lines()
    };
    assert_eq!(lines("{table: few, disposition: replace}").await, ["1", "2", "3", "4"]);
    let query = "{query: 'select id, sum(id) over () as total from few -- few;', disposition: replace}";
    assert_eq!(lines(query).await, ["1,10", "2,10", "3,10", "4,10"]);
}

async fn mistakes_are_explained(server: &TestPostgres) {
    let fails = async |url: &str, stream: &str| {
        let error = Source::new(url, stream).await.load(None).await.err().unwrap();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        (error.to_string(), error.exit_code())
    };
    let (said, code) = fails(&server.url(), "{table: public.bgi, disposition: replace}").await;
    assert!(said.contains("did you mean `public.big`") && code == 2, "{said}");
    let (said, code) = fails(&server.url(), "{table: big, disposition: merge, key: [idd]}").await;
    assert!(said.contains("did you mean `id`") && code == 2, "{said}");
    let (said, code) = fails(&server.url(), "{table: big, cursor: id}").await;
    assert!(said.contains("two rows can have the same `id`") && code == 2, "{said}");
    let (said, code) = fails(&server.url(), "{query: select nonsense, disposition: replace}").await;
    assert!(said.contains("nonsense") && code == 2, "{said}");
    let elsewhere = server.url().replace("/postgres?", "/nowhere?");
    let (said, code) = fails(&elsewhere, "{table: big, disposition: replace}").await;
    assert!(said.contains("nowhere") && code == 2, "{said}");
    let unknown = server.url().replace("admin", "nobody");
    let (said, code) = fails(&unknown, "{table: big, disposition: replace}").await;
    assert!(said.contains("credentials") && code == 2, "{said}");
}

async fn cursors(server: &TestPostgres) {
    server
        .run(
            "CREATE TABLE sales (id int PRIMARY KEY, updated_at timestamptz, v int);
              INSERT INTO sales VALUES (1, '2024-01-01', 1), (2, '2024-01-02', 1), (3, '2024-01-02', 1), (4, NULL, 1)",
        )
        .await;
    let ties = Source::new(&server.url(), "{table: sales, cursor: [updated_at, id]}").await;
    let single = Source::new(
        &server.url(),
        "{table: sales, cursor: updated_at, key: [id], disposition: merge}",
    )
    .await;
    let serial = Source::new(&server.url(), "{table: sales, cursor: id}").await;
    let lagging = Source::new(
        &server.url(),
        "{table: sales, cursor: [updated_at, id], lag: 1d, key: [id], disposition: merge}",
    )
    .await;
    let late = Source::new(
        &server.url(),
        "{table: sales, cursor: updated_at, initial: '2024-01-02', key: [id], disposition: merge}",
    )
    .await;
    let ids = async |source: &Source, state: &mut Option<cordada_ingest_source::extract::State>| {
        let load = source.load(state.clone()).await.unwrap();
        *state = load.state.clone();
        if load.batches.is_empty() {
            Vec::new()
        } else {
            column(&load, "id").into_iter().flatten().collect()
        }
    };
    let (mut a, mut b, mut c, mut d, mut e) = (None, None, None, None, None);
    assert_eq!(ids(&ties, &mut a).await, ["1", "2", "3", "4"]);
    assert_eq!(ids(&single, &mut b).await, ["1", "2", "3", "4"]);
    assert_eq!(ids(&serial, &mut c).await, ["1", "2", "3", "4"]);
    assert_eq!(ids(&lagging, &mut d).await, ["1", "2", "3", "4"]);
    assert_eq!(ids(&late, &mut e).await, ["2", "3"]);
    // Nothing new: nothing to land.
    assert!(ids(&ties, &mut a).await.is_empty());
    assert!(ids(&single, &mut b).await.is_empty());
    assert!(ids(&serial, &mut c).await.is_empty());
    assert_eq!(ids(&lagging, &mut d).await, ["1", "2", "3"]);
    assert!(ids(&late, &mut e).await.is_empty());
    // Another row of the same moment, and a change within it.
    server
        .run("INSERT INTO sales VALUES (5, '2024-01-02', 1); UPDATE sales SET v = 2 WHERE id = 2")
        .await;
    assert_eq!(ids(&ties, &mut a).await, ["5"]);
    let mut again = ids(&single, &mut b).await;
    again.sort();
    assert_eq!(again, ["2", "3", "5"]);
    assert_eq!(ids(&serial, &mut c).await, ["5"]);
    // All rows gone, and back from the beginning.
    server.run("DELETE FROM sales").await;
    assert!(ids(&ties, &mut a).await.is_empty());
    server.run("INSERT INTO sales VALUES (6, '2024-01-03', 1)").await;
    assert_eq!(ids(&ties, &mut a).await, ["6"]);
    // Another cursor: what is merged starts over, what is appended must not.
    let changed = Source::new(
        &server.url(),
        "{table: sales, cursor: id, key: [id], disposition: merge}",
    )
    .await;
    assert_eq!(ids(&changed, &mut b).await, ["6"]);
    let error = serial.load(a).await.err().unwrap();
    assert!(error.to_string().contains("another than at the last load"), "{error}");
    windows(server).await;
}

/// A backlog of more than one chunk continues at any chunk's state.
async fn windows(server: &TestPostgres) {
    server
        .run("CREATE TABLE log (id bigint PRIMARY KEY, at int); INSERT INTO log SELECT -1, -1;")
        .await;
    let source = Source::new(&server.url(), "{table: log, cursor: [at, id]}").await;
    let first = source.load(None).await.unwrap();
    server
        .run("INSERT INTO log SELECT i, i / 7 FROM generate_series(1, 2100000) i; ANALYZE log")
        .await;
    let (mut state, mut rows, mut chunks) = (first.state, 0, 0);
    loop {
        // As if it were killed after each chunk.
        let mut extraction = source.source.extract(source.request(state.clone())).await.unwrap();
        let Some(chunk) = extraction.next().await.unwrap() else {
            break;
        };
        rows += batches(chunk.rows)
            .await
            .unwrap()
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>();
        state = chunk.state;
        chunks += 1;
    }
    assert_eq!((rows, chunks), (2_100_000, 3));
}

async fn deletions(server: &TestPostgres) {
    server
        .run("CREATE TABLE gone (id int PRIMARY KEY, at int); INSERT INTO gone VALUES (1, 1), (3, 1)")
        .await;
    let stream = "{table: gone, cursor: [at, id], key: [id], deletes: compare}";
    let source = Source::new(&server.url(), stream).await;
    let first = source.load(None).await.unwrap();
    assert_eq!(first.lines(), ["1,1", "3,1"]);
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    source.landed.fill(batch);
    let second = source.load(first.state).await.unwrap();
    assert_eq!(second.lines(), ["2,true", "4,true"]);
}
