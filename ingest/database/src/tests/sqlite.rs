//! SQLite: types by value, cursors, deletions.

use super::Source;
use super::servers::TestSqlite;
use crate::contract::session_contract;
use arrow::datatypes::DataType;

session_contract!(TestSqlite);

#[tokio::test]
async fn sqlite_types_hold_all_values() {
    let database = TestSqlite::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(10,2), mixed INTEGER, big, flag BOOLEAN, day DATE,
                         raw BLOB, none REAL, \"odd \"\" name\" TEXT);
         INSERT INTO t VALUES (1, 5, 7, 9007199254740993, 1, '2024-02-29', x'00ff', NULL, 'añ');
         INSERT INTO t VALUES (2, 5.5, 0.75, 0.5, 0, '2024-03-01', 'text', NULL, NULL);",
    );
    let load = Source::new(&database.url(), "{table: t}")
        .await
        .load(None)
        .await
        .unwrap();
    let schema = load.batches[0].schema();
    let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    use DataType as T;
    assert_eq!(
        types,
        [
            T::Int64,
            T::Float64,
            T::Float64,
            T::Utf8,
            T::Boolean,
            T::Utf8,
            T::Binary,
            T::Float64,
            T::Utf8
        ]
    );
    assert_eq!(
        load.lines(),
        [
            "1,5.0,7.0,9007199254740993,true,2024-02-29,00ff,,añ",
            "2,5.5,0.75,0.5,false,2024-03-01,74657874,,"
        ]
    );
    let query = Source::new(&database.url(), "{query: 'select count(*) as n from t;'}")
        .await
        .load(None)
        .await
        .unwrap();
    assert_eq!(query.lines(), ["2"]);
}

/// What is above all that may come later is not where the next load goes on.
#[tokio::test]
async fn sqlite_goes_on_after_numbers_alone() {
    let database = TestSqlite::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at INT);
         INSERT INTO t VALUES (1, 5), (2, 'never'), (3, 9e999);",
    );
    let source = Source::new(&database.url(), "{table: t, cursor: at, key: [id]}").await;
    let first = source.load(None).await.unwrap();
    assert_eq!(first.lines(), ["1,5.0", "3,inf"]);
    database.run("INSERT INTO t VALUES (4, 6)");
    assert_eq!(source.load(first.state).await.unwrap().lines(), ["1,5", "4,6"]);
}

#[tokio::test]
async fn sqlite_continues_after_its_cursor() {
    let database = TestSqlite::with(
        "CREATE TABLE sales (id INTEGER PRIMARY KEY, at TEXT, v INT);
         INSERT INTO sales VALUES (1, '2024-01-01', 1), (2, '2024-01-02', 1), (3, NULL, 1);",
    );
    let tuple = Source::new(&database.url(), "{table: sales, cursor: [at, id]}").await;
    let single = Source::new(&database.url(), "{table: sales, cursor: at, key: [id]}").await;
    let serial = Source::new(&database.url(), "{table: sales, cursor: id}").await;
    let (a, b, c) = (
        tuple.load(None).await.unwrap(),
        single.load(None).await.unwrap(),
        serial.load(None).await.unwrap(),
    );
    assert_eq!((a.rows(), b.rows(), c.rows()), (3, 3, 3));
    assert_eq!(single.load(b.state.clone()).await.unwrap().rows(), 0);
    database.run(
        "UPDATE sales SET v = 2 WHERE id = 2; INSERT INTO sales VALUES (4, '2024-01-02', 1), (5, '2024-01-03', 1)",
    );
    assert_eq!(
        tuple.load(a.state).await.unwrap().lines(),
        ["4,2024-01-02,1", "5,2024-01-03,1"]
    );
    assert_eq!(
        single.load(b.state).await.unwrap().lines(),
        ["2,2024-01-02,2", "4,2024-01-02,1", "5,2024-01-03,1"]
    );
    assert_eq!(serial.load(c.state).await.unwrap().rows(), 2);
}

#[tokio::test]
async fn sqlite_mistakes_are_explained() {
    let database = TestSqlite::with("CREATE TABLE sales (id INT, at INT)");
    let url = database.url();
    for (url, stream, expected, code) in [
        (url.as_str(), "{table: sale}", "did you mean `sales`", 2),
        (&url, "{table: sales, cursor: id}", "two rows can have the same `id`", 2),
        (
            &url,
            "{table: sales, cursor: at, key: [id], lag: 1h}",
            "SQLite has none",
            2,
        ),
        (&url, "{query: select nonsense}", "nonsense", 2),
        ("sqlite:nowhere.db", "{table: sales}", "no such file", 2),
    ] {
        let error = Source::new(url, stream).await.load(None).await.err().unwrap();
        assert!(
            error.to_string().contains(expected) && error.exit_code() == code,
            "{error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.db"), "x".repeat(5000)).unwrap();
    let notes = format!("sqlite:{}", folder.path().join("notes.db").display());
    let error = Source::new(&notes, "{table: sales}")
        .await
        .load(None)
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("not a SQLite database"), "{error}");
}

/// What is said of a column that has another name in the lake reaches it: type, key, cursor, and what must not be kept.
#[tokio::test]
async fn sqlite_columns_are_known_by_their_names_in_the_lake() {
    let database = TestSqlite::with(
        "CREATE TABLE t (\"Nr.\" INTEGER, \"Score %\" INT, \"Score #\" INT, at INT);
         INSERT INTO t VALUES (1, 5, 6, 1);",
    );
    let configuration = "{table: t, cursor: moment, key: [id], columns: {id: {from: 'Nr.'}, moment: {from: at}, \
                         second: {from: 'Score #', type: text, transform: hash}, score: {type: text}}}";
    let source = Source::new(&database.url(), configuration).await;
    let first = source.load(None).await.unwrap();
    let types = first.batches[0]
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect::<Vec<_>>();
    assert_eq!(
        types,
        [DataType::Int64, DataType::Utf8, DataType::Utf8, DataType::Int64]
    );
    // Nothing of what is hidden is in the state: a change of it alone is not seen.
    database.run("UPDATE t SET \"Score #\" = 7");
    assert_eq!(source.load(first.state.clone()).await.unwrap().rows(), 0);
    database.run("UPDATE t SET \"Score %\" = 7");
    assert_eq!(source.load(first.state).await.unwrap().rows(), 1);
}
