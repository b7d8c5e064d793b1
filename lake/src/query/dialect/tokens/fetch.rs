//! `fetch first (expression) rows only`: the parser reads a number there, and an expression behind LIMIT. (SQL:2016, 7.17,
//! "fetch first clause".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_word, solid};

/// Writes LIMIT where the number is in parentheses. With ties, the parentheses of a number are left out.
pub(in super::super) fn to_limit(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(|token| is_word(&token.token, "fetch")) {
        return;
    }
    let mut left_out = vec![false; tokens.len()];
    // For each parenthesis that is open: its place, and where FETCH is that it belongs to.
    let mut open = Vec::new();
    let mut before = [None, None];
    for place in 0..tokens.len() {
        match tokens[place].token {
            Token::Whitespace(_) => continue,
            Token::LParen => open.push((place, fetch(tokens, before))),
            Token::RParen => {
                if let Some((opens, Some(fetch))) = open.pop() {
                    if let Some(end) = rows_only(tokens, place + 1) {
                        tokens[fetch].token = Token::make_keyword("LIMIT");
                        left_out[fetch + 1..opens].fill(true);
                        left_out[place + 1..end].fill(true);
                    } else if is_number(tokens, opens, place) {
                        left_out[opens] = true;
                        left_out[place] = true;
                    }
                }
            }
            _ => {}
        }
        before = [before[1], Some(place)];
    }
    let mut left_out = left_out.into_iter();
    tokens.retain(|_| left_out.next() != Some(true));
}

/// The place of FETCH, if these two tokens are `fetch first`.
fn fetch(tokens: &[TokenWithSpan], before: [Option<usize>; 2]) -> Option<usize> {
    let [Some(fetch), Some(first)] = before else {
        return None;
    };
    let is = |place: usize, word: &str| is_word(&tokens[place].token, word);
    (is(fetch, "fetch") && (is(first, "first") || is(first, "next"))).then_some(fetch)
}

/// Where `rows only` ends, if that is next.
fn rows_only(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    let is = |place: usize, word: &str| is_word(&tokens[place].token, word);
    let rows = solid(tokens, start)?;
    let only = match is(rows, "rows") || is(rows, "row") {
        true => solid(tokens, rows + 1)?,
        false => rows,
    };
    is(only, "only").then_some(only + 1)
}

fn is_number(tokens: &[TokenWithSpan], opens: usize, closes: usize) -> bool {
    solid(tokens, opens + 1)
        .is_some_and(|at| matches!(tokens[at].token, Token::Number(..)) && solid(tokens, at + 1) == Some(closes))
}
