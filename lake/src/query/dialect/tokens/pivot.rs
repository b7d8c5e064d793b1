//! DuckDB's statement `pivot t on k in ('a', 'b') using sum(x) group by g`: a query of t with an aggregate for each value.
//! (DuckDB, "PIVOT Statement".) Without GROUP BY it groups by all other columns, as the clause `from t pivot (…)` does.

use cordada_core::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::{at, is_word, solid};

/// Writes such statements as queries.
///
/// # Errors
/// Failed: the statement does not say which values it makes columns of.
pub(in super::super) fn to_query(tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    for place in (0..tokens.len()).rev() {
        if is_statement(tokens, place) {
            let end = end_of(tokens, place + 1);
            if let Some(statement) = Pivot::read(&tokens[place..end])? {
                let query = statement.query(tokens[place].span);
                tokens.splice(place..end, query);
            }
        }
    }
    Ok(())
}

/// Whether a statement, or a query in parentheses, begins with PIVOT there.
fn is_statement(tokens: &[TokenWithSpan], place: usize) -> bool {
    if !is_word(&tokens[place].token, "pivot") {
        return false;
    }
    let before = tokens[..place]
        .iter()
        .rfind(|before| !matches!(before.token, Token::Whitespace(_)));
    let opens = solid(tokens, place + 1).is_some_and(|next| tokens[next].token == Token::LParen);
    match before.map(|before| &before.token) {
        None | Some(Token::LParen) => true,
        // Behind WITH; `(select …) pivot (…)` is the clause.
        Some(Token::RParen) => !opens,
        _ => false,
    }
}

/// Where the parenthesis around closes, or the statement ends.
fn end_of(tokens: &[TokenWithSpan], start: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(start) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return place,
            Token::RParen => depth -= 1,
            Token::SemiColon if depth == 0 => return place,
            _ => {}
        }
    }
    tokens.len()
}

type Tokens = Vec<TokenWithSpan>;

/// What the statement says.
struct Pivot {
    source: Tokens,
    /// Each with its values.
    keys: Vec<(Tokens, Vec<Tokens>)>,
    /// Each with its name.
    aggregates: Vec<(Tokens, Option<Tokens>)>,
    groups: Tokens,
    /// ORDER BY and LIMIT.
    rest: Tokens,
}

impl Pivot {
    /// None: it is a name.
    fn read(statement: &[TokenWithSpan]) -> Result<Option<Self>> {
        let place = |words: &[&str]| top(statement, words).unwrap_or(statement.len());
        let rest = place(&["order", "limit", "offset"]);
        let group = place(&["group"]).min(rest);
        let using = place(&["using"]).min(group);
        let Some(on) = top(statement, &["on"]).filter(|&on| on < using) else {
            return Ok(None);
        };
        let mut keys = Vec::new();
        for key in split(&statement[on + 1..using]) {
            let values = top(&key, &["in"]).and_then(|within| {
                let values = solid(&key, within + 1).filter(|&open| key[open].token == Token::LParen)?;
                Some((within, &key[values + 1..end_of(&key, values + 1)]))
            });
            let Some((within, values)) = values else {
                let why = "PIVOT needs the list of values: a query's columns do not depend on its rows";
                return Err(
                    Error::failed("planning the query", why).hint("write PIVOT t ON k IN ('a', 'b') USING sum(x)")
                );
            };
            keys.push((key[..within].to_vec(), split(values)));
        }
        let mut aggregates: Vec<_> = split(&statement[(using + 1).min(group)..group])
            .into_iter()
            .map(|aggregate| match top(&aggregate, &["as"]) {
                Some(name) => (aggregate[..name].to_vec(), Some(aggregate[name + 1..].to_vec())),
                None => (aggregate, None),
            })
            .collect();
        let span = statement.first().map_or_else(Span::empty, |first| first.span);
        if aggregates.is_empty() {
            let count = [word("count"), Token::LParen, Token::Mul, Token::RParen];
            aggregates.push((count.map(|token| at(token, span)).to_vec(), None));
        }
        let by = top(&statement[group..rest], &["by"]).map_or(rest, |by| group + by + 1);
        Ok(Some(Self {
            source: statement[1..on].to_vec(),
            keys,
            aggregates,
            groups: statement[by..rest].to_vec(),
            rest: statement[rest..].to_vec(),
        }))
    }

    fn query(self, span: Span) -> Tokens {
        match self.groups.is_empty() {
            true => self.by_others(span),
            false => self.by_groups(span),
        }
    }

