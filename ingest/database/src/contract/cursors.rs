//! A cursor that is kept as text is the same value when the next load begins.

use super::{Subject, all, part, value};
use crate::session::{Operator, Part, Session};

/// The condition that all of the cursor's columns have a value.
fn complete(session: &dyn Session, cursor: &[&str]) -> String {
    let conditions = cursor
        .iter()
        .map(|column| format!("{} IS NOT NULL", session.name(column)));
    conditions.collect::<Vec<_>>().join(" AND ")
}

/// The rows' numbers in the order of the cursor, as lines show them, each with its cursor as text.
async fn in_order(session: &mut dyn Session, number: &str, cursor: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    let texts = std::iter::once(&number).chain(cursor).enumerate();
    // With names of their own, or the order would be that of the texts.
    let texts: Vec<_> = texts
        .map(|(at, column)| format!("{} AS text_{at}", session.text_of(column)))
        .collect();
    let order: Vec<_> = cursor.iter().map(|column| session.name(column)).collect();
    let all = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {}",
        texts.join(", "),
        session.relation(),
        complete(session, cursor),
        order.join(", ")
    );
    loop {
        let sql = format!("{all} LIMIT 1 OFFSET {}", rows.len());
        let Some(row) = session.first(&sql).await.unwrap() else {
            return rows;
        };
        let mut row = row.into_iter().map(Option::unwrap);
        rows.push((row.next().unwrap(), row.collect()));
    }
}

/// Which rows a comparison finds, by their number.
async fn found(session: &mut dyn Session, cursor: &[&str], operator: Operator, texts: &[String]) -> Vec<String> {
    let names: Vec<_> = cursor.iter().map(|column| session.name(column)).collect();
    let literals = cursor
        .iter()
        .zip(texts)
        .map(|(column, text)| session.literal(column, text));
    let literals: Vec<_> = literals.map(Result::unwrap).collect();
    let compared = session.compare(&names, operator, &literals);
    let condition = format!("{} AND {compared}", complete(session, cursor));
    let lines = part(session, Part::Where(condition)).await.unwrap();
    numbers(lines.iter().map(|line| line.split_once(',').unwrap().0))
}

fn numbers<'a>(found: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut numbers: Vec<_> = found.map(str::to_owned).collect();
    numbers.sort();
    numbers
}

/// Each row's cursor, as text and back, finds that row, those before it and those after it.
async fn assert_order(session: &mut dyn Session, cursor: &[&str], count: usize, label: &str) {
    let rows = in_order(session, "n", cursor).await;
    assert_eq!(rows.len(), count, "{label}");
    for (at, (_, texts)) in rows.iter().enumerate() {
        for (operator, expected) in [
            (Operator::AtMost, &rows[..=at]),
            (Operator::AtLeast, &rows[at..]),
            (Operator::Above, &rows[at + 1..]),
        ] {
            let expected = numbers(expected.iter().map(|(number, _)| number.as_str()));
            let found = found(session, cursor, operator, texts).await;
            assert_eq!(found, expected, "{label}: {} {texts:?}", operator.sql());
        }
    }
}

