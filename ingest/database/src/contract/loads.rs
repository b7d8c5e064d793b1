//! Loads that follow each other read every row, and none for nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use cordada_ingest_source::extract::State;

use super::Subject;
use crate::tests::Source;

/// Loads of one stream, each from where the one before it ended.
struct Loads {
    source: Source,
    state: Option<State>,
}

impl Loads {
    async fn of(subject: &impl Subject, stream: &str) -> Self {
        let source = subject.source(stream).await;
        Self { source, state: None }
    }

    /// The rows of the next load.
    async fn next(&mut self) -> Vec<String> {
        let load = self.source.load(self.state.take()).await.unwrap();
        self.state = load.state.clone();
        load.lines()
    }
}

pub(crate) async fn a_load_continues_after_the_last<S: Subject>(subject: &S) {
    subject
        .table("orders", &format!("id INTEGER PRIMARY KEY, at {}", S::TEXT))
        .await;
    let mut loads = Loads::of(subject, "{table: orders, cursor: [at, id]}").await;
    assert!(loads.next().await.is_empty());
    subject
        .run("INSERT INTO orders VALUES (3, '2024-01-02'), (1, '2024-01-02'), (2, '2024-01-01'), (9, NULL)")
        .await;
    let expected = ["1,2024-01-02", "2,2024-01-01", "3,2024-01-02"];
    assert_eq!(loads.next().await, expected);
    assert!(loads.next().await.is_empty(), "nothing has changed");
    subject
        .run("INSERT INTO orders VALUES (4, '2024-01-02'), (5, '2024-01-03'), (0, '2024-01-02')")
        .await;
    let before = loads.state.clone();
    assert_eq!(loads.next().await, ["4,2024-01-02", "5,2024-01-03"]);
    // As if it were killed before its state was kept.
    loads.state = before;
    assert_eq!(loads.next().await, ["4,2024-01-02", "5,2024-01-03"]);
    assert!(loads.next().await.is_empty());
    subject.run("DELETE FROM orders").await;
    assert!(loads.next().await.is_empty());
    subject.run("INSERT INTO orders VALUES (6, '2024-01-04')").await;
    assert_eq!(loads.next().await, ["6,2024-01-04"]);
}

pub(crate) async fn rows_of_the_same_moment_are_not_missed<S: Subject>(subject: &S) {
    let columns = format!("id INTEGER PRIMARY KEY, at {}, v INTEGER", S::TEXT);
    subject.table("ties", &columns).await;
    subject
        .run("INSERT INTO ties VALUES (1, '2024-01-01', 0), (2, '2024-01-02', 0)")
        .await;
    let mut loads = Loads::of(subject, "{table: ties, cursor: at, key: [id]}").await;
    assert_eq!(loads.next().await.len(), 2);
    assert!(loads.next().await.is_empty());
    subject.run("INSERT INTO ties VALUES (3, '2024-01-02', 0)").await;
    assert_eq!(loads.next().await, ["2,2024-01-02,0", "3,2024-01-02,0"]);
    subject.run("UPDATE ties SET v = 1 WHERE id = 2").await;
    assert_eq!(loads.next().await, ["2,2024-01-02,1", "3,2024-01-02,0"]);
    assert!(loads.next().await.is_empty());
}

pub(crate) async fn rows_that_are_gone_are_found_by_their_keys<S: Subject>(subject: &S) {
    let columns = format!("id INTEGER, region {}, PRIMARY KEY (id, region)", S::TEXT);
    subject.table("gone", &columns).await;
    subject.run("INSERT INTO gone VALUES (1, 'north'), (3, 'it''s')").await;
    let stream = "{table: gone, key: [id, region], disposition: merge, deletes: compare}";
    let mut loads = Loads::of(subject, stream).await;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 3, 4]));
    let regions: ArrayRef = Arc::new(StringArray::from(vec!["north", "south", "it's", "it's"]));
    let landed = RecordBatch::try_from_iter([("region", regions), ("id", ids)]).unwrap();
    loads.source.landed.fill(landed);
    let expected = ["1,north", "1,south,true", "3,it's", "4,it's,true"];
    assert_eq!(loads.next().await, expected);
}

pub(crate) async fn a_table_may_change_between_two_loads<S: Subject>(subject: &S) {
    subject
        .table("changing", "id INTEGER PRIMARY KEY, old INTEGER, kept INTEGER")
        .await;
    subject.run("INSERT INTO changing VALUES (1, 10, 100)").await;
    let mut loads = Loads::of(subject, "{table: changing, cursor: id}").await;
    assert_eq!(loads.next().await, ["1,10,100"]);
    for change in [
        "ALTER TABLE changing ADD COLUMN new INTEGER DEFAULT 7",
        "ALTER TABLE changing DROP COLUMN old",
        "INSERT INTO changing VALUES (2, 200, 20)",
    ] {
        subject.run(change).await;
    }
    let load = loads.source.load(loads.state.clone()).await.unwrap();
    let schema = load.batches[0].schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        (names, load.lines()),
        (vec!["id", "kept", "new"], vec!["2,200,20".to_owned()])
    );
    subject.run("ALTER TABLE changing RENAME COLUMN id TO number").await;
    let error = loads.source.load(loads.state).await.err().unwrap();
    assert_eq!(error.exit_code(), 2, "{error}");
    let said = error.to_string();
    assert!(
        said.contains("changing") && said.contains("`id`") && said.contains("number"),
        "{said}"
    );
}
