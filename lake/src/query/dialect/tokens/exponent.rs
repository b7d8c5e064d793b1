//! `2 ** 3`: another way to write `2 ^ 3`.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Two stars without a space between them become the sign of a power.
pub(in super::super) fn join(tokens: &mut Vec<TokenWithSpan>) {
    let is_pair = |tokens: &[TokenWithSpan], place: usize| match tokens.get(place..place + 2) {
        Some([first, second]) => {
            first.token == Token::Mul && second.token == Token::Mul && first.span.end == second.span.start
        }
        _ => false,
    };
    for place in (0..tokens.len()).rev() {
        if is_pair(tokens, place) {
            tokens.remove(place + 1);
            tokens[place].token = Token::Caret;
        }
    }
}