pub(crate) async fn a_cursor_finds_its_row_and_those_after_it<S: Subject>(subject: &S) {
    for case in S::TYPES {
        case.table(subject).await;
        let mut session = subject.session("typed").await;
        if case.is_ordered {
            assert_order(session.as_mut(), &["v"], case.values.len(), case.sql).await;
        } else {
            let order = format!(
                "SELECT {} AS text_0 FROM {} ORDER BY {}",
                session.text_of("v"),
                session.relation(),
                session.name("v")
            );
            let refused = match session.literal("v", "1") {
                Ok(_) => value(session.as_mut(), &order).await.map(drop),
                Err(error) => Err(error),
            };
            let error = refused.expect_err(case.sql);
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}

pub(crate) async fn columns_are_compared_one_after_the_other<S: Subject>(subject: &S) {
    let columns = format!("n INTEGER PRIMARY KEY, a INTEGER, b {}, c INTEGER", S::TEXT);
    subject.table("cursors", &columns).await;
    let mut rows = Vec::new();
    for a in 0..3 {
        for b in ["'x'", "'y''z'", "'z'"] {
            for c in 0..2 {
                rows.push(format!("({}, {a}, {b}, {c})", 7 * rows.len() % 18));
            }
        }
    }
    rows.push("(20, 1, NULL, 1), (21, NULL, 'x', 1)".to_owned());
    subject
        .run(&format!("INSERT INTO cursors VALUES {}", rows.join(", ")))
        .await;
    let mut session = subject.session("cursors").await;
    assert_order(session.as_mut(), &["a", "b", "c"], 18, "three columns").await;
}

pub(crate) async fn a_literal_is_one_value<S: Subject>(subject: &S) {
    let texts = [
        "' OR ''='",
        "\\' OR 1=1 -- ",
        "'; DROP TABLE literals; --",
        "'quoted'",
        "\"double\"",
        "`tick`",
        "%",
        "$1 ? :a {}",
        "7",
        "nan",
        "X'00'",
        "a\nb",
        "ñ 😀",
    ];
    subject.table("literals", &format!("n INTEGER, v {}", S::TEXT)).await;
    let rows: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| format!("({n}, {})", S::SQL.literal(text)))
        .collect();
    subject
        .run(&format!("INSERT INTO literals VALUES {}", rows.join(", ")))
        .await;
    let mut session = subject.session("literals").await;
    for (n, (number, texts)) in in_order(session.as_mut(), "n", &["v"]).await.iter().enumerate() {
        let condition = format!("{} = {}", session.name("v"), session.literal("v", &texts[0]).unwrap());
        let found = part(session.as_mut(), Part::Where(condition)).await.unwrap();
        assert_eq!(found.len(), 1, "{n}: {texts:?}");
        assert!(found[0].starts_with(&format!("{number},")), "{found:?}");
    }
    assert_eq!(all(session.as_mut()).await.len(), texts.len());
    // What is not a number is refused or finds nothing, and never everything.
    for text in ["1 OR 1=1", "1) OR (1=1", "''", "n"] {
        let mut session = subject.session("literals").await;
        let Ok(literal) = session.literal("n", text) else {
            continue;
        };
        let condition = format!("{} = {literal}", session.name("n"));
        let found = part(session.as_mut(), Part::Where(condition)).await;
        assert!(found.is_err() || found.is_ok_and(|found| found.is_empty()), "{text}");
    }
}

pub(crate) async fn a_lag_begins_so_long_before<S: Subject>(subject: &S) {
    let timestamp = S::TIMESTAMP.unwrap_or(S::TEXT);
    subject
        .table("late", &format!("n INTEGER PRIMARY KEY, at {timestamp}"))
        .await;
    let rows = "(1, '2024-03-01 00:59:59'), (2, '2024-03-01 01:00:00'), (3, '2024-03-01 02:00:00')";
    subject.run(&format!("INSERT INTO late VALUES {rows}")).await;
    let mut session = subject.session("late").await;
    let error = session.before("n", "1", 3600).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("`n`"), "{error}");
    let literal = session.literal("at", "2024-03-01 02:00:00").unwrap();
    match (session.before("at", &literal, 3600), S::TIMESTAMP) {
        (Ok(bound), Some(_)) => {
            let condition = session.compare(&[session.name("at")], Operator::AtLeast, &[bound]);
            let found = part(session.as_mut(), Part::Where(condition)).await.unwrap();
            let numbers: Vec<_> = found.iter().map(|line| &line[..1]).collect();
            assert_eq!(numbers, ["2", "3"]);
        }
        (Err(error), None) => assert!(error.exit_code() == 2 && error.to_string().contains("`at`"), "{error}"),
        (bound, _) => panic!("{bound:?}"),
    }
}
