//! ODBC's escapes: `{fn …}`, `{d '…'}`, `{t '…'}`, `{ts '…'}`, `{guid '…'}`, `{interval …}`, `{oj …}`, `{escape '…'}`, and
//! `{call …}`, which is refused. (Microsoft, ODBC Programmer's Reference, Appendix C, "ODBC escape sequences", and
//! Appendix E, "Scalar functions".)
//!
//! Within `{fn …}` a name means what ODBC says. Where that is not what it means elsewhere, the call is written as one that
//! means it.

use std::ops::Range;

use cordada_core::{Context, Error, Result};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::{at, solid};
use crate::query::dialect::tokenize;

const DOING: &str = "planning the query";

/// What ODBC calls a function, how many arguments it has there, and the same in our SQL. Functions that are called and mean
/// the same in both are left out.
const CALLS: [(&str, usize, &str); 21] = [
    ("char", 1, "chr($1)"),
    ("curdate", 0, "current_date"),
    ("current_date", 0, "current_date"),
    ("current_time", 0, "current_time"),
    ("current_time", 1, "current_time"),
    ("curtime", 0, "current_time"),
    ("database", 0, "current_database()"),
    ("dayofmonth", 1, "date_part('day', $1)"),
    // From Sunday, which is 1.
    ("dayofweek", 1, "(date_part('dow', $1) + 1)"),
    ("dayofyear", 1, "date_part('doy', $1)"),
    ("ifnull", 2, "coalesce($1, $2)"),
    ("lcase", 1, "lower($1)"),
    // Blanks at the end do not count.
    ("length", 1, "character_length(rtrim($1))"),
    // The natural logarithm.
    ("log", 1, "ln($1)"),
    ("locate", 2, "strpos($2, $1)"),
    ("now", 0, "current_timestamp"),
    ("rand", 0, "random()"),
    // The seed makes no difference: no two statements share a sequence.
    ("rand", 1, "random()"),
    ("truncate", 2, "trunc($1, $2)"),
    ("ucase", 1, "upper($1)"),
    ("user", 0, "current_user"),
];

/// The types of `convert`, without their prefix `SQL_`. (Appendix D, "SQL data types".)
const TYPES: [(&str, &str); 27] = [
    ("bigint", "BIGINT"),
    ("binary", "BYTEA"),
    ("bit", "BOOLEAN"),
    ("char", "VARCHAR"),
    ("date", "DATE"),
    ("decimal", "DECIMAL"),
    ("double", "DOUBLE"),
    ("float", "DOUBLE"),
    ("guid", "VARCHAR"),
    ("integer", "INTEGER"),
    ("longvarbinary", "BYTEA"),
    ("longvarchar", "VARCHAR"),
    ("numeric", "DECIMAL"),
    ("real", "REAL"),
    ("smallint", "SMALLINT"),
    ("time", "TIME"),
    ("timestamp", "TIMESTAMP"),
    ("tinyint", "TINYINT"),
    ("type_date", "DATE"),
    ("type_time", "TIME"),
    ("type_timestamp", "TIMESTAMP"),
    ("varbinary", "BYTEA"),
    ("varchar", "VARCHAR"),
    ("wchar", "VARCHAR"),
    ("wlongvarchar", "VARCHAR"),
    ("wvarchar", "VARCHAR"),
    ("variant", "VARCHAR"),
];

/// The intervals of `timestampadd` and `timestampdiff`, without their prefix `SQL_TSI_`.
const INTERVALS: [(&str, &str); 9] = [
    ("frac_second", "nanosecond"),
    ("second", "second"),
    ("minute", "minute"),
    ("hour", "hour"),
    ("day", "day"),
    ("week", "week"),
    ("month", "month"),
    ("quarter", "quarter"),
    ("year", "year"),
];

