//! `set schema 'marts'`: the standard's way to write `set schema = 'marts'` (SQL:2016, 19.5, "set schema statement").

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{at, is_word, solid};

/// Puts the sign in where it is not written.
pub(in super::super) fn complete(tokens: &mut Vec<TokenWithSpan>) {
    let words = ["set", "schema"];
    let mut next = 0;
    for word in words {
        match solid(tokens, next) {
            Some(place) if is_word(&tokens[place].token, word) => next = place + 1,
            _ => return,
        }
    }
    if let Some(name) = solid(tokens, next)
        && matches!(tokens[name].token, Token::SingleQuotedString(_) | Token::Word(_))
        && !is_word(&tokens[name].token, "to")
    {
        let sign = at(Token::Eq, tokens[name].span);
        tokens.insert(name, sign);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::query::dialect::parse;

    #[test]
    fn a_schema_is_set_however_it_is_written() {
        for written in [
            "set schema 'marts'",
            "SET SCHEMA /* one */ 'marts' ;",
            "set schema = 'marts'",
            "set schema to 'marts'",
        ] {
            assert_eq!(
                parse(written).unwrap().statement.to_string().to_lowercase(),
                "set schema = 'marts'"
            );
        }
        assert_eq!(
            parse("set schema marts").unwrap().statement.to_string(),
            "SET schema = marts"
        );
    }
}
