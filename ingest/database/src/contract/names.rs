//! Names are data: whatever they are, they are quoted, and found.

use super::{Subject, all, part, value};
use crate::session::Part;

const NAMES: [&str; 18] = [
    "plain",
    "Mixed Case",
    "select",
    "1st",
    "quo\"te",
    "back`tick",
    "apo'strophe",
    "semi;colon",
    "dot.ted",
    "per%cent",
    "ques?tion",
    "co:lon",
    "dol$1lar",
    "ñandú",
    "back\\slash",
    "br]ack[et",
    "-- comment",
    "/* comment */",
];

pub(crate) async fn names_may_be_anything<S: Subject>(subject: &S) {
    let columns: Vec<_> = NAMES
        .iter()
        .map(|name| format!("{} INTEGER", S::SQL.identifier(name)))
        .collect();
    let values: Vec<_> = (0..NAMES.len()).map(|at| at.to_string()).collect();
    for table in NAMES {
        subject.table(table, &columns.join(", ")).await;
        let insert = format!(
            "INSERT INTO {} VALUES ({})",
            S::SQL.identifier(table),
            values.join(", ")
        );
        subject.run(&insert).await;
        assert_eq!(
            all(subject.session(table).await.as_mut()).await,
            [values.join(",")],
            "{table}"
        );
    }
    let mut session = subject.session(NAMES[1]).await;
    assert_eq!(session.columns().sources(), NAMES);
    for (name, expected) in NAMES.iter().zip(&values) {
        let quoted = session.name(name);
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {quoted}",
            session.text_of(name),
            session.relation()
        );
        let text = value(session.as_mut(), &sql).await.unwrap().unwrap();
        let condition = format!("{quoted} = {}", session.literal(name, &text).unwrap());
        let found = part(session.as_mut(), Part::Where(condition)).await.unwrap();
        assert_eq!((text.as_str(), found.len()), (expected.as_str(), 1), "{name}");
        let found = part(session.as_mut(), Part::Columns(vec![(*name).to_owned()])).await;
        assert_eq!(found.unwrap(), [expected.as_str()], "{name}");
    }
}

pub(crate) async fn unique_columns_are_told_from_others<S: Subject>(subject: &S) {
    let columns = "id INTEGER PRIMARY KEY, code INTEGER UNIQUE, a INTEGER, b INTEGER, c INTEGER, UNIQUE (a, b)";
    subject.table("indexed", columns).await;
    subject.run("CREATE INDEX of_indexed ON indexed (c)").await;
    let mut session = subject.session("indexed").await;
    for (column, expected) in [("id", true), ("code", true), ("a", false), ("b", false), ("c", false)] {
        assert_eq!(session.is_unique(column).await.unwrap(), expected, "{column}");
    }
    let query = subject.source("{query: select id from indexed}").await;
    let mut session = query.session(&Default::default()).await.unwrap();
    assert!(!session.is_unique("id").await.unwrap(), "of a query nothing is known");
}