/// What a brace begins.
enum Escape {
    /// The keyword takes the place of the escape's own.
    Literal(Option<&'static str>),
    Interval,
    /// What is in it is SQL as it stands.
    Plain,
    Function,
    Call,
}

/// Writes the escapes as SQL.
///
/// # Errors
/// Failed: an escape calls a procedure, names a type or interval that ODBC does not have, or does not end.
pub(in super::super) fn unescape(tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    // From the last to the first, so that what is within an escape is SQL already.
    for brace in (0..tokens.len()).rev() {
        if tokens[brace].token != Token::LBrace {
            continue;
        }
        let Some((escape, keyword)) = escape(tokens, brace) else {
            continue;
        };
        let Some(end) = closing(tokens, brace) else {
            return Err(Error::failed(DOING, "an ODBC escape `{…` has no `}`"));
        };
        let (inside, place) = (&tokens[keyword + 1..end], tokens[keyword].span);
        let written = match escape {
            Escape::Literal(None) | Escape::Plain => inside.to_vec(),
            Escape::Literal(Some(word)) => {
                let mut written = vec![at(Token::make_keyword(word), place)];
                written.extend_from_slice(inside);
                written
            }
            Escape::Interval => interval(inside, place),
            Escape::Function => function(inside)?,
            Escape::Call => {
                return Err(Error::failed(
                    DOING,
                    "procedures are not supported: there is nothing that `{call …}` calls",
                ));
            }
        };
        tokens.splice(brace..=end, written);
    }
    Ok(())
}

/// The escape that begins at the brace, if one does, and the place of its keyword.
fn escape(tokens: &[TokenWithSpan], brace: usize) -> Option<(Escape, usize)> {
    let first = solid(tokens, brace + 1)?;
    if matches!(tokens[first].token, Token::Placeholder(_)) {
        // `{? = call …}`.
        let call = solid(tokens, solid(tokens, first + 1)? + 1)?;
        return word(&tokens[call].token)
            .filter(|word| word == "call")
            .map(|_| (Escape::Call, call));
    }
    let keyword = word(&tokens[first].token)?;
    // `{d: 1}` is a structure.
    let next = &tokens[solid(tokens, first + 1)?].token;
    let is_text = matches!(next, Token::SingleQuotedString(_));
    let escape = match keyword.as_str() {
        "d" if is_text => Escape::Literal(Some("DATE")),
        "t" if is_text => Escape::Literal(Some("TIME")),
        "ts" if is_text => Escape::Literal(Some("TIMESTAMP")),
        "guid" if is_text => Escape::Literal(None),
        "escape" if is_text => Escape::Literal(Some("ESCAPE")),
        "interval" if is_text || matches!(next, Token::Minus | Token::Plus) => Escape::Interval,
        "oj" if matches!(next, Token::Word(_) | Token::LParen) => Escape::Plain,
        "fn" if matches!(next, Token::Word(_)) => Escape::Function,
        "call" if matches!(next, Token::Word(_)) => Escape::Call,
        _ => return None,
    };
    Some((escape, first))
}

/// The place of the brace that closes the one at `brace`.
fn closing(tokens: &[TokenWithSpan], brace: usize) -> Option<usize> {
    let mut depth = 0_usize;
    (brace..tokens.len()).find(|&place| {
        match tokens[place].token {
            Token::LBrace => depth += 1,
            Token::RBrace => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// `{interval -'163' hour(3)}`: the sign comes first, and there is no limit of digits to state.
fn interval(inside: &[TokenWithSpan], place: Span) -> Vec<TokenWithSpan> {
    let is_sign = |token: &TokenWithSpan| matches!(token.token, Token::Minus | Token::Plus);
    let signs = inside.iter().filter(|token| is_sign(token)).cloned();
    let mut written = vec![at(Token::LParen, place)];
    written.extend(signs);
    written.push(at(Token::make_keyword("INTERVAL"), place));
    let mut depth = 0_usize;
    for token in inside.iter().filter(|token| !is_sign(token)) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 => written.push(token.clone()),
            _ => {}
        }
    }
    written.push(at(Token::RParen, place));
    written
}

/// What is in `{fn …}`: a call, in our words.
fn function(inside: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let Some((name, place, arguments)) = call(inside) else {
        return Ok(inside.to_vec());
    };
    let arguments: Vec<_> = arguments.into_iter().map(|range| &inside[range]).collect();
    match (name.as_str(), arguments.as_slice()) {
        ("convert", [value, named]) => write("CAST($1 AS $2)", &[*value, &converted(named)?], place),
        ("timestampadd" | "timestampdiff", [unit, first, second]) => write(
            &format!("{name}($1, $2, $3)"),
            &[&unit_of(unit)?, *first, *second],
            place,
        ),
        (name, arguments) => {
            let known = CALLS
                .iter()
                .find(|(odbc, count, _)| *odbc == name && *count == arguments.len());
            known.map_or_else(|| Ok(inside.to_vec()), |(.., ours)| write(ours, arguments, place))
        }
    }
}

/// The name that is called, its place, and where its arguments are, if it is a call and nothing else.
fn call(inside: &[TokenWithSpan]) -> Option<(String, Span, Vec<Range<usize>>)> {
    let first = solid(inside, 0)?;
    let name = word(&inside[first].token)?;
    let open = solid(inside, first + 1)?;
    if inside[open].token != Token::LParen {
        return None;
    }
    let (mut arguments, mut start, mut depth) = (Vec::new(), open + 1, 0_usize);
    for place in open..inside.len() {
        match inside[place].token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.checked_sub(1)?,
            Token::Comma if depth == 1 => {
                arguments.push(start..place);
                start = place + 1;
            }
            _ => {}
        }
        if depth == 0 {
            if !arguments.is_empty() || solid(inside, start).is_some_and(|next| next < place) {
                arguments.push(start..place);
            }
            return solid(inside, place + 1)
                .is_none()
                .then_some((name, inside[first].span, arguments));
        }
    }
    None
}

/// Our words, in which `$1`, `$2` … stand for arguments.
fn write(ours: &str, arguments: &[&[TokenWithSpan]], place: Span) -> Result<Vec<TokenWithSpan>> {
    let mut written = Vec::new();
    for token in tokenize(ours).doing(|| DOING)? {
        match &token.token {
            Token::Placeholder(number) => {
                let number = number.trim_start_matches('$').parse::<usize>().ok();
                let argument = number.and_then(|number| arguments.get(number.checked_sub(1)?));
                written.extend(argument.into_iter().flat_map(|argument| argument.iter().cloned()));
            }
            _ => written.push(at(token.token, place)),
        }
    }
    Ok(written)
}

/// The type that `convert` names; what is not one of ODBC's is taken as it stands.
fn converted(named: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let Some((name, place)) = only_word(named) else {
        return Ok(named.to_vec());
    };
    let Some(short) = name.strip_prefix("sql_") else {
        return Ok(named.to_vec());
    };
    if short.starts_with("interval_") {
        return Ok(vec![at(Token::make_keyword("INTERVAL"), place)]);
    }
    match TYPES.iter().find(|(odbc, _)| *odbc == short) {
        Some((_, ours)) => Ok(vec![at(Token::make_keyword(ours), place)]),
        None => Err(Error::failed(DOING, format!("`{name}` is not a type of ODBC"))),
    }
}

/// The interval of `timestampadd` as a text; what is not one of ODBC's is taken as it stands.
fn unit_of(unit: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let Some((name, place)) = only_word(unit) else {
        return Ok(unit.to_vec());
    };
    let Some(short) = name.strip_prefix("sql_tsi_") else {
        return Ok(unit.to_vec());
    };
    match INTERVALS.iter().find(|(odbc, _)| *odbc == short) {
        Some((_, ours)) => Ok(vec![at(Token::SingleQuotedString((*ours).to_owned()), place)]),
        None => Err(Error::failed(DOING, format!("`{name}` is not an interval of ODBC"))),
    }
}

/// The word, in lower case, and its place, if there is nothing else.
fn only_word(tokens: &[TokenWithSpan]) -> Option<(String, Span)> {
    let first = solid(tokens, 0)?;
    let is_only = solid(tokens, first + 1).is_none();
    word(&tokens[first].token)
        .filter(|_| is_only)
        .map(|word| (word, tokens[first].span))
}

/// The word in lower case, if it is one and not in quotes.
fn word(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        _ => None,
    }
}
