//! Rewrites of tokens: what no grammar of the parser reads. One file a clause.
//!
//! A token that is put in has the place of the one that it stands for, so that places in error messages stay right.

use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

pub(super) mod absent;
pub(super) mod brackets;
pub(super) mod convert;
pub(super) mod exponent;
pub(super) mod fetch;
pub(super) mod grouping_sets;
pub(super) mod json;
pub(super) mod materialized;
pub(super) mod numbers;
pub(super) mod odbc;
pub(super) mod operands;
pub(super) mod parameters;
pub(super) mod pivot;
pub(super) mod session_words;
pub(super) mod set_schema;
pub(super) mod trim;
pub(super) mod versions;
pub(super) mod whole;
pub(super) mod windows;

/// The token, at the place of another.
pub(super) fn at(token: Token, span: Span) -> TokenWithSpan {
    TokenWithSpan { token, span }
}

/// Whether the token is that word, not in quotes. `word` is in lower case.
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(word))
}

/// Whether the token is a value: a number, or a text in any of its forms.
pub(super) fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::QuoteDelimitedStringLiteral(_)
            | Token::NationalQuoteDelimitedStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}

/// The place of the first token that is not white space or a comment, from `start` on.
pub(super) fn solid(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    (start..tokens.len()).find(|&at| !matches!(tokens[at].token, Token::Whitespace(_)))
}
