//! The SQL that is spoken here: what analysts and tools write, made into what the engine plans.
//!
//! A statement goes one way: text → tokens, where [`tokens`] rewrites what no grammar reads → a syntax tree, which
//! [`grammar`] reads → a syntax tree in which [`rewrites`] has replaced what the engine does not plan, or plans wrongly →
//! a plan. Whatever can be a function is one: `functions/`.

use std::collections::BTreeSet;

use cordada_core::{Context, Error, Result};
use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::TableFactor;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace, Word};

mod grammar;
mod rewrites;
mod tokens;

pub(super) use rewrites::calls::call;
pub(super) use tokens::versions::catalog as release_catalog;

use grammar::Grammar;

use super::stack;

/// How deep expressions and subqueries may be nested.
const DEEPEST: usize = 500;
/// Bytes of the longest statement that is read: one that lists tens of thousands of values fits.
const LONGEST: usize = 4 << 20;
/// Tokens of the longest one, white space among them: each costs hundreds of times its bytes until it is planned.
const MOST_TOKENS: usize = 500_000;
/// Characters of a statement that a log shows.
const LONGEST_SHOWN: usize = 2000;

/// A statement that the engine plans.
pub(super) struct Parsed {
    pub statement: Statement,
    /// The releases that it names.
    pub releases: BTreeSet<u64>,
}

/// Reads one statement.
///
/// # Errors
/// Failed: it is not SQL, or not one statement.
pub(super) fn parse(sql: &str) -> Result<Parsed> {
    stack::large(|| parse_here(sql))
}

fn parse_here(sql: &str) -> Result<Parsed> {
    if sql.len() > LONGEST {
        return Err(too_long(format!("{LONGEST} bytes")));
    }
    let mut tokens = tokenize(sql).doing(|| "planning the query")?;
    if tokens.len() > MOST_TOKENS {
        return Err(too_long(format!("{MOST_TOKENS} words, signs and spaces")));
    }
    tokens::absent::refuse(&tokens)?;
    tokens::brackets::quote(&mut tokens);
    tokens::json::tell_operators(&mut tokens);
    tokens::materialized::leave_out(&mut tokens);
    tokens::parameters::number(&mut tokens);
    tokens::odbc::unescape(&mut tokens)?;
    tokens::convert::to_cast(&mut tokens);
    tokens::numbers::to_decimal(&mut tokens);
    tokens::exponent::join(&mut tokens);
    tokens::session_words::without_parentheses(&mut tokens);
    tokens::set_schema::complete(&mut tokens);
    tokens::trim::name_space(&mut tokens);
    tokens::grouping_sets::flatten(&mut tokens);
    tokens::fetch::to_limit(&mut tokens);
    tokens::whole::to_query(&mut tokens);
    tokens::operands::to_query(&mut tokens);
    tokens::windows::resolve(&mut tokens)?;
    tokens::pivot::to_query(&mut tokens)?;
    let releases = tokens::versions::resolve(&mut tokens)?;
    let mut statement = statement(tokens).doing(|| "planning the query")?;
    rewrites::rewrite(&mut statement).doing(|| "planning the query")?;
    Ok(Parsed { statement, releases })
}

fn too_long(most: String) -> Error {
    Error::failed(
        "planning the query",
        format!("the statement is too long: it may have {most}"),
    )
    .hint("put what it lists into a table, or ask in several statements")
}

/// Writes what the engine plans wrongly and select lists are resolved by: the last that is done to a statement.
///
/// # Errors
/// None that a statement causes.
pub(super) fn finish(statement: &mut Statement) -> Result<(), DataFusionError> {
    rewrites::finish(statement)
}

/// The statement with `?` for each literal and without comments, on one line and not longer than a log should show.
pub(super) fn without_literals(sql: &str) -> String {
    shown(sql, |_| Shown::Whole)
}

/// The same of a statement that was not understood. What stands in quotes may be a text then, not a name; what follows a `#`
/// a comment; and what follows a sign that SQL does not have, anything.
pub(super) fn without_quotes(sql: &str) -> String {
    shown(sql, |token| match token {
        Token::Word(Word {
            quote_style: Some(_), ..
        }) => Shown::Replaced,
        Token::Char(_) => Shown::End,
        token if token.to_string().starts_with('#') => Shown::NotTheLine,
        _ => Shown::Whole,
    })
}

