//! Planning a statement: read-only, with `version as of` a release.

use std::collections::BTreeSet;
use std::sync::Arc;

use cordada_core::{Context, Error, Result, TableName};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

use crate::lake::Lake;
use crate::query::catalog::{Handle, ReleaseCatalog};
use crate::query::session::{CATALOG, DEFAULT_SCHEMA};

/// Plans one read-only statement. `from marts.x version as of 12` reads `marts.x` as release 12 published it.
///
/// # Errors
/// Failed: the SQL is wrong (the message names what and what exists), or it would change something. Config: there is
/// no release of that number.
pub async fn plan(lake: &Lake, session: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let (sql, releases) = resolve_versions(sql)?;
    for number in releases {
        let name = release_catalog(number);
        if session.catalog(&name).is_none() {
            let release = lake.releases().get(number).await?;
            let catalog = ReleaseCatalog::new(lake.clone(), release, Default::default());
            session.register_catalog(name, Arc::new(Handle(catalog)));
        }
    }
    // Boxed because views are planned while planning.
    let plan = Box::pin(session.state().create_logical_plan(&sql))
        .await
        .doing(|| "planning the query")?;
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    read_only.verify_plan(&plan).map_err(|error| {
        Error::failed("planning the query", error.strip_backtrace())
            .hint("queries only read: tables are built by the SQL project and by ingestion")
    })?;
    Ok(plan)
}

/// The relations of the lake that a statement names.
///
/// # Errors
/// Failed: the SQL is wrong.
pub(crate) fn names(session: &SessionContext, sql: &str) -> Result<BTreeSet<TableName>> {
    let (sql, _) = resolve_versions(sql)?;
    let state = session.state();
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(&sql, &dialect).doing(|| "planning the query")?;
    let references = state
        .resolve_table_references(&statement)
        .doing(|| "planning the query")?;
    let in_lake = references.into_iter().filter_map(|reference| {
        let name = reference.resolve(CATALOG, DEFAULT_SCHEMA);
        (&*name.catalog == CATALOG).then(|| TableName::new(&*name.schema, &*name.table).ok())?
    });
    Ok(in_lake.collect())
}

fn release_catalog(number: u64) -> String {
    format!("release_{number}")
}

/// Rewrites `a.b version as of 12` to `release_12.a.b`, and says which releases are named.
///
/// On tokens and not on the syntax tree, because none of the parser's dialects has this clause together with the
/// rest of our SQL. Everything else of the text stays as it is, so that places in error messages stay right.
fn resolve_versions(sql: &str) -> Result<(String, BTreeSet<u64>)> {
    let mut releases = BTreeSet::new();
    let Ok(mut tokens) = Tokenizer::new(&GenericDialect {}, sql).with_unescape(false).tokenize() else {
        // The parser words the error better.
        return Ok((sql.to_owned(), releases));
    };
    while let Some((start, end, number)) = find_version(&tokens) {
        let number: u64 = number.parse().map_err(|_| {
            Error::failed(
                "planning the query",
                format!("`version as of {number}` is not a release number"),
            )
        })?;
        let name = name_before(&tokens, start)
            .ok_or_else(|| Error::failed("planning the query", "`version as of` must follow a table's name"))?;
        releases.insert(number);
        tokens.drain(start..end);
        let parts = tokens[name.clone()]
            .iter()
            .filter(|token| matches!(token, Token::Word(_)))
            .count();
        let schema = [Token::make_word(DEFAULT_SCHEMA, None), Token::Period];
        let catalog = [Token::make_word(&release_catalog(number), None), Token::Period];
        match parts {
            1 => drop(tokens.splice(name.start..name.start, catalog.into_iter().chain(schema))),
            2 => drop(tokens.splice(name.start..name.start, catalog)),
            _ if is_word(&tokens[name.start], CATALOG) => drop(tokens.splice(name.start..name.start + 2, catalog)),
            _ => {
                return Err(Error::failed(
                    "planning the query",
                    "`version as of` reads tables of the lake only",
                ));
            }
        }
    }
    if releases.is_empty() {
        return Ok((sql.to_owned(), releases));
    }
    Ok((tokens.iter().map(ToString::to_string).collect(), releases))
}

/// The tokens of the first `version as of N`: its range, and N.
fn find_version(tokens: &[Token]) -> Option<(usize, usize, String)> {
    (0..tokens.len()).find_map(|start| {
        let mut rest = tokens
            .iter()
            .enumerate()
            .skip(start)
            .filter(|(_, token)| !matches!(token, Token::Whitespace(_)));
        for word in ["version", "as", "of"] {
            if !is_word(rest.next()?.1, word) {
                return None;
            }
        }
        match rest.next()? {
            (at, Token::Number(number, _)) if is_word(&tokens[start], "version") => {
                Some((start, at + 1, number.clone()))
            }
            _ => None,
        }
    })
}

/// The tokens of the dotted name that ends before `end`.
fn name_before(tokens: &[Token], end: usize) -> Option<std::ops::Range<usize>> {
    let last = (0..end).rev().find(|&at| !matches!(tokens[at], Token::Whitespace(_)))?;
    let mut start = last;
    matches!(tokens[last], Token::Word(_)).then_some(())?;
    while start >= 2 && tokens[start - 1] == Token::Period && matches!(tokens[start - 2], Token::Word(_)) {
        start -= 2;
    }
    Some(start..last + 1)
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn version_as_of_names_the_release_and_leaves_the_rest_alone() {
        for (sql, expected) in [
            ("select 1", "select 1"),
            (
                "select * from marts.x version as of 12 where a = 'version as of 3'",
                "select * from release_12.marts.x  where a = 'version as of 3'",
            ),
            (
                "select * from x VERSION AS OF 2 y, lake.a.b version as of 3",
                "select * from release_2.marts.x  y, release_3.a.b ",
            ),
            ("select version as of_ from t", "select version as of_ from t"),
            (
                "select \"a\"\"b\" from \"m\".\"x\" version as of 1",
                "select \"a\"\"b\" from release_1.\"m\".\"x\" ",
            ),
        ] {
            assert_eq!(resolve_versions(sql).unwrap().0, expected);
        }
        assert_eq!(
            resolve_versions("from a.b version as of 3").unwrap().1,
            BTreeSet::from([3])
        );
        assert!(resolve_versions("select 1 + version as of 3").is_err());
    }
}
