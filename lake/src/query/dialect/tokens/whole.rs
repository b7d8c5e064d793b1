//! `table t` for `select * from t`, and `= any (values …)`, which the parser reads as calls of functions. (PostgreSQL, "SELECT"
//! and "VALUES".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use super::{at, is_word};

/// Writes queries of all columns in their place.
pub(in super::super) fn to_query(tokens: &mut Vec<TokenWithSpan>) {
    let has = |word: &str| tokens.iter().any(|token| is_word(&token.token, word));
    if !has("table") && !has("values") {
        return;
    }
    let solid: Vec<usize> = (0..tokens.len())
        .filter(|&place| !matches!(tokens[place].token, Token::Whitespace(_)))
        .collect();
    let is = |nth: Option<usize>, words: &[&str]| {
        let token = nth.and_then(|nth| solid.get(nth)).map(|&place| &tokens[place].token);
        token.is_some_and(|token| words.iter().any(|word| is_word(token, word)))
    };
    let opens = |nth: Option<usize>| {
        nth.and_then(|nth| solid.get(nth))
            .is_some_and(|&place| tokens[place].token == Token::LParen)
    };
    // Where `select * from` is put in, and what stands there goes on behind it or goes.
    let mut queries = vec![None; tokens.len()];
    let mut depth = Vec::new();
    for (nth, &place) in solid.iter().enumerate() {
        let before = nth.checked_sub(1);
        let begins = before.is_none() || opens(before) || is(before, &["union", "all", "except", "intersect"]);
        let is_name = solid
            .get(nth + 1)
            .is_some_and(|&next| matches!(tokens[next].token, Token::Word(_)));
        match &tokens[place].token {
            token if is_word(token, "table") && begins && is_name => queries[place] = Some(Put::Instead),
            Token::LParen => {
                let is_any =
                    is(before, &["any", "all", "some"]) && is(Some(nth + 1), &["values"]) && opens(Some(nth + 2));
                if is_any {
                    queries[place] = Some(Put::Within);
                }
                depth.push(is_any);
            }
            Token::RParen => queries[place] = depth.pop().unwrap_or_default().then_some(Put::Closed),
            _ => {}
        }
    }
    if queries.iter().all(Option::is_none) {
        return;
    }
    let mut out = Vec::with_capacity(tokens.len());
    for (token, put) in std::mem::take(tokens).into_iter().zip(queries) {
        let span = token.span;
        let space = || at(Token::Whitespace(Whitespace::Space), span);
        let select = || {
            let words = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
            words.map(|word| [at(word, span), space()]).into_iter().flatten()
        };
        match put {
            None => out.push(token),
            Some(Put::Instead) => out.extend(select()),
            Some(Put::Within) => {
                out.push(token.clone());
                out.extend(select());
                out.push(token);
            }
            Some(Put::Closed) => out.extend([token.clone(), token]),
        }
    }
    *tokens = out;
}

/// What is put in at a token.
#[derive(Clone, Copy)]
enum Put {
    /// The query, instead of the token.
    Instead,
    /// The query and a parenthesis, behind the one that is there.
    Within,
    /// A parenthesis that closes that one.
    Closed,
}