    /// `select g, sum(x) filter (where k = 'a') as "a" … from t group by g`
    fn by_groups(self, span: Span) -> Tokens {
        let mut query = Written::new(span);
        query.words("select").tokens(&self.groups);
        for values in combinations(&self.keys) {
            for (aggregate, name) in &self.aggregates {
                query.token(Token::Comma).tokens(aggregate);
                query.words("filter").token(Token::LParen).words("where true");
                for ((key, _), value) in self.keys.iter().zip(&values) {
                    query.words("and").token(Token::LParen).tokens(key).token(Token::RParen);
                    query
                        .token(Token::Eq)
                        .token(Token::LParen)
                        .tokens(value)
                        .token(Token::RParen);
                }
                let mut column: Vec<_> = values.iter().map(|value| text(value)).collect();
                match name {
                    Some(name) => column.push(text(name)),
                    None if self.aggregates.len() > 1 => column.push(text(aggregate)),
                    None => {}
                }
                query.token(Token::RParen).words("as");
                query.token(Token::make_word(&column.join("_"), Some('"')));
            }
        }
        query.words("from").tokens(&self.source);
        query.words("group by").tokens(&self.groups).tokens(&self.rest);
        query.0
    }

    /// `select * from t pivot (sum(x) for k in ('a', 'b'))`
    fn by_others(self, span: Span) -> Tokens {
        let mut query = Written::new(span);
        query
            .words("select")
            .token(Token::Mul)
            .words("from")
            .tokens(&self.source);
        query.words("pivot").token(Token::LParen);
        for (number, (aggregate, name)) in self.aggregates.iter().enumerate() {
            if number > 0 {
                query.token(Token::Comma);
            }
            query.tokens(aggregate);
            if let Some(name) = name {
                query.words("as").tokens(name);
            }
        }
        query.words("for");
        let keys: Vec<_> = self.keys.iter().map(|(key, _)| key.clone()).collect();
        query.row(&keys).words("in").token(Token::LParen);
        for (number, values) in combinations(&self.keys).iter().enumerate() {
            if number > 0 {
                query.token(Token::Comma);
            }
            query.row(values);
        }
        query.token(Token::RParen).token(Token::RParen).tokens(&self.rest);
        query.0
    }
}

/// Each value of the first key with each of the others.
fn combinations(keys: &[(Tokens, Vec<Tokens>)]) -> Vec<Vec<Tokens>> {
    keys.iter().fold(vec![Vec::new()], |before, (_, values)| {
        let with = |before: &Vec<Tokens>, value: &Tokens| [before.as_slice(), std::slice::from_ref(value)].concat();
        before
            .iter()
            .flat_map(|before| values.iter().map(move |value| with(before, value)))
            .collect()
    })
}

/// A query that is being written, in the place of the statement.
struct Written(Tokens, Span);

impl Written {
    fn new(span: Span) -> Self {
        Self(Vec::new(), span)
    }

    fn token(&mut self, token: Token) -> &mut Self {
        self.0.push(at(token, self.1));
        self
    }

    fn words(&mut self, words: &str) -> &mut Self {
        for each in words.split(' ') {
            self.token(word(each));
        }
        self
    }

    fn tokens(&mut self, tokens: &[TokenWithSpan]) -> &mut Self {
        self.0.extend_from_slice(tokens);
        self
    }

    /// One as it is, more in parentheses.
    fn row(&mut self, parts: &[Tokens]) -> &mut Self {
        if let [only] = parts {
            return self.tokens(only);
        }
        self.token(Token::LParen);
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                self.token(Token::Comma);
            }
            self.tokens(part);
        }
        self.token(Token::RParen)
    }
}

fn word(text: &str) -> Token {
    Token::make_word(text, None)
}

/// What a value, a name or an aggregate says.
fn text(tokens: &[TokenWithSpan]) -> String {
    let solid = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let one = |token: &TokenWithSpan| match &token.token {
        Token::SingleQuotedString(text) => text.clone(),
        Token::Word(word) => word.value.clone(),
        other => other.to_string(),
    };
    solid.map(one).collect()
}

/// The first of the words outside of parentheses.
fn top(tokens: &[TokenWithSpan], words: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && words.iter().any(|word| is_word(&token.token, word))
    })
}

/// The parts between commas outside of parentheses, none of nothing.
fn split(tokens: &[TokenWithSpan]) -> Vec<Tokens> {
    if solid(tokens, 0).is_none() {
        return Vec::new();
    }
    let mut depth = 0_usize;
    let mut parts = vec![Vec::new()];
    for token in tokens {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                parts.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(token.clone());
        }
    }
    parts
}
