//! MariaDB: types, cursors, deletions, mistakes.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::DataType;

use super::Source;
use super::servers::{TestMariadb, free_port};
use crate::contract::session_contract;

session_contract!(TestMariadb);

const TYPES: &str = "
    CREATE TABLE types (
        id INT PRIMARY KEY, a_bool BOOLEAN, a_tiny TINYINT, a_utiny TINYINT UNSIGNED, a_small SMALLINT, a_usmall SMALLINT UNSIGNED,
        a_medium MEDIUMINT UNSIGNED, an_int INT, a_uint INT UNSIGNED, a_big BIGINT, a_ubig BIGINT UNSIGNED,
        a_decimal DECIMAL(12,3), a_wide DECIMAL(65,10), a_float FLOAT, a_double DOUBLE, a_bit BIT(1), bits BIT(12),
        a_date DATE, a_datetime DATETIME(6), a_stamp TIMESTAMP(3) NULL, a_time TIME(2), a_year YEAR,
        a_char CHAR(4), a_text TEXT CHARACTER SET latin1, a_json JSON, an_enum ENUM('s', 'm'), a_set SET('a', 'b'),
        a_blob BLOB, a_binary BINARY(2), a_missing DATE, an_empty DATETIME);
    INSERT INTO types VALUES (1, 1, -7, 250, -300, 60000, 16000000, -5, 4000000000, -9, 18446744073709551615, 12345.678,
        '1234567890123456789012345678901234567890123456789012345.1234567890', 1.5, 0.1, b'1', b'101', '2024-02-29', '2024-07-01 12:00:00.123456',
        '2024-07-01 12:00:00.5', '-100:30:15.25', 2024, 'ab', 'añ', '{\"a\": 1}', 'm', 'a,b', x'00ff', x'0102',
        NULL, NULL);
    INSERT INTO types (id) VALUES (2)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_is_read_exactly() {
    let Some(server) = TestMariadb::start().await else {
        return;
    };
    server
        .run(
            "mysql",
            "CREATE DATABASE shop CHARACTER SET utf8mb4;\nCREATE USER reader IDENTIFIED BY 's3cret'",
        )
        .await;
    types(&server).await;
    cursors(&server).await;
    mistakes_are_explained(&server).await;
}

async fn types(server: &TestMariadb) {
    server.run("shop", &TYPES.replace(";\n    ", ";\n")).await;
    let load = Source::new(&server.url("root", "shop"), "{table: types}")
        .await
        .load(None)
        .await
        .unwrap();
    assert_eq!(load.rows(), 2);
    let time = cordada_ingest_formats::values::evidence::timestamp();
    for (name, expected, data_type) in [
        ("a_bool", "true", DataType::Boolean),
        ("a_tiny", "-7", DataType::Int16),
        ("a_utiny", "250", DataType::Int16),
        ("a_usmall", "60000", DataType::Int32),
        ("a_medium", "16000000", DataType::Int32),
        ("a_uint", "4000000000", DataType::Int64),
        ("a_ubig", "18446744073709551615", DataType::Decimal128(20, 0)),
        ("a_decimal", "12345.678", DataType::Decimal128(12, 3)),
        (
            "a_wide",
            "1234567890123456789012345678901234567890123456789012345.1234567890",
            DataType::Utf8,
        ),
        ("a_float", "1.5", DataType::Float32),
        ("a_double", "0.1", DataType::Float64),
        ("a_bit", "true", DataType::Boolean),
        ("bits", "5", DataType::Int64),
        ("a_date", "2024-02-29", DataType::Date32),
        ("a_datetime", "2024-07-01T12:00:00.123456Z", time.clone()),
        ("a_stamp", "2024-07-01T12:00:00.500Z", time),
        ("a_time", "-100:30:15.250000", DataType::Utf8),
        ("a_year", "2024", DataType::Int16),
        ("a_char", "ab", DataType::Utf8),
        ("a_text", "añ", DataType::Utf8),
        ("a_json", "{\"a\": 1}", DataType::Utf8),
        ("an_enum", "m", DataType::Utf8),
        ("a_set", "a,b", DataType::Utf8),
        ("a_blob", "00ff", DataType::Binary),
        ("a_binary", "0102", DataType::Binary),
        ("a_missing", "", DataType::Date32),
        ("an_empty", "", cordada_ingest_formats::values::evidence::timestamp()),
    ] {
        let found = load.batches[0]
            .schema()
            .field_with_name(name)
            .unwrap()
            .data_type()
            .clone();
        assert_eq!((load.text(name), found), (expected.to_owned(), data_type), "{name}");
    }
    server
        .run(
            "shop",
            "CREATE TABLE odd (a TINYINT(1), b DATE);\nINSERT INTO odd VALUES (2, '2024-00-00')",
        )
        .await;
    let load = async |stream: &str| {
        Source::new(&server.url("root", "shop"), stream)
            .await
            .load(None)
            .await
            .unwrap()
    };
    // Numbers among truths are numbers, unless the lake's column has truths already.
    server.run("shop", "INSERT INTO odd VALUES (1, NULL)").await;
    assert_eq!(
        load("{table: odd, columns: {b: {type: text}}}").await.lines(),
        ["1,", "2,2024-00-00"]
    );
    let source = Source::new(&server.url("root", "shop"), "{table: odd, cursor: a, key: [a]}").await;
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    source.landed.fill(RecordBatch::try_from_iter([("a", truths)]).unwrap());
    assert_eq!(source.load(None).await.unwrap().lines(), ["true,"]);
    server.run("shop", "DELETE FROM odd WHERE a = 1").await;
    let declared = "{table: odd, columns: {a: {type: integer}, b: {type: text}}}";
    assert_eq!(load(declared).await.lines(), ["2,2024-00-00"]);
}

