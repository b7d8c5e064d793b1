//! SQL Server's `convert(type, value[, style])`, whose type is before the value: as `cast(value as type format …)`.
//! (Microsoft, "CAST and CONVERT (Transact-SQL)".)

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{at, is_word, solid};

/// Types that may stand first. Another word there is a value: `convert(x, decimal)`.
const TYPES: &[&str] = &[
    "bigint",
    "binary",
    "bit",
    "boolean",
    "char",
    "date",
    "datetime",
    "datetime2",
    "datetimeoffset",
    "decimal",
    "double",
    "float",
    "int",
    "integer",
    "money",
    "nchar",
    "ntext",
    "numeric",
    "nvarchar",
    "real",
    "smalldatetime",
    "smallint",
    "smallmoney",
    "string",
    "text",
    "time",
    "timestamp",
    "tinyint",
    "uniqueidentifier",
    "varbinary",
    "varchar",
];

/// Rewrites each of them.
pub(in super::super) fn to_cast(tokens: &mut Vec<TokenWithSpan>) {
    let mut place = 0;
    while place < tokens.len() {
        let cast = match &tokens[place].token {
            word if is_word(word, "convert") => "cast",
            word if is_word(word, "try_convert") => "try_cast",
            _ => {
                place += 1;
                continue;
            }
        };
        if let Some((call, end)) = rewritten(tokens, place, cast) {
            drop(tokens.splice(place..=end, call));
        }
        place += 1;
    }
}

/// The call that begins at the place as a cast, and where it ends.
fn rewritten(tokens: &[TokenWithSpan], place: usize, cast: &str) -> Option<(Vec<TokenWithSpan>, usize)> {
    let open = solid(tokens, place + 1).filter(|&open| tokens[open].token == Token::LParen)?;
    let (parts, end) = arguments(tokens, open)?;
    let (data_type, value, style) = match parts.as_slice() {
        [data_type, value] => (*data_type, *value, None),
        [data_type, value, style] => (*data_type, *value, Some(*style)),
        _ => return None,
    };
    let names_type = |part: &[TokenWithSpan]| {
        let word = solid(part, 0).map(|first| &part[first].token);
        word.is_some_and(|word| TYPES.iter().any(|name| is_word(word, name)))
    };
    let is_bare = |part: &[TokenWithSpan]| part.iter().filter(|token| !is_space(token)).count() == 1;
    if !names_type(data_type) || names_type(value) && is_bare(value) {
        return None;
    }
    let template = match style {
        Some(style) => Some(template(
            &style.iter().map(|token| token.token.to_string()).collect::<String>(),
        )?),
        None => None,
    };
    let span = tokens[place].span;
    let word = |text: &str| at(Token::make_keyword(text), span);
    let space = || {
        at(
            Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space),
            span,
        )
    };
    let mut call = vec![word(cast), tokens[open].clone()];
    call.extend_from_slice(value);
    call.extend([space(), word("AS"), space()]);
    call.extend_from_slice(data_type);
    if let Some(template) = template.filter(|template| !template.is_empty()) {
        call.extend([space(), word("FORMAT"), space()]);
        call.push(at(Token::SingleQuotedString(template.to_owned()), span));
    }
    call.push(tokens[end].clone());
    Some((call, end))
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// What is between the commas of a parenthesis, and where it closes.
fn arguments(tokens: &[TokenWithSpan], open: usize) -> Option<(Vec<&[TokenWithSpan]>, usize)> {
    let (mut depth, mut start) = (0, open + 1);
    let mut parts = Vec::new();
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => {
                parts.push(tokens.get(start..place)?);
                return Some((parts, place));
            }
            Token::RParen => depth -= 1,
            Token::Comma if depth == 1 => {
                parts.push(tokens.get(start..place)?);
                start = place + 1;
            }
            _ => {}
        }
    }
    None
}

/// SQL Server's styles of times, as templates. (Microsoft, "CAST and CONVERT", "Date and time styles".)
fn template(style: &str) -> Option<&'static str> {
    let style = style.trim();
    Some(match style {
        "0" | "100" => "Mon FMDD YYYY FMHH12:MIAM",
        "1" => "MM/DD/YY",
        "2" => "YY.MM.DD",
        "3" => "DD/MM/YY",
        "4" => "DD.MM.YY",
        "5" => "DD-MM-YY",
        "6" => "DD Mon YY",
        "7" => "Mon DD, YY",
        "8" | "24" | "108" => "HH24:MI:SS",
        "9" | "109" => "Mon FMDD YYYY FMHH12:MI:SS:MSAM",
        "10" => "MM-DD-YY",
        "11" => "YY/MM/DD",
        "12" => "YYMMDD",
        "13" | "113" => "DD Mon YYYY HH24:MI:SS:MS",
        "14" | "114" => "HH24:MI:SS:MS",
        "20" | "120" => "YYYY-MM-DD HH24:MI:SS",
        "21" | "25" | "121" => "YYYY-MM-DD HH24:MI:SS.MS",
        "22" => "MM/DD/YY HH12:MI:SS AM",
        "23" => "YYYY-MM-DD",
        "101" => "MM/DD/YYYY",
        "102" => "YYYY.MM.DD",
        "103" => "DD/MM/YYYY",
        "104" => "DD.MM.YYYY",
        "105" => "DD-MM-YYYY",
        "106" => "DD Mon YYYY",
        "107" => "Mon DD, YYYY",
        "110" => "MM-DD-YYYY",
        "111" => "YYYY/MM/DD",
        "112" => "YYYYMMDD",
        "126" => "YYYY-MM-DD\"T\"HH24:MI:SS.MS",
        "127" => "YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"",
        // Of numbers, money and bytes: these are read in any style.
        _ => return style.parse::<u8>().is_ok().then_some(""),
    })
}
