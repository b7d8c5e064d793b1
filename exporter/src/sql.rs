//! The SQL of an audience: read, and written anew.
//!
//! What a campaign says stands in parentheses behind which the consent is asked for. So it is never pasted: it is
//! taken apart into tokens, parsed as one query, and written again from the tokens, in the words that all servers
//! read alike. No comment goes on, every text stands in plain quotes and every quoted name in double ones, so that
//! there is nothing left by which a server could read the end of a text, or of the parentheses, elsewhere.

use std::ops::ControlFlow;

use cordada_core::sql_text::Dialect;
use sqlparser::ast::{Query, Select, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Word};

/// Parentheses within each other, and other things of that sort, at most.
const DEPTH: usize = 50;

/// One query that reads, and changes nothing.
#[derive(Debug, Clone)]
pub(crate) struct ReadQuery {
    /// What was understood of it.
    pub query: Box<Query>,
    /// How it is sent: it can stand between parentheses.
    pub text: String,
}

impl ReadQuery {
    /// Reads a statement, with or without a semicolon at its end.
    ///
    /// # Errors
    /// Why it is not one query, or what in it servers would not read alike.
    pub(crate) fn parse(statement: &str) -> Result<Self, String> {
        let dialect = GenericDialect {};
        let tokens = Tokenizer::new(&dialect, statement).tokenize();
        let tokens = tokens.map_err(|why| format!("it cannot be read as SQL: {}{}", why.message, why.location))?;
        let mut tokens: Vec<Token> = tokens
            .into_iter()
            .filter(|token| !matches!(token, Token::Whitespace(_)))
            .map(plain)
            .collect::<Result<_, _>>()?;
        while tokens.last() == Some(&Token::SemiColon) {
            tokens.pop();
        }
        if tokens.is_empty() {
            return Err("there is no query".to_owned());
        }
        if tokens.contains(&Token::SemiColon) {
            return Err("there is more than one statement".to_owned());
        }
        let words = tokens.iter().map(written).collect::<Result<Vec<_>, _>>()?;
        let mut parser = Parser::new(&dialect).with_recursion_limit(DEPTH).with_tokens(tokens);
        let query = parser
            .parse_query()
            .map_err(|why| format!("it is not a query: {why}"))?;
        match parser.peek_token().token {
            Token::EOF => {}
            other => return Err(format!("it is not a query: it goes on after its end with `{other}`")),
        }
        match query.visit(&mut OnlyReads) {
            ControlFlow::Continue(()) => Ok(Self {
                query,
                text: words.join(" "),
            }),
            ControlFlow::Break(what) => Err(format!("it is not a query that only reads: it has {what}")),
        }
    }
}

/// The token with plain quotes, whatever they were.
fn plain(token: Token) -> Result<Token, String> {
    Ok(match token {
        Token::SingleQuotedString(text)
        | Token::EscapedStringLiteral(text)
        | Token::NationalStringLiteral(text)
        | Token::UnicodeStringLiteral(text) => Token::SingleQuotedString(readable(text)?),
        Token::DollarQuotedString(text) => Token::SingleQuotedString(readable(text.value)?),
        Token::Word(word) if word.quote_style.is_some() => Token::Word(Word {
            quote_style: Some('"'),
            ..word
        }),
        other => other,
    })
}

/// The text, unless a server for which a backslash escapes would read its end elsewhere.
fn readable(text: String) -> Result<String, String> {
    match text.contains("\\'") || text.ends_with('\\') || text.contains('\0') {
        true => Err("a text in it has a backslash before a quote, which servers read differently".to_owned()),
        false => Ok(text),
    }
}

/// A token as it is sent.
fn written(token: &Token) -> Result<String, String> {
    let unclear = || format!("`{token}` in it is not read alike by all servers");
    let text = match token {
        Token::SingleQuotedString(text) => return Ok(Dialect::Standard.literal(text)),
        Token::HexStringLiteral(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            return Ok(format!("X'{digits}'"));
        }
        Token::Word(Word {
            value,
            quote_style: Some(_),
            ..
        }) if !value.contains('\0') => return Ok(Dialect::Standard.identifier(value)),
        Token::Word(word) => word.value.clone(),
        other => other.to_string(),
    };
    // What begins or ends a comment, a text or a name somewhere, and what stands for what is not here.
    let is_word = matches!(token, Token::Word(_));
    let strange = |c: char| "'\"`\\#${}?;\0".contains(c) || c.is_whitespace();
    let legal = |c: char| c.is_alphanumeric() || c == '_';
    let is_clear = match is_word {
        true => text.chars().all(legal),
        false => !text.contains(strange) && !text.contains("--") && !text.contains("/*") && !text.contains("*/"),
    };
    is_clear.then_some(text).ok_or_else(unclear)
}