/// What is shown of a token that is neither a literal nor white space, and of what follows it.
enum Shown {
    Whole,
    /// `?` in its place.
    Replaced,
    /// Neither it nor the rest of its line.
    NotTheLine,
    /// Neither it nor the rest.
    End,
}

fn shown(sql: &str, of: impl Fn(&Token) -> Shown) -> String {
    let Ok(tokens) = tokenize(sql) else {
        return "(no SQL)".to_owned();
    };
    let mut tokens = tokens.into_iter().map(|TokenWithSpan { token, .. }| token);
    let mut shown = String::new();
    while let Some(token) = tokens.next() {
        match token {
            Token::Whitespace(_) if shown.ends_with(' ') => {}
            Token::Whitespace(_) => shown.push(' '),
            token if tokens::is_literal(&token) => shown.push('?'),
            token => match of(&token) {
                Shown::Whole => shown.push_str(&token.to_string()),
                Shown::Replaced => shown.push('?'),
                Shown::NotTheLine => {
                    tokens.find(|token| matches!(token, Token::Whitespace(Whitespace::Newline)));
                }
                Shown::End => break,
            },
        }
    }
    shown.trim().chars().take(LONGEST_SHOWN).collect()
}

/// A relation of FROM, as the text says it.
pub(super) fn relation(sql: &str) -> Result<TableFactor, DataFusionError> {
    Ok(Parser::new(&Grammar).try_with_sql(sql)?.parse_table_factor()?)
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, DataFusionError> {
    let tokens = Tokenizer::new(&Grammar, sql).tokenize_with_location();
    Ok(tokens.map_err(ParserError::from)?)
}

fn statement(tokens: Vec<TokenWithSpan>) -> Result<Statement, DataFusionError> {
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&Grammar)
        .with_recursion_limit(DEEPEST)
        .build()?;
    let mut statements = parser.parse_statements().map_err(|error| match error {
        DataFusionError::SQL(inner, _) if matches!(*inner, ParserError::RecursionLimitExceeded) => {
            rewrites::depth::too_deep(DEEPEST)
        }
        error => error,
    })?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(DataFusionError::Plan("there is no statement".to_owned())),
        (Some(_), false) => Err(DataFusionError::Plan("there is more than one statement".to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The statement as the engine gets it.
    fn read(sql: &str) -> String {
        parse(sql).unwrap().statement.to_string()
    }

    #[test]
    fn question_marks_become_numbered_outside_of_text_and_comments() {
        for (client, engine) in [
            (
                "select ?, '?', \"?\" from t where a = ? -- ?\nand b=?",
                "SELECT $1, '?', \"?\" FROM t WHERE a = $2 AND b = $3",
            ),
            ("select 'año ''?''', ?", "SELECT 'año ''?''', $1"),
            ("select $1, $2", "SELECT $1, $2"),
        ] {
            assert_eq!(read(client), engine);
        }
        assert!(parse("select 'unfinished ?").is_err());
    }

    #[test]
    fn odbc_escapes_become_sql() {
        for (client, engine) in [
            ("select {d '2024-02-29'}", "SELECT DATE '2024-02-29'"),
            (
                "select { ts '2024-02-29 10:00:00' }",
                "SELECT TIMESTAMP '2024-02-29 10:00:00'",
            ),
            (
                "select {fn upper({fn lower(a)})} from t",
                "SELECT upper(lower(a)) FROM t",
            ),
            ("select a like '\\_%' {escape '\\'}", "SELECT a LIKE '\\_%'"),
            ("select {'a': 1}", "SELECT {'a': 1}"),
        ] {
            assert_eq!(read(client), engine);
        }
    }

    #[test]
    fn version_as_of_names_the_release_and_leaves_the_rest_alone() {
        for (sql, expected) in [
            ("select 1", "SELECT 1"),
            (
                "select * from marts.x version as of 12 where a = 'version as of 3'",
                "SELECT * FROM release_12.marts.x WHERE a = 'version as of 3'",
            ),
            (
                "select * from x VERSION AS OF 2 y, lake.a.b version as of 3",
                "SELECT * FROM release_2.marts.x y, release_3.a.b",
            ),
            ("select version as of_ from t", "SELECT version AS of_ FROM t"),
            (
                "select \"a\"\"b\" from \"m\".\"x\" version as of 1",
                "SELECT \"a\"\"b\" FROM release_1.\"m\".\"x\"",
            ),
        ] {
            assert_eq!(read(sql), expected);
        }
        assert_eq!(
            parse("select * from a.b version as of 3").unwrap().releases,
            BTreeSet::from([3])
        );
        assert!(parse("select 1 + version as of 3").is_err());
    }

    #[test]
    fn what_is_logged_has_no_literals() {
        let sql =
            "select 'ana@x.es', 7.5, E'x', \"Name\" -- for Ana\n from t /* 'x' */  where a = $1 and b in (1, 'y')";
        assert_eq!(
            without_literals(sql),
            "select ?, ?, ?, \"Name\" from t where a = $1 and b in (?, ?)"
        );
        assert_eq!(without_literals("select 'secret"), "(no SQL)");
    }

    #[test]
    fn of_what_was_not_understood_nothing_in_quotes_is_logged() {
        for (sql, logged) in [
            (
                "select * from people where name = \"Ana López\" and city = `Jaén` -- for Ana",
                "select * from people where name = ? and city = ?",
            ),
            (
                "select a -- x\n# Ana López, 4111\nfrom t #ana\n where \"b\".c = 'x'",
                "select a from t where ?.c = ?",
            ),
            (
                "select a from t where name = “Ana López”",
                "select a from t where name =",
            ),
            ("select \"Ana López", "(no SQL)"),
        ] {
            assert_eq!(without_quotes(sql), logged, "{sql}");
        }
    }

    #[test]
    fn a_statement_that_is_too_long_is_refused() {
        let many = |count: usize| format!("select 1 where 1 in ({})", vec!["1"; count].join(","));
        assert!(parse(&many(20_000)).is_ok());
        for sql in [many(300_000), format!("select '{}'", "x".repeat(LONGEST))] {
            let error = parse(&sql).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("too long"), "{error}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        for name in ["x".repeat(1025), format!("\"{}\"", "é".repeat(600))] {
            let error = parse(&format!("select {name}")).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("name is too long"), "{error}");
        }
        assert!(parse(&format!("select {}", "x".repeat(1000))).is_ok());
    }

    #[test]
    fn clauses_that_are_not_here_are_refused_by_name() {
        let recursive = "with recursive r(id) as (select 1 union all select id + 1 from r)";
        for (sql, said) in [
            (
                "select * from rows from (generate_series(1, 2), generate_series(3, 4))".to_owned(),
                "ROWS FROM",
            ),
            (
                format!("{recursive} search depth first by id set place select * from r"),
                "SEARCH DEPTH FIRST",
            ),
            (
                format!("{recursive} cycle id set is_cycle using path select * from r"),
                "CYCLE",
            ),
        ] {
            let error = parse(&sql).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(parse("select cycle, rows from t where cycle > 1").is_ok());
    }

    #[test]
    fn operands_in_parentheses_are_queries() {
        for (written, same) in [
            (
                "select 1 = any ((select 1) union (select 2))",
                "SELECT 1 = ANY(SELECT * FROM ((SELECT 1) UNION (SELECT 2)))",
            ),
            (
                "select 1 = any (values (1), (2))",
                "SELECT 1 = ANY(SELECT * FROM (VALUES (1), (2)))",
            ),
            ("select 1 union all (select 2)", "SELECT 1 UNION ALL (SELECT 2)"),
        ] {
            assert_eq!(read(written), read(same), "{written}");
        }
    }

    #[test]
    fn an_error_names_the_place_in_the_text_that_was_sent() {
        let error = parse("select {fn upper('a')},\n  a b c from t")
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("Line: 2, Column: 7"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_panics(sql in "[ -~ñ\n]{0,60}") {
            let _ = parse(&sql);
        }
    }
}