async fn cursors(server: &TestMariadb) {
    let sql = "CREATE TABLE sales (id BIGINT UNSIGNED PRIMARY KEY, at DATETIME, code VARCHAR(9));\n\
               INSERT INTO sales VALUES (1, '2024-01-01', 'a'), (2, '2024-01-02', 'b\\\\\\'c'), (3, NULL, 'z')";
    server.run("shop", sql).await;
    let url = server.url("root", "shop");
    let tuple = Source::new(&url, "{table: sales, cursor: [at, id]}").await;
    let single = Source::new(&url, "{table: shop.sales, cursor: at, key: [id]}").await;
    let serial = Source::new(&url, "{table: sales, cursor: id}").await;
    let lagging = Source::new(&url, "{table: sales, cursor: at, lag: 1d, key: [id]}").await;
    let text = Source::new(
        &url,
        "{query: 'select * from sales where at is not null', cursor: code, key: [id]}",
    )
    .await;
    let mut states = Vec::new();
    for source in [&tuple, &single, &serial, &lagging, &text] {
        states.push(source.load(None).await.unwrap().state);
    }
    assert_eq!(single.load(states[1].clone()).await.unwrap().rows(), 0);
    server
        .run(
            "shop",
            "INSERT INTO sales VALUES (4, '2024-01-02', 'c'), (18446744073709551615, '2024-01-03', 'd')",
        )
        .await;
    let mut rows = Vec::new();
    for (source, state) in [&tuple, &single, &serial, &lagging, &text].into_iter().zip(&states) {
        rows.push(source.load(state.clone()).await.unwrap().rows());
    }
    assert_eq!(rows, [2, 3, 2, 4, 3]);
}

async fn mistakes_are_explained(server: &TestMariadb) {
    let root = server.url("root", "shop");
    let wrong = server.url("reader:wr0ng", "shop");
    for (url, stream, expected, code) in [
        (root.as_str(), "{table: sale}", "did you mean `sales`", 2),
        (
            &root,
            "{table: sales, cursor: at}",
            "two rows can have the same `at`",
            2,
        ),
        (&root, "{query: select nonsense}", "nonsense", 2),
        (&wrong, "{table: sales}", "credentials", 2),
        (&server.url("root", "nowhere"), "{table: sales}", "nowhere", 2),
    ] {
        let error = Source::new(url, stream).await.load(None).await.err().unwrap();
        assert!(
            error.to_string().contains(expected) && error.exit_code() == code,
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error}");
    }
    let nobody = Source::new(
        &format!("mysql://root@127.0.0.1:{}/shop", free_port()),
        "{table: sales}",
    )
    .await;
    assert_eq!(nobody.load(None).await.err().unwrap().exit_code(), 3);
}
