//! `with a as materialized (…)`: whether a query of WITH is computed once, which is not for the statement to say here.
//! (PostgreSQL, "WITH Queries".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_word, solid};

/// Drops `materialized` and `not materialized` between AS and the parenthesis.
pub(in super::super) fn leave_out(tokens: &mut Vec<TokenWithSpan>) {
    for place in (0..tokens.len()).rev() {
        if !is_word(&tokens[place].token, "materialized") {
            continue;
        }
        let opens = solid(tokens, place + 1).is_some_and(|next| tokens[next].token == Token::LParen);
        let mut before = (0..place)
            .rev()
            .filter(|&at| !matches!(tokens[at].token, Token::Whitespace(_)));
        let start = match (before.next(), before.next()) {
            (Some(as_), _) if is_word(&tokens[as_].token, "as") => place,
            (Some(not), Some(as_)) if is_word(&tokens[not].token, "not") && is_word(&tokens[as_].token, "as") => not,
            _ => continue,
        };
        if opens {
            tokens.drain(start..=place);
        }
    }
}
