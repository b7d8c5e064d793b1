//! ODBC's escapes: `{fn …}`, `{d '…'}`, `{t '…'}`, `{ts '…'}`, `{oj …}`, `{escape '…'}`.
//! (Microsoft, ODBC Programmer's Reference, Appendix C, "ODBC escape sequences".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{at, solid};

/// What an open brace began.
enum Brace {
    /// An ODBC escape, whose closing brace goes.
    Escape,
    /// Something of the engine's own, which stays.
    Other,
}

/// Writes the escapes as SQL.
pub(in super::super) fn unescape(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(|token| token.token == Token::LBrace) {
        return;
    }
    let mut out = Vec::with_capacity(tokens.len());
    let mut braces = Vec::new();
    let mut place = 0;
    while let Some(token) = tokens.get(place) {
        match &token.token {
            Token::LBrace => match escape(tokens, place) {
                Some((keyword, last)) => {
                    out.extend(keyword.map(|keyword| at(Token::make_keyword(keyword), tokens[last].span)));
                    braces.push(Brace::Escape);
                    place = last;
                }
                None => {
                    out.push(token.clone());
                    braces.push(Brace::Other);
                }
            },
            Token::RBrace => match braces.pop() {
                Some(Brace::Escape) => {}
                _ => out.push(token.clone()),
            },
            _ => out.push(token.clone()),
        }
        place += 1;
    }
    *tokens = out;
}

/// If an ODBC escape begins at the brace: what stands for its beginning, and its last token.
fn escape(tokens: &[TokenWithSpan], brace: usize) -> Option<(Option<&'static str>, usize)> {
    let place = solid(tokens, brace + 1)?;
    let Token::Word(word) = &tokens[place].token else {
        return None;
    };
    let keyword = match word.value.to_ascii_lowercase().as_str() {
        "fn" | "oj" => None,
        "d" => Some("DATE"),
        "t" => Some("TIME"),
        "ts" => Some("TIMESTAMP"),
        "escape" => Some("ESCAPE"),
        _ => return None,
    };
    Some((keyword, place))
}
