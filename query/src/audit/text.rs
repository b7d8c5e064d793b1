//! The text of a statement as it may be kept: without what was asked for.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// Characters that are kept.
const LONGEST: usize = 8 << 10;

/// Bytes of a statement that is read for it: one of megabytes is literals, most of it.
const LONGEST_READ: usize = 256 << 10;

/// The statement with `?` for each literal, without comments, and at most 8,192 characters long. `None` if it is too long
/// to be read, or its tokens cannot be told, and so neither its literals.
pub(super) fn without_literals(sql: &str) -> Option<String> {
    if sql.len() > LONGEST_READ {
        return None;
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    let mut kept = String::with_capacity(sql.len().min(LONGEST));
    let mut length = 0;
    for token in &tokens {
        let text = match token {
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => " ".to_owned(),
            Token::Whitespace(_) => continue,
            Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_) => "?".to_owned(),
            other => other.to_string(),
        };
        if text == " " && kept.ends_with(' ') {
            continue;
        }
        length += text.chars().count();
        if length > LONGEST {
            kept.push('…');
            break;
        }
        kept.push_str(&text);
    }
    Some(kept.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_left_out() {
        for (sql, kept) in [
            (
                "select *\n  from t where name = 'O''Hara' and n > 1.5e3 -- of O'Hara\n limit 3",
                "select * from t where name = ? and n > ? limit ?",
            ),
            (
                "select \"a b\", E'x\\'y', x'ff', $$z$$ /* secret */ , $1",
                "select \"a b\", ?, ?, ? , $1",
            ),
            ("", ""),
        ] {
            assert_eq!(without_literals(sql).as_deref(), Some(kept));
        }
        assert_eq!(without_literals("select 'open"), None);
        let long = without_literals(&"a, ".repeat(10_000)).unwrap_or_default();
        assert!(long.chars().count() <= LONGEST + 1 && long.ends_with('…'));
    }
}
