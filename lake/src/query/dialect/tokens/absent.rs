//! Clauses that no grammar here reads: refused with what to write instead.

use cordada_core::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::{is_word, solid};

/// Bytes of the longest name. What is not found is compared with all that is there, which takes as long as both are.
const LONGEST_NAME: usize = 1024;

/// Refuses them, and names that are too long.
///
/// # Errors
/// Failed: the statement has one.
pub(in super::super) fn refuse(tokens: &[TokenWithSpan]) -> Result<()> {
    for (place, TokenWithSpan { token, .. }) in tokens.iter().enumerate() {
        let Token::Word(Word { value, .. }) = token else {
            continue;
        };
        if value.len() > LONGEST_NAME {
            return refused(
                format!("a name is too long: it may have {LONGEST_NAME} bytes"),
                "texts are in single quotes: 'text'",
            );
        }
        let follow = |words: &[&str]| follow(tokens, place, words);
        if follow(&["rows", "from"]).is_some_and(|next| tokens[next].token == Token::LParen) {
            return refused(
                "ROWS FROM is not supported".to_owned(),
                "lists come side by side as unnest(a, b); other functions with ordinality, joined by that",
            );
        }
        for order in ["depth", "breadth"] {
            if follow(&["search", order, "first", "by"]).is_some() {
                return refused(
                    format!("SEARCH {} FIRST is not supported", order.to_ascii_uppercase()),
                    "have the recursive query collect what it is to be ordered by: path || id for depth, depth + 1 for breadth",
                );
            }
        }
        if is_cycle(tokens, place) {
            return refused(
                "CYCLE is not supported".to_owned(),
                "have the recursive query collect the ids that it has seen, path || id, and stop at id = any (path)",
            );
        }
    }
    Ok(())
}

fn refused(what: String, instead: &'static str) -> Result<()> {
    Err(Error::failed("planning the query", what).hint(instead))
}

/// The place behind these words, if they are here.
fn follow(tokens: &[TokenWithSpan], start: usize, words: &[&str]) -> Option<usize> {
    let mut place = start;
    for word in words {
        if !is_word(&tokens[place].token, word) {
            return None;
        }
        place = solid(tokens, place + 1)?;
    }
    Some(place)
}

/// Whether `) cycle id set is_cycle` is here, behind a common table expression.
fn is_cycle(tokens: &[TokenWithSpan], place: usize) -> bool {
    if !is_word(&tokens[place].token, "cycle") {
        return false;
    }
    let mut before = tokens[..place].iter().rev();
    let is_behind_query = before
        .find(|token| !matches!(token.token, Token::Whitespace(_)))
        .is_some_and(|token| token.token == Token::RParen);
    // Columns, with commas between them, up to SET.
    let mut next = solid(tokens, place + 1);
    while let Some(column) = next.filter(|_| is_behind_query) {
        let Some(behind) = solid(tokens, column + 1) else {
            return false;
        };
        match (&tokens[column].token, &tokens[behind].token) {
            (Token::Word(_), Token::Comma) => next = solid(tokens, behind + 1),
            (Token::Word(_), token) => return is_word(token, "set"),
            _ => return false,
        }
    }
    false
}
