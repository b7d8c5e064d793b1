//! A query in parentheses that begins with one in parentheses, or is VALUES, where the parser looks for SELECT:
//! `x = any ((select 1) union (select 2))`, `x in (values (1), (2))`. (PostgreSQL, "Subquery Expressions".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{at, is_word, solid};

/// Words of queries that are made of others, or of values.
const OPERATIONS: [&str; 4] = ["union", "except", "intersect", "values"];

/// Words before the parenthesis of a subquery, within an expression.
const BEFORE: [&str; 4] = ["any", "some", "all", "exists"];

/// Writes `select * from (…)` around each.
pub(in super::super) fn to_query(tokens: &mut Vec<TokenWithSpan>) {
    // For each parenthesis that is open: its place, and whether a set operation, or VALUES, is in it.
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut around: Vec<(usize, usize)> = Vec::new();
    for place in 0..tokens.len() {
        match &tokens[place].token {
            Token::LParen => open.push((place, false)),
            Token::RParen => {
                if let Some((opens, true)) = open.pop()
                    && begins_in_parentheses(tokens, opens)
                    && follows_operator(tokens, opens)
                {
                    around.push((opens, place));
                }
            }
            token @ Token::Word(_) => {
                if let Some((_, is_set)) = open.last_mut() {
                    *is_set |= OPERATIONS.iter().any(|word| is_word(token, word));
                }
            }
            _ => {}
        }
    }
    if around.is_empty() {
        return;
    }
    let mut is_around = vec![false; tokens.len()];
    for (opens, closes) in around {
        is_around[opens] = true;
        is_around[closes] = true;
    }
    let wrapped = std::mem::take(tokens).into_iter().zip(is_around);
    for (token, is_around) in wrapped {
        let (span, is_open) = (token.span, token.token == Token::LParen);
        tokens.push(token);
        if !is_around {
            continue;
        }
        let added = match is_open {
            true => vec![
                Token::make_keyword("SELECT"),
                Token::Mul,
                Token::make_keyword("FROM"),
                Token::LParen,
            ],
            false => vec![Token::RParen],
        };
        tokens.extend(added.into_iter().map(|token| at(token, span)));
    }
}

/// Whether an expression is wanted at the parenthesis: behind ANY and its kind, or behind a comparison.
fn follows_operator(tokens: &[TokenWithSpan], parenthesis: usize) -> bool {
    let before = |place: usize| {
        let mut before = tokens[..place].iter();
        before.rposition(|token| !matches!(token.token, Token::Whitespace(_)))
    };
    let Some(last) = before(parenthesis) else {
        return false;
    };
    match &tokens[last].token {
        Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => true,
        // `union all (…)` is a query, not an expression.
        token if is_word(token, "all") => before(last).is_none_or(|last| {
            let token = &tokens[last].token;
            !["union", "except", "intersect", "minus", "select"]
                .iter()
                .any(|word| is_word(token, word))
        }),
        token => BEFORE.iter().any(|word| is_word(token, word)),
    }
}

/// Whether what is in the parenthesis begins with a query in parentheses, or is VALUES.
fn begins_in_parentheses(tokens: &[TokenWithSpan], parenthesis: usize) -> bool {
    solid(tokens, parenthesis + 1).is_some_and(|first| {
        let token = &tokens[first].token;
        is_word(token, "values") || *token == Token::LParen && begins_query(tokens, first)
    })
}

/// Whether a query begins behind the parenthesis, or behind those that are open there.
fn begins_query(tokens: &[TokenWithSpan], parenthesis: usize) -> bool {
    let mut place = parenthesis;
    while let Some(next) = solid(tokens, place + 1) {
        match &tokens[next].token {
            Token::LParen => place = next,
            token => return ["select", "with", "values"].iter().any(|word| is_word(token, word)),
        }
    }
    false
}
