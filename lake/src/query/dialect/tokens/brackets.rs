//! Names in brackets, as SQL Server quotes them: `[Order Details].[Unit Price]`.
//!
//! Brackets are arrays and subscripts too. After `.`, AS, FROM or JOIN they can be neither; in a statement that has such
//! a name, a bracket that holds a single word and is not a subscript is a name too.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::{at, is_word};

/// Quotes names in brackets as the parser reads them.
pub(in super::super) fn quote(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(|token| token.token == Token::LBracket) {
        return;
    }
    let are_names = places(tokens).any(|place| is_name_for_sure(tokens, place));
    if !are_names {
        return;
    }
    let mut place = 0;
    while place < tokens.len() {
        if tokens[place].token == Token::LBracket
            && let Some((name, end)) = content(tokens, place)
            && (is_name_for_sure(tokens, place) || may_be_name(tokens, place, &name))
        {
            let span = tokens[place].span;
            let word = at(Token::make_word(&name, Some('"')), span);
            drop(tokens.splice(place..end, [word]));
        }
        place += 1;
    }
}

/// Where brackets open.
fn places(tokens: &[TokenWithSpan]) -> impl Iterator<Item = usize> {
    (0..tokens.len()).filter(|&place| tokens[place].token == Token::LBracket)
}

/// What the bracket holds, if it may be a name, and the place after it.
fn content(tokens: &[TokenWithSpan], open: usize) -> Option<(String, usize)> {
    let close = (open + 1..tokens.len()).find(|&place| tokens[place].token == Token::RBracket)?;
    let name: String = tokens[open + 1..close]
        .iter()
        .map(|token| token.token.to_string())
        .collect();
    let is_name = !name.trim().is_empty() && !name.contains(['\'', '"', '\n']);
    is_name.then_some((name, close + 1))
}

/// The solid token before this place.
fn before(tokens: &[TokenWithSpan], place: usize) -> Option<&Token> {
    let solid = tokens[..place].iter().rev();
    solid
        .map(|token| &token.token)
        .find(|token| !matches!(token, Token::Whitespace(_)))
}

fn is_name_for_sure(tokens: &[TokenWithSpan], place: usize) -> bool {
    let Some(before) = before(tokens, place) else {
        return false;
    };
    let introduces = *before == Token::Period || ["as", "from", "join"].iter().any(|word| is_word(before, word));
    introduces && content(tokens, place).is_some()
}

/// Whether nothing before the bracket could have a subscript, and what it holds looks like a name.
fn may_be_name(tokens: &[TokenWithSpan], place: usize, name: &str) -> bool {
    let is_subscript = match tokens[..place].last().map(|token| &token.token) {
        Some(Token::Word(Word { quote_style, value, .. })) => {
            quote_style.is_some() || !["select", "by", "on", "and", "or", "where"].contains(&&*value.to_lowercase())
        }
        Some(Token::RParen | Token::RBracket | Token::SingleQuotedString(_)) => true,
        _ => false,
    };
    let first_is_letter = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let is_plain = name
        .chars()
        .all(|each| each.is_alphanumeric() || "_ %-.#$€()/&".contains(each));
    !is_subscript && first_is_letter && is_plain
}
