//! `current_user()`: a word of the standard's, which other products write as a call.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_word, solid};

const WORDS: [&str; 2] = ["current_user", "session_user"];

/// Leaves out the parentheses, which the parser takes for those of a call of something else.
pub(in super::super) fn without_parentheses(tokens: &mut Vec<TokenWithSpan>) {
    for place in (0..tokens.len()).rev() {
        if !WORDS.iter().any(|word| is_word(&tokens[place].token, word)) {
            continue;
        }
        if let Some(open) = solid(tokens, place + 1)
            && tokens[open].token == Token::LParen
            && let Some(close) = solid(tokens, open + 1)
            && tokens[close].token == Token::RParen
        {
            tokens.drain(open..=close);
        }
    }
}
