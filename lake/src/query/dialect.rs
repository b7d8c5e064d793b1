//! What clients write that the engine does not read: `?` for parameters, ODBC's escapes, `SHOW DATABASES`.

use std::borrow::Cow;
use std::fmt::Write as _;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// The statement as the engine reads it. What cannot be read as SQL at all stays as it is: the engine says why.
pub fn to_engine(sql: &str) -> Cow<'_, str> {
    if is_show_databases(sql) {
        return Cow::Borrowed("select distinct catalog_name as database_name from information_schema.schemata");
    }
    if !sql.contains(['?', '{']) {
        return Cow::Borrowed(sql);
    }
    match Tokenizer::new(&GenericDialect {}, sql)
        .with_unescape(false)
        .tokenize_with_location()
    {
        Ok(tokens) => Cow::Owned(rewrite(sql, &tokens)),
        Err(_) => Cow::Borrowed(sql),
    }
}

fn is_show_databases(sql: &str) -> bool {
    let mut words = sql.trim().trim_end_matches(';').split_whitespace();
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("show"))
        && words.next().is_some_and(|word| word.eq_ignore_ascii_case("databases"))
        && words.next().is_none()
}

/// What an open brace began.
enum Brace {
    /// An ODBC escape, whose closing brace goes.
    Escape,
    /// Something of the engine's own, which stays.
    Other,
}

fn rewrite(sql: &str, tokens: &[TokenWithSpan]) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    let mut place = Cursor::new(sql);
    let mut braces = Vec::new();
    let mut parameters = 0;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        place.move_to(token.span.start);
        let start = place.byte;
        let mut end_token = token;
        match &token.token {
            Token::Placeholder(name) if name == "?" => {
                parameters += 1;
                // Writing to a string does not fail.
                let _ = write!(out, "${parameters}");
            }
            Token::LBrace => match escape(tokens, at) {
                Some((keyword, last)) => {
                    out.push_str(keyword);
                    braces.push(Brace::Escape);
                    at = last;
                    end_token = &tokens[last];
                }
                None => {
                    out.push('{');
                    braces.push(Brace::Other);
                }
            },
            Token::RBrace => match braces.pop() {
                Some(Brace::Escape) => {}
                _ => out.push('}'),
            },
            _ => {
                place.move_to(token.span.end);
                out.push_str(&sql[start..place.byte]);
            }
        }
        place.move_to(end_token.span.end);
        at += 1;
    }
    out
}

/// If an ODBC escape begins at the brace: what stands for its beginning, and its last token.
fn escape(tokens: &[TokenWithSpan], brace: usize) -> Option<(&'static str, usize)> {
    let (at, word) = tokens[brace + 1..]
        .iter()
        .enumerate()
        .find_map(|(skipped, token)| match &token.token {
            Token::Whitespace(_) => None,
            other => Some((brace + 1 + skipped, other)),
        })?;
    let Token::Word(word) = word else { return None };
    let keyword = match word.value.to_ascii_lowercase().as_str() {
        "fn" | "oj" => "",
        "d" => "DATE",
        "t" => "TIME",
        "ts" => "TIMESTAMP",
        "escape" => "ESCAPE",
        _ => return None,
    };
    Some((keyword, at))
}

/// A place in the text that moves forward from one line and column to the next.
struct Cursor<'a> {
    rest: std::str::Chars<'a>,
    length: usize,
    byte: usize,
    line: u64,
    column: u64,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars(),
            length: text.len(),
            byte: 0,
            line: 1,
            column: 1,
        }
    }

    fn move_to(&mut self, location: Location) {
        while (self.line, self.column) < (location.line, location.column) {
            match self.rest.next() {
                Some('\n') => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
        }
        self.byte = self.length - self.rest.as_str().len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn question_marks_become_numbered_outside_of_text_and_comments() {
        for (client, engine) in [
            (
                "select ?, '?', \"?\" from t where a = ? -- ?\nand b=?",
                "select $1, '?', \"?\" from t where a = $2 -- ?\nand b=$3",
            ),
            ("select 'año ''?''', ?", "select 'año ''?''', $1"),
            ("select $1, $2", "select $1, $2"),
            ("select 'unfinished ?", "select 'unfinished ?"),
            (
                "show  Databases;",
                "select distinct catalog_name as database_name from information_schema.schemata",
            ),
        ] {
            assert_eq!(to_engine(client), engine);
        }
    }

    #[test]
    fn odbc_escapes_become_sql() {
        for (client, engine) in [
            ("select {d '2024-02-29'}", "select DATE '2024-02-29'"),
            (
                "select { ts '2024-02-29 10:00:00' }",
                "select TIMESTAMP '2024-02-29 10:00:00' ",
            ),
            (
                "select {fn upper({fn lower(a)})} from t",
                "select  upper( lower(a)) from t",
            ),
            ("select a like '\\_%' {escape '\\'}", "select a like '\\_%' ESCAPE '\\'"),
            ("select {'a': 1}", "select {'a': 1}"),
        ] {
            assert_eq!(to_engine(client), engine);
        }
    }

    proptest! {
        #[test]
        fn what_has_no_parameter_and_no_brace_is_untouched(sql in "[^?{}]*") {
            prop_assume!(!is_show_databases(&sql));
            prop_assert_eq!(to_engine(&sql), sql.as_str());
        }

        #[test]
        fn only_question_marks_change(parts in prop::collection::vec("[a-z ñ\n'\"(),-]{0,8}", 1..6)) {
            let sql = parts.join("?");
            let engine = to_engine(&sql);
            let back = |text: String, n: usize| text.replace(&format!("${n}"), "?");
            let numbered = (1..parts.len()).rev().fold(engine.into_owned(), back);
            prop_assert_eq!(numbered, sql);
        }
    }
}
