//! What a policy says of whoever asks: `current_user()`, `current_role()` and `attribute('x')` become the values that they
//! have for one of its users. Before anything is planned, so that two users for whom a policy says the same share plans.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

/// Whom a policy is for.
pub(crate) struct Asker<'a> {
    pub user: &'a str,
    /// The role whose policy it is.
    pub role: &'a str,
    pub attributes: &'a BTreeMap<String, String>,
}

impl Asker<'_> {
    /// The SQL of a policy, for this user. An attribute that the user does not have is null.
    ///
    /// # Errors
    /// What is wrong with it: it is no SQL, not one expression, or does not say which attribute.
    pub(crate) fn fill(&self, sql: &str) -> Result<String, String> {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).with_unescape(false).tokenize();
        let tokens = tokens.map_err(|error| error.to_string())?;
        let mut filled = String::with_capacity(sql.len());
        let (mut at, mut depth, mut after_dot) = (0, 0_usize, false);
        while let Some(token) = tokens.get(at) {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.checked_sub(1).ok_or("a bracket is closed that none opened")?,
                Token::SemiColon => return Err("it is more than one expression".to_owned()),
                _ => {}
            }
            let word = match token {
                Token::Word(Word {
                    value,
                    quote_style: None,
                    ..
                }) if !after_dot => value.to_lowercase(),
                _ => String::new(),
            };
            let arguments = Arguments::of(&tokens, at + 1);
            let value = match (word.as_str(), arguments) {
                ("current_user", Some(Arguments { name: None, .. }) | None) => Some(Some(self.user)),
                ("current_role", Some(Arguments { name: None, .. }) | None) => Some(Some(self.role)),
                ("attribute", Some(Arguments { name: Some(name), .. })) => {
                    Some(self.attributes.get(name).map(String::as_str))
                }
                ("attribute", _) => return Err("write `attribute('name')`".to_owned()),
                _ => None,
            };
            match value {
                Some(value) => {
                    filled.push_str(&literal(value));
                    at = arguments.map_or(at + 1, |arguments| arguments.end);
                }
                None => {
                    filled.push_str(&token.to_string());
                    at += 1;
                }
            }
            if !matches!(token, Token::Whitespace(_)) {
                after_dot = matches!(token, Token::Period);
            }
        }
        match (depth, filled.trim().is_empty()) {
            (0, false) => Ok(filled),
            (0, true) => Err("it says nothing".to_owned()),
            _ => Err("a bracket is not closed".to_owned()),
        }
    }
}

/// What is between the brackets behind a name: nothing, or one text.
#[derive(Clone, Copy)]
struct Arguments<'a> {
    name: Option<&'a str>,
    /// The place behind them.
    end: usize,
}

impl<'a> Arguments<'a> {
    fn of(tokens: &'a [Token], start: usize) -> Option<Self> {
        let mut solid = (start..tokens.len()).filter(|&at| !matches!(tokens[at], Token::Whitespace(_)));
        if tokens[solid.next()?] != Token::LParen {
            return None;
        }
        let first = solid.next()?;
        match &tokens[first] {
            Token::RParen => Some(Self {
                name: None,
                end: first + 1,
            }),
            Token::SingleQuotedString(name) => {
                let last = solid.next()?;
                (tokens[last] == Token::RParen).then_some(Self {
                    name: Some(name),
                    end: last + 1,
                })
            }
            _ => None,
        }
    }
}

fn literal(value: Option<&str>) -> String {
    match value {
        Some(value) => format!("'{}'", value.replace('\'', "''")),
        None => "cast(null as varchar)".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_filled_for_whoever_asks() {
        let attributes = BTreeMap::from([("country".to_owned(), "Côte d'Ivoire".to_owned())]);
        let asker = Asker {
            user: "ana",
            role: "analyst",
            attributes: &attributes,
        };
        for (policy, filled) in [
            ("owner = current_user", "owner = 'ana'"),
            ("owner = CURRENT_USER( )", "owner = 'ana'"),
            ("x = current_role()", "x = 'analyst'"),
            (
                "c = attribute('country') and d = attribute ( 'no' )",
                "c = 'Côte d''Ivoire' and d = cast(null as varchar)",
            ),
            (
                "c = 'current_user' or t.current_user = \"attribute\"",
                "c = 'current_user' or t.current_user = \"attribute\"",
            ),
            ("c = 'it''s'", "c = 'it''s'"),
        ] {
            assert_eq!(asker.fill(policy).unwrap(), filled, "{policy}");
        }
        for wrong in ["", "attribute", "attribute(x)", "a) or (true", "(a", "true; drop", "'x"] {
            assert!(asker.fill(wrong).is_err(), "{wrong}");
        }
    }
}
