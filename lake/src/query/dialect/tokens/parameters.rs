//! `?` for parameters, which the engine numbers.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// The n-th `?` becomes `$n`.
pub(in super::super) fn number(tokens: &mut [TokenWithSpan]) {
    let unnumbered = tokens.iter_mut().filter_map(|token| match &mut token.token {
        Token::Placeholder(name) if name == "?" => Some(name),
        _ => None,
    });
    for (before, name) in unnumbered.enumerate() {
        *name = format!("${}", before + 1);
    }
}
