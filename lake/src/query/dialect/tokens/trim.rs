//! `trim(trailing from a)`: white space is what is trimmed if nothing is named. (PostgreSQL, "String Functions".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{at, is_word, solid};

/// Names the space that is trimmed where nothing is, which the parser asks for.
pub(in super::super) fn name_space(tokens: &mut Vec<TokenWithSpan>) {
    for place in (0..tokens.len()).rev() {
        if let Some(from) = from_alone(tokens, place) {
            let space = at(Token::SingleQuotedString(" ".to_owned()), tokens[from].span);
            tokens.insert(from, space);
        }
    }
}

/// The place of FROM in `trim(trailing from`, if that is what is there.
fn from_alone(tokens: &[TokenWithSpan], place: usize) -> Option<usize> {
    let is = |place: usize, word: &str| is_word(&tokens[place].token, word);
    let opens = solid(tokens, place + 1).filter(|&next| is(place, "trim") && tokens[next].token == Token::LParen)?;
    let side = solid(tokens, opens + 1)?;
    let has_side = ["leading", "trailing", "both"].iter().any(|word| is(side, word));
    solid(tokens, side + 1).filter(|&from| has_side && is(from, "from"))
}
