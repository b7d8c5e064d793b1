//! Whole numbers in hexadecimal, octal and binary digits: `0x1F`, `0o17`, `0b101`, as PostgreSQL 16 has them.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Writes them in decimal digits. `x'1F'`, which the tokenizer gives as the same token, stays: it is bytes.
pub(in super::super) fn to_decimal(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while at < tokens.len() {
        let (value, length) = match (&tokens[at].token, tokens.get(at + 1).map(|next| &next.token)) {
            (Token::HexStringLiteral(digits), _) if is_number(&tokens[at], digits) => (parse(digits, 16), 1),
            (Token::Number(zero, false), Some(Token::Word(word))) if zero == "0" && word.quote_style.is_none() => {
                let radix = match word.value.get(..1) {
                    Some("b" | "B") => 2,
                    Some("o" | "O") => 8,
                    _ => 0,
                };
                let beside = tokens[at].span.end == tokens[at + 1].span.start;
                let digits = word.value.get(1..).filter(|_| radix > 0 && beside);
                (digits.and_then(|digits| parse(digits, radix)), 2)
            }
            _ => (None, 1),
        };
        if let Some(value) = value {
            tokens[at].token = Token::Number(value.to_string(), false);
            tokens.drain(at + 1..at + length);
        }
        at += 1;
    }
}

/// Of `0x1F` there are two characters more than digits, of `x'1F'` three.
fn is_number(token: &TokenWithSpan, digits: &str) -> bool {
    let length = token.span.end.column.saturating_sub(token.span.start.column);
    token.span.start.line == token.span.end.line
        && usize::try_from(length).is_ok_and(|length| length == digits.len() + 2)
}

fn parse(digits: &str, radix: u32) -> Option<u128> {
    u128::from_str_radix(&digits.replace('_', ""), radix).ok()
}
