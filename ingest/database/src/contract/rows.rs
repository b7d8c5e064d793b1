//! All rows, each once, of one moment.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use cordada_ingest_source::misfits;

use super::{Subject, all, part};
use crate::session::Part;
use crate::tests::read;

pub(crate) async fn all_rows_are_read_once<S: Subject>(subject: &S) {
    subject.many().await;
    subject.table("numbers", "n INTEGER PRIMARY KEY").await;
    let insert = "INSERT INTO numbers SELECT a.n * 1000 + b.n FROM many a, many b WHERE a.n < 40";
    subject.run(insert).await;
    let mut session = subject.session("numbers").await;
    let whole = Part::Slices(0..session.slices());
    for (part, count) in [
        (whole, 40_000),
        (Part::Columns(vec!["n".to_owned()]), 40_000),
        (Part::Where("n >= 20000".to_owned()), 20_000),
    ] {
        let rows = session.rows(part.clone()).await.unwrap();
        let schema = rows.schema;
        let batches = read(rows.partitions).await.unwrap();
        let is_of_it = |batch: &RecordBatch| misfits::schema(&batch.schema()) == schema;
        assert!(batches.len() > 1 && batches.iter().all(is_of_it));
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
            count,
            "{part:?}"
        );
        let numbers: BTreeSet<_> = crate::tests::lines(&batches).into_iter().collect();
        assert_eq!(numbers.len(), count, "{part:?}");
    }
}

pub(crate) async fn an_empty_table_has_its_columns<S: Subject>(subject: &S) {
    let columns = format!("n INTEGER PRIMARY KEY, v {}", S::TEXT);
    subject.table("nothing", &columns).await;
    let mut session = subject.session("nothing").await;
    assert_eq!(session.columns().sources(), ["n", "v"]);
    for part in [Part::Slices(0..session.slices()), Part::Where("n > 0".to_owned())] {
        let rows = session.rows(part).await.unwrap();
        let names = rows.schema.fields().iter().map(|field| field.name().as_str());
        assert_eq!(names.take(2).collect::<Vec<_>>(), ["n", "v"]);
        let batches = read(rows.partitions).await.unwrap();
        assert!(batches.iter().all(|batch| batch.num_rows() == 0));
    }
    let first = format!("SELECT {} FROM {}", session.text_of("n"), session.relation());
    assert_eq!(session.first(&first).await.unwrap(), None);
}

pub(crate) async fn all_is_read_as_it_was_when_the_session_began<S: Subject>(subject: &S) {
    subject.table("moving", "n INTEGER PRIMARY KEY, v INTEGER").await;
    subject.run("INSERT INTO moving VALUES (1, 10), (2, 20), (3, 30)").await;
    let mut session = subject.session("moving").await;
    for change in [
        "DELETE FROM moving WHERE n = 1",
        "UPDATE moving SET v = 21 WHERE n = 2",
        "INSERT INTO moving VALUES (4, 40)",
    ] {
        subject.run(change).await;
    }
    assert_eq!(all(session.as_mut()).await, ["1,10", "2,20", "3,30"]);
    let newest = format!(
        "SELECT {} FROM {} ORDER BY {} DESC",
        session.text_of("n"),
        session.relation(),
        session.name("n")
    );
    let newest = super::value(session.as_mut(), &newest).await.unwrap().unwrap();
    assert_eq!(newest, "3");
    let keys = part(session.as_mut(), Part::Columns(vec!["n".to_owned()])).await;
    assert_eq!(keys.unwrap(), ["1", "2", "3"]);
    let later = all(subject.session("moving").await.as_mut()).await;
    assert_eq!(later, ["2,21", "3,30", "4,40"]);
}

pub(crate) async fn columns_come_in_the_order_that_is_asked_for<S: Subject>(subject: &S) {
    subject.table("three", "a INTEGER, b INTEGER, c INTEGER").await;
    subject.run("INSERT INTO three VALUES (1, 2, 3)").await;
    let mut session = subject.session("three").await;
    let asked = |names: &[&str]| Part::Columns(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(part(session.as_mut(), asked(&["c", "a"])).await.unwrap(), ["3,1"]);
    let error = part(session.as_mut(), asked(&["a", "d"])).await.unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("`d`"), "{error}");
}
