//! What the engine gets of what people write.

#![allow(clippy::unwrap_used)]

use crate::query::dialect::parse;

fn read(sql: &str) -> String {
    parse(sql).unwrap().statement.to_string()
}

fn refusal(sql: &str) -> String {
    parse(sql)
        .map(|parsed| parsed.statement.to_string())
        .unwrap_err()
        .to_string()
}

#[test]
fn top_and_fetch_become_limits() {
    for (written, read_as) in [
        ("select top 2 k from t order by k", "SELECT k FROM t ORDER BY k LIMIT 2"),
        ("select top (1) k from t", "SELECT k FROM t LIMIT 1"),
        ("select k from t fetch first row only", "SELECT k FROM t LIMIT 1"),
        (
            "select k from t offset 1 rows fetch next 2 rows only",
            "SELECT k FROM t LIMIT 2 OFFSET 1 ROWS",
        ),
        ("select k from t limit null", "SELECT k FROM t"),
        ("select k from t limit '2'", "SELECT k FROM t LIMIT 2"),
        (
            "select k from t offset 1 row fetch next (1 + 1) rows only",
            "SELECT k FROM t LIMIT (1 + 1) OFFSET 1 ROW",
        ),
        (
            "select k from t order by k fetch first ( 2 ) rows with ties",
            "SELECT k FROM t QUALIFY rank() OVER (ORDER BY k) <= 2 ORDER BY k",
        ),
        (
            "select k from t order by 1 desc fetch first 2 rows with ties",
            "SELECT k FROM t QUALIFY rank() OVER (ORDER BY k DESC) <= 2 ORDER BY 1 DESC",
        ),
    ] {
        assert_eq!(read(written), read_as);
    }
    assert!(refusal("select top 1 with ties k from t").contains("ORDER BY"));
    assert!(refusal("select top 1 k from t limit 2").contains("not both"));
}

#[test]
fn rows_are_compared_by_field() {
    for (written, read_as) in [
        ("select (a, b) = (1, 2)", "SELECT ((a = 1) AND (b = 2))"),
        ("select (a, b) <> (1, 2)", "SELECT ((a <> 1) OR (b <> 2))"),
        ("select (a, b) < (1, 2)", "SELECT ((a < 1) OR ((a = 1) AND (b < 2)))"),
        (
            "select (a, b) in ((1, 2), (3, 4))",
            "SELECT (((a = 1) AND (b = 2)) OR ((a = 3) AND (b = 4)))",
        ),
        ("select row(a, b) = row(1, 2)", "SELECT ((a = 1) AND (b = 2))"),
        ("select (a, b) is null", "SELECT (a IS NULL AND b IS NULL)"),
        ("select (a, b) is not null", "SELECT (a IS NOT NULL AND b IS NOT NULL)"),
    ] {
        assert_eq!(read(written), read_as);
    }
    assert!(refusal("select (a, b) = (1, 2, 3)").contains("rows of 2 and 3 fields"));
}

#[test]
fn relations_are_written_out() {
    for (written, read_as) in [
        ("table t limit 1", "SELECT * FROM t LIMIT 1"),
        (
            "select 1 from (table m.t union all table u) x",
            "SELECT 1 FROM (SELECT * FROM m.t UNION ALL SELECT * FROM u) x",
        ),
        ("select table from t", "SELECT table FROM t"),
        (
            "select a = any (values (1), (2)) from t",
            "SELECT a = ANY(SELECT * FROM (VALUES (1), (2))) FROM t",
        ),
        ("select a in (values (1), (2)) from t", "SELECT a IN (1, 2) FROM t"),
        ("select f(t.*), t.* from t", "SELECT f(t), t.* FROM t"),
        ("select t.* from m.t", "SELECT m.t.* FROM m.t"),
        ("select t.* from m.t as t", "SELECT t.* FROM m.t AS t"),
    ] {
        assert_eq!(read(written), read_as);
    }
}

#[test]
fn functions_that_are_not_here_are_refused_with_what_to_write() {
    assert!(refusal("select setseed(0.5)").contains("md5"));
    assert!(refusal("select * from crosstab('select 1') as t(a int)").contains("PIVOT"));
}

#[test]
fn windows_by_name_are_written_out() {
    for (written, read_as) in [
        (
            "select sum(a) over w from t window w as (partition by b)",
            "SELECT sum(a) OVER (PARTITION BY b) FROM t",
        ),
        (
            "select a from t window w as (partition by b), v as (w order by c) order by rank() over v",
            "SELECT a FROM t ORDER BY rank() OVER (PARTITION BY b ORDER BY c)",
        ),
    ] {
        assert_eq!(read(written), read_as);
    }
    assert!(refusal("select sum(a) over (v order by b) from t window w as (order by a)").contains("window v"));
    assert!(refusal("select sum(a) over (order by a rows 1 preceding exclude ties) from t").contains("EXCLUDE TIES"));
    assert!(refusal("select nth_value(a, 2) from last over (order by a) from t").contains("FROM LAST"));
}

#[test]
fn nothing_is_passed_over() {
    for (written, what) in [
        ("select a from t for json auto", "FOR"),
        ("select a from t prewhere a > 1", "PREWHERE"),
        (
            "select a from t tablesample bernoulli (10) repeatable (1)",
            "TABLESAMPLE",
        ),
    ] {
        assert!(refusal(written).contains(what), "{written}");
    }
    assert_eq!(
        read("select a, count(*) from t group by a with rollup"),
        "SELECT a, count(*) FROM t GROUP BY ROLLUP (a)"
    );
}

#[test]
fn names_in_brackets_are_quoted_where_they_are_names() {
    for (written, read_as) in [
        (
            "select [a b], t.[c] from [my table] as t",
            "SELECT \"a b\", t.\"c\" FROM \"my table\" AS t",
        ),
        ("select a[1], [1, 2] from t", "SELECT a[1], [1, 2] FROM t"),
        ("select [a] from t", "SELECT make_array(a) FROM t"),
    ] {
        assert_eq!(read(written), read_as);
    }
}

#[test]
fn long_chains_are_flat_and_deep_nests_refused() {
    let chain = format!("select 1 where {}", vec!["a = 1"; 20_000].join(" or "));
    assert!(parse(&chain).is_ok());
    let sum = format!("select {}", vec!["1"; 20_000].join(" + "));
    assert!(parse(&sum).is_ok());
    let union = vec!["select 1"; 5_000].join(" union all ");
    assert!(parse(&union).is_ok());
    let nest = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(refusal(&nest).contains("nested too deeply"));
    let mixed = format!("select {}", vec!["1 + 1 - 1"; 2_000].join(" - "));
    assert!(parse(&mixed).is_ok());
    let deep = format!("select {}", vec!["1"; 2_000].join(" / "));
    assert!(refusal(&deep).contains("nested too deeply"));
}
