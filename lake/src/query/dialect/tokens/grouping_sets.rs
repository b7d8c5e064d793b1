//! `grouping sets (grouping sets (a, b), ())`: sets within sets, which are sets among them. (PostgreSQL, "GROUPING SETS,
//! CUBE, and ROLLUP".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_word, solid};

/// Leaves out the words and the parentheses of those within others.
pub(in super::super) fn flatten(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(|token| is_word(&token.token, "sets")) {
        return;
    }
    // For each parenthesis that is open: whether it holds grouping sets, and whether it is to be left out.
    let mut open: Vec<(bool, bool)> = Vec::new();
    let mut left_out = Vec::new();
    let mut place = 0;
    while place < tokens.len() {
        if let Some(parenthesis) = sets(tokens, place) {
            let is_within = open.last().is_some_and(|&(holds_sets, _)| holds_sets);
            open.push((true, is_within));
            if is_within {
                left_out.extend(place..=parenthesis);
            }
            place = parenthesis + 1;
            continue;
        }
        match tokens[place].token {
            Token::LParen => open.push((false, false)),
            Token::RParen => {
                if let Some((_, true)) = open.pop() {
                    left_out.push(place);
                }
            }
            _ => {}
        }
        place += 1;
    }
    // In the order of their places.
    let mut left_out = left_out.into_iter().peekable();
    let mut place = 0;
    tokens.retain(|_| {
        let is_left_out = left_out.next_if_eq(&place).is_some();
        place += 1;
        !is_left_out
    });
}

/// The place of the parenthesis of `grouping sets (`, if that begins here.
fn sets(tokens: &[TokenWithSpan], place: usize) -> Option<usize> {
    let word = |place: usize, word: &str| is_word(&tokens[place].token, word).then_some(place);
    let sets = word(solid(tokens, word(place, "grouping")? + 1)?, "sets")?;
    solid(tokens, sets + 1).filter(|&place| tokens[place].token == Token::LParen)
}
