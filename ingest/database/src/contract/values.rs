//! Values are in the lake what they were in the database.

use arrow::array::Array;
use arrow::util::display::array_value_to_string;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Subject;
use crate::session::Part;
use crate::tests::{lines, misfits_of, read};

/// A type of a system.
pub(crate) struct Type {
    pub(crate) sql: &'static str,
    /// Values as SQL writes them, all different, and as the lake shows them.
    pub(crate) values: &'static [(&'static str, &'static str)],
    /// Whether they can be a cursor.
    pub(crate) is_ordered: bool,
}

impl Type {
    pub(crate) const fn ordered(sql: &'static str, values: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            sql,
            values,
            is_ordered: true,
        }
    }

    pub(crate) const fn unordered(sql: &'static str, values: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            sql,
            values,
            is_ordered: false,
        }
    }

    /// Makes the table `typed` of the values in the column `v`, numbered in `n`, and of a null, which comes last.
    pub(super) async fn table<S: Subject>(&self, subject: &S) {
        subject
            .table("typed", &format!("n INTEGER PRIMARY KEY, v {} NULL", self.sql))
            .await;
        let values = self.values.iter().map(|(sql, _)| *sql).chain(["NULL"]);
        let rows: Vec<_> = values.enumerate().map(|(n, value)| format!("({n}, {value})")).collect();
        subject
            .run(&format!("INSERT INTO typed VALUES {}", rows.join(", ")))
            .await;
    }
}

/// Texts for systems that compare them byte for byte, in standard SQL.
pub(crate) const TEXTS: &[(&str, &str)] = &[
    ("''", ""),
    ("' '", " "),
    ("'7'", "7"),
    ("'A'", "A"),
    ("'a'", "a"),
    ("'it''s \\ \"x\"'", "it's \\ \"x\""),
    ("'a\nb'", "a\nb"),
    ("'ñ 😀'", "ñ 😀"),
];

/// A value that the lake's types do not have.
pub(crate) struct Unreadable {
    /// The column's type.
    pub(crate) sql: &'static str,
    /// The type that the configuration declares, if it is to.
    pub(crate) declared: Option<&'static str>,
    /// The value.
    pub(crate) value: &'static str,
    /// The value as the record of the row has it.
    pub(crate) shown: &'static str,
    /// One that lands, and as the lake shows it.
    pub(crate) other: (&'static str, &'static str),
}

/// One value costs one row, wherever the row is read.
pub(crate) async fn a_value_that_no_type_holds_costs_its_row<S: Subject>(subject: &S) {
    for case in S::UNREADABLE {
        subject
            .table("odd", &format!("n INTEGER PRIMARY KEY, odd_value {}", case.sql))
            .await;
        let (value, other) = (case.value, case.other.0);
        let insert = format!("INSERT INTO odd VALUES (1, {other}), (2, {value}), (3, {other}), (4, {value})");
        subject.run(&insert).await;
        let table = subject.written("odd");
        let stream = match case.declared {
            Some(declared) => json!({"table": table, "columns": {"odd_value": {"type": declared}}}),
            None => json!({"table": table}),
        };
        let source = subject.source(&stream.to_string()).await;
        let mut session = source.session(&CancellationToken::new()).await.unwrap();
        for part in [Part::Slices(0..session.slices()), Part::Where("n > 0".to_owned())] {
            let rows = session.rows(part.clone()).await.unwrap();
            let landing = lines(&read(rows.partitions).await.unwrap());
            assert_eq!(landing, [1, 3].map(|n| format!("{n},{}", case.other.1)), "{}", case.sql);
            let rows = session.rows(part).await.unwrap();
            let said = format!("odd_value: {}", case.shown);
            assert_eq!(misfits_of(rows.partitions).await, [said.clone(), said], "{}", case.sql);
        }
    }
}

pub(crate) async fn values_arrive_as_they_are<S: Subject>(subject: &S) {
    for case in S::TYPES {
        case.table(subject).await;
        let mut session = subject.session("typed").await;
        let rows = session.rows(Part::Slices(0..session.slices())).await.unwrap();
        assert_eq!(rows.schema.field(1).name(), "v");
        let mut found = vec![None; case.values.len() + 1];
        for batch in read(rows.partitions).await.unwrap() {
            for row in 0..batch.num_rows() {
                let n: usize = array_value_to_string(batch.column(0), row).unwrap().parse().unwrap();
                let value = batch.column(1);
                found[n] = (!value.is_null(row)).then(|| array_value_to_string(value, row).unwrap());
            }
        }
        let shown = case.values.iter().map(|(_, shown)| Some((*shown).to_owned()));
        assert_eq!(found, shown.chain([None]).collect::<Vec<_>>(), "{}", case.sql);
    }
}

/// However long, and whatever else is in its batch.
pub(crate) async fn long_texts_are_whole<S: Subject>(subject: &S) {
    let (sql, value) = S::LONG_TEXT;
    subject
        .table("texts", &format!("n INTEGER PRIMARY KEY, v {sql} NULL"))
        .await;
    let rows = [value, "'short'", value, "NULL", "''"];
    for (n, value) in rows.iter().enumerate() {
        subject.run(&format!("INSERT INTO texts VALUES ({n}, {value})")).await;
    }
    let found = super::all(subject.session("texts").await.as_mut()).await;
    let lengths: Vec<_> = found.iter().map(|line| line.len()).collect();
    assert_eq!(lengths, [10_000_002, 7, 10_000_002, 2, 2]);
    assert!(found[0].bytes().skip(2).all(|byte| byte == found[0].as_bytes()[2]));
}
