//! Clauses of window functions that the parser does not read: `exclude …` at the end of a frame, and `from first`.
//! (PostgreSQL, "Window Function Calls"; SQL:2016, 6.10.)
//!
//! The parser's window has no place for what a frame excludes: it travels as the name of the window that this one begins
//! with, which `rewrites/windows.rs` takes out again.

use cordada_core::{Error, Result};
use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{at, is_word, solid};

/// What a frame leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Excluded {
    CurrentRow,
    Group,
    Ties,
}

impl Excluded {
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Excluded::CurrentRow => "CURRENT ROW",
            Excluded::Group => "GROUP",
            Excluded::Ties => "TIES",
        }
    }

    /// What travels as the name of a window, if it is not a window's.
    pub(in super::super) fn named(name: &Ident) -> Option<Excluded> {
        [Excluded::CurrentRow, Excluded::Group, Excluded::Ties]
            .into_iter()
            .find(|excluded| excluded.marker() == name.value)
    }

    fn marker(self) -> String {
        format!("\u{1}exclude {}", self.name())
    }
}

/// Moves what frames exclude to where the parser has a place for it, and drops `from first`.
///
/// # Errors
/// Failed: `from last`, which the engine does not compute.
pub(in super::super) fn resolve(tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    if !tokens
        .iter()
        .any(|token| is_word(&token.token, "over") || is_word(&token.token, "window"))
    {
        return Ok(());
    }
    let mut open = Vec::new();
    let mut place = 0;
    while place < tokens.len() {
        match &tokens[place].token {
            Token::LParen => open.push(place),
            Token::RParen => {
                open.pop();
                if let Some(end) = after(tokens, place + 1, &["from", "last", "over"]) {
                    let place = tokens[end - 1].span.start;
                    return Err(Error::failed(
                        "planning the query",
                        "FROM LAST is not supported; order the window the other way round",
                    )
                    .with("line", place.line));
                }
                if after(tokens, place + 1, &["from", "first", "over"]).is_some()
                    && let Some(end) = after(tokens, place + 1, &["from", "first"])
                {
                    tokens.drain(place + 1..end);
                }
            }
            Token::Word(_) => {
                if let Some((excluded, end)) = excluded(tokens, place) {
                    tokens.drain(place..end);
                    let (Some(excluded), Some(&start)) = (excluded, open.last()) else {
                        continue;
                    };
                    let span = tokens[start].span;
                    tokens.insert(start + 1, at(Token::make_word(&excluded.marker(), Some('"')), span));
                }
            }
            _ => {}
        }
        place += 1;
    }
    Ok(())
}

/// If `exclude …` ends a frame here: what it excludes, and where it ends.
fn excluded(tokens: &[TokenWithSpan], place: usize) -> Option<(Option<Excluded>, usize)> {
    if !is_word(&tokens[place].token, "exclude") {
        return None;
    }
    let (excluded, end) = [
        (Some(Excluded::CurrentRow), ["current", "row"].as_slice()),
        (Some(Excluded::Group), &["group"]),
        (Some(Excluded::Ties), &["ties"]),
        (None, &["no", "others"]),
    ]
    .into_iter()
    .find_map(|(excluded, words)| Some((excluded, after(tokens, place + 1, words)?)))?;
    let next = solid(tokens, end)?;
    (tokens[next].token == Token::RParen).then_some((excluded, end))
}

/// Where these words end, if they are the next.
fn after(tokens: &[TokenWithSpan], start: usize, words: &[&str]) -> Option<usize> {
    let mut end = start;
    for word in words {
        let next = solid(tokens, end)?;
        if !is_word(&tokens[next].token, word) {
            return None;
        }
        end = next + 1;
    }
    Some(end)
}
