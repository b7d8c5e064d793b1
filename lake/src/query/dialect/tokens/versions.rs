//! `version as of`: a table as a release published it.
//!
//! On tokens and not on the syntax tree, because none of the parser's dialects has this clause together with the
//! rest of our SQL.

use std::collections::BTreeSet;
use std::ops::Range;

use cordada_core::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{at, is_word};
use crate::query::session::{CATALOG, DEFAULT_SCHEMA};

/// The catalog that a statement reads a release in.
pub(in crate::query) fn catalog(release: u64) -> String {
    format!("release_{release}")
}

/// Rewrites `a.b version as of 12` to `release_12.a.b`, and says which releases are named.
///
/// # Errors
/// Failed: it does not follow the name of a table of the lake, or does not name a release.
pub(in super::super) fn resolve(tokens: &mut Vec<TokenWithSpan>) -> Result<BTreeSet<u64>> {
    let mut releases = BTreeSet::new();
    while let Some((clause, number)) = find(tokens) {
        let number: u64 = number.parse().map_err(|_| {
            Error::failed(
                "planning the query",
                format!("`version as of {number}` is not a release number"),
            )
        })?;
        let name = name_before(tokens, clause.start)
            .ok_or_else(|| Error::failed("planning the query", "`version as of` must follow a table's name"))?;
        releases.insert(number);
        tokens.drain(clause);
        let place = tokens[name.start].span;
        let parts = tokens[name.clone()]
            .iter()
            .filter(|token| matches!(token.token, Token::Word(_)))
            .count();
        let word = |word: &str| [at(Token::make_word(word, None), place), at(Token::Period, place)];
        let catalog = word(&catalog(number)).into_iter();
        match parts {
            1 => drop(tokens.splice(name.start..name.start, catalog.chain(word(DEFAULT_SCHEMA)))),
            2 => drop(tokens.splice(name.start..name.start, catalog)),
            _ if is_word(&tokens[name.start].token, CATALOG) => {
                drop(tokens.splice(name.start..name.start + 2, catalog));
            }
            _ => {
                return Err(Error::failed(
                    "planning the query",
                    "`version as of` reads tables of the lake only",
                ));
            }
        }
    }
    Ok(releases)
}

/// The tokens of the first `version as of N`: its range, and N.
fn find(tokens: &[TokenWithSpan]) -> Option<(Range<usize>, String)> {
    (0..tokens.len()).find_map(|start| {
        if !is_word(&tokens[start].token, "version") {
            return None;
        }
        let mut rest = tokens
            .iter()
            .enumerate()
            .skip(start + 1)
            .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)));
        for word in ["as", "of"] {
            if !is_word(&rest.next()?.1.token, word) {
                return None;
            }
        }
        match rest.next()? {
            (
                last,
                TokenWithSpan {
                    token: Token::Number(number, _),
                    ..
                },
            ) => Some((start..last + 1, number.clone())),
            _ => None,
        }
    })
}

/// The tokens of the dotted name that ends before `end`.
fn name_before(tokens: &[TokenWithSpan], end: usize) -> Option<Range<usize>> {
    let is_name = |place: usize| matches!(tokens[place].token, Token::Word(_));
    let last = (0..end)
        .rev()
        .find(|&place| !matches!(tokens[place].token, Token::Whitespace(_)))?;
    let mut start = last;
    is_name(last).then_some(())?;
    while start >= 2 && tokens[start - 1].token == Token::Period && is_name(start - 2) {
        start -= 2;
    }
    Some(start..last + 1)
}