/// Looks for what does more than read.
struct OnlyReads;

impl Visitor for OnlyReads {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                ControlFlow::Break("a statement that writes")
            }
            _ if !query.locks.is_empty() => ControlFlow::Break("locks"),
            _ if query.settings.is_some() || query.format_clause.is_some() || query.for_clause.is_some() => {
                ControlFlow::Break("settings")
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        match select.into {
            Some(_) => ControlFlow::Break("`into`"),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<&'static str> {
        ControlFlow::Break("another statement")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(statement: &str) -> Result<String, String> {
        ReadQuery::parse(statement).map(|read| read.text)
    }

    #[test]
    fn one_query_is_written_anew_in_plain_words() {
        for (statement, expected) in [
            ("select 1", "select 1"),
            ("\n select 1 ;\n;", "select 1"),
            (
                "select 'it''s', \"A \"\"b\", `c` -- done)\nfrom t /* ) ' */",
                "select 'it''s' , \"A \"\"b\" , \"c\" from t",
            ),
            ("select $$it's$$, $x$ ) -- $x$", "select 'it''s' , ' ) -- '"),
            ("select E'it\\'s', N'n', U&'\\0041'", "select 'it''s' , 'n' , 'A'"),
            ("select a.b::int - -1 from s.a", "select a . b :: int - - 1 from s . a"),
            (
                "with a as (select ';' as x) (select * from a) union all select x from a",
                "with a as ( select ';' as x ) ( select * from a ) union all select x from a",
            ),
            ("select a like 'a\\_b' from t", "select a like 'a\\_b' from t"),
        ] {
            assert_eq!(text(statement).unwrap(), expected);
        }
    }

    #[test]
    fn what_would_leave_its_parentheses_is_refused() {
        for (statement, why) in [
            (" ; ", "there is no query"),
            ("-- nothing", "there is no query"),
            ("select 1; drop table t", "there is more than one statement"),
            ("select * from t) a --", "it goes on after its end with `)`"),
            (
                "select * from t) as audience where true or (1 = 1",
                "it goes on after its end",
            ),
            ("select (1", "it is not a query"),
            ("select 'a", "it cannot be read as SQL"),
            ("select \"a", "it cannot be read as SQL"),
            ("select 1 /* ", "it cannot be read as SQL"),
            ("select $$a", "it cannot be read as SQL"),
            ("select E'\\\\'", "a backslash before a quote"),
            ("select '\\'", "a backslash before a quote"),
            ("select '\\''' or 1 = 1", "a backslash before a quote"),
            ("select $1", "is not read alike"),
            ("select a#b from t", "is not read alike"),
            ("delete from t", "it is not a query"),
            ("with a as (delete from t returning *) select * from a", "it"),
            ("select * into x from t", "`into`"),
            ("select * from t for update", "locks"),
        ] {
            let refused = text(statement).unwrap_err();
            assert!(refused.contains(why), "{statement}: {refused}");
        }
        let deep = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(text(&deep).is_err());
    }

    proptest! {
        /// What is taken means the same in its new words, has no comment in it, and ends where it ends.
        #[test]
        fn any_text_is_refused_or_stays_in_its_parentheses(
            statement in "(select|values|with|a|1| |'|\"|`|\\$|\\$\\$|E'|\\\\|\\(|\\)|/\\*|\\*/|--|\n|;|,|#|from|union){0,14}"
        ) {
            if let Ok(read) = ReadQuery::parse(&format!("select {statement}")) {
                let again = ReadQuery::parse(&read.text).unwrap();
                prop_assert_eq!(&again.text, &read.text);
                prop_assert_eq!(&again.query, &read.query);
                let within = ReadQuery::parse(&format!("select * from (\n{}\n) as audience where false", read.text));
                prop_assert!(within.unwrap().text.ends_with(") as audience where false"));
            }
        }
    }
}
