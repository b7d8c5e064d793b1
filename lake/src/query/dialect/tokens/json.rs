//! `?`, `?|` and `?&` of PostgreSQL's JSON, told from a parameter: `document ? 'name'`.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::solid;

/// Words that no value ends with.
const NOT_VALUES: [&str; 22] = [
    "all", "and", "as", "between", "by", "case", "distinct", "else", "from", "ilike", "in", "is", "like", "limit",
    "not", "offset", "on", "or", "select", "then", "when", "where",
];

/// Makes each `?` between a value and a text an operator.
pub(in super::super) fn tell_operators(tokens: &mut Vec<TokenWithSpan>) {
    let is_mark = |token: &TokenWithSpan| matches!(&token.token, Token::Placeholder(name) if name == "?");
    for place in (0..tokens.len()).rev() {
        if !is_mark(&tokens[place]) {
            continue;
        }
        let before = (0..place)
            .rev()
            .find(|&at| !matches!(tokens[at].token, Token::Whitespace(_)));
        let is_value = before.is_some_and(|at| match &tokens[at].token {
            Token::RParen | Token::RBracket | Token::SingleQuotedString(_) => true,
            Token::Word(word) => !NOT_VALUES.contains(&word.value.to_ascii_lowercase().as_str()),
            _ => false,
        });
        let pair = match tokens.get(place + 1).map(|token| &token.token) {
            Some(Token::Pipe) => Some(Token::QuestionPipe),
            Some(Token::Ampersand) => Some(Token::QuestionAnd),
            _ => None,
        };
        if let (true, Some(pair)) = (is_value, pair) {
            tokens[place].token = pair;
            tokens.remove(place + 1);
            continue;
        }
        let after = solid(tokens, place + 1);
        let is_text = after.is_some_and(|at| matches!(tokens[at].token, Token::SingleQuotedString(_)));
        if is_value && is_text {
            tokens[place].token = Token::Question;
        }
    }
}
