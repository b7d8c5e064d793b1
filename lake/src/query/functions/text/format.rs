//! Texts made from values, and quoted for SQL.

use std::borrow::Cow;
use std::fmt::Write;

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::super::define::Takes::{Any, Integer, Number, Shown, Text};
use super::super::define::{Definition, Gives, Row, text_of};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "format",
        takes: &[Text, Shown],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Text(|row| if row.is_null(0) { Ok(None) } else { formatted(row) }),
        what: "The text with the arguments in the places of `%s` (as they are), `%I` (as a name of SQL) and `%L` (as a \
               literal); `%2$s` is the second one, `%-10s` ten characters wide, `%%` a percent sign. In a text without \
               these `{}` and `{0}` are places.",
        syntax: "format(text, value, …)",
        example: "format('%s-%s', 'a', 'b') = 'a-b'",
        ..Definition::PLAIN
    },
    Definition {
        name: "printf",
        aliases: &["format_string"],
        takes: &[Text, Any],
        optional: 1,
        repeats: true,
        sees_nulls: true,
        gives: Gives::Text(|row| if row.is_null(0) { Ok(None) } else { printed(row) }),
        what: "The text with the arguments in the places of `%s`, `%d`, `%f`, `%.2f`, `%x` and `%e`, as in C.",
        syntax: "printf(text, value, …)",
        example: "printf('%05.1f', 2.25) = '002.2'",
    },
    Definition {
        name: "format_number",
        takes: &[Number, Integer],
        gives: Gives::Text(|row| {
            let digits = usize::try_from(row.integer(1).clamp(0, 30)).unwrap_or_default();
            let text = format!("{:.digits$}", row.number_or(0, 0.0));
            let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |text| ("-", text));
            let (whole, fraction) = text
                .split_once('.')
                .map_or((text, None), |(whole, rest)| (whole, Some(rest)));
            let mut out = String::from(sign);
            for (place, digit) in whole.chars().enumerate() {
                if place > 0 && (whole.len() - place).is_multiple_of(3) {
                    out.push(',');
                }
                out.push(digit);
            }
            if let Some(fraction) = fraction {
                out.push('.');
                out.push_str(fraction);
            }
            Ok(Some(out.into()))
        }),
        what: "The number with that many digits behind the point, and a comma at each thousand.",
        syntax: "format_number(number, digits)",
        example: "format_number(1234.5, 2) = '1,234.50'",
        ..Definition::PLAIN
    },
    Definition {
        name: "quote_ident",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(name(row.text(0))))),
        what: "The text as a name of SQL, in quotes where it needs them.",
        syntax: "quote_ident(text)",
        example: "quote_ident('a b') = '\"a b\"'",
        ..Definition::PLAIN
    },
    Definition {
        name: "quote_literal",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(literal(row.text(0)).into()))),
        what: "The text as a literal of SQL.",
        syntax: "quote_literal(text)",
        example: "quote_literal('it''s') = '''it''''s'''",
        ..Definition::PLAIN
    },
    Definition {
        name: "quote_nullable",
        aliases: &["quote"],
        takes: &[Text],
        sees_nulls: true,
        gives: Gives::Text(|row| {
            Ok(Some(if row.is_null(0) {
                "NULL".into()
            } else {
                literal(row.text(0)).into()
            }))
        }),
        what: "The text as a literal of SQL; a null is the word NULL.",
        syntax: "quote_nullable(text)",
        example: "quote_nullable(null) = 'NULL'",
        ..Definition::PLAIN
    },
    Definition {
        name: "quotename",
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Text(|row| {
            let (open, close) = match row.text_or(1, "[") {
                "[" | "]" => ('[', ']'),
                "\"" => ('"', '"'),
                "'" => ('\'', '\''),
                "`" => ('`', '`'),
                "(" | ")" => ('(', ')'),
                "<" | ">" => ('<', '>'),
                "{" | "}" => ('{', '}'),
                _ => return Ok(None),
            };
            let inner = row.text(0).replace(close, &format!("{close}{close}"));
            Ok(Some(format!("{open}{inner}{close}").into()))
        }),
        what: "The text in brackets, or in the quotes that are named.",
        syntax: "quotename(text [, quote])",
        example: "quotename('a]b') = '[a]]b]'",
        ..Definition::PLAIN
    },
    Definition {
        name: "to_hex",
        aliases: &["hex"],
        takes: &[Any],
        gives: Gives::Text(|row| {
            let Some((column, at)) = row.value(0) else {
                return Ok(None);
            };
            let bytes = |bytes: &[u8]| {
                bytes.iter().fold(String::new(), |mut out, byte| {
                    // Writing to a text does not fail.
                    let _ = write!(out, "{byte:02x}");
                    out
                })
            };
            if let Some(text) = text_of(&column.values, at) {
                return Ok(Some(bytes(text.as_bytes()).into()));
            }
            Ok(Some(match column.values.data_type() {
                DataType::Binary => bytes(row.bytes(0)).into(),
                // A negative one has as many digits as its type.
                DataType::Int32 => format!("{:x}", i32::try_from(integer_at(row, 0)?).unwrap_or_default()).into(),
                _ => format!("{:x}", integer_at(row, 0)?).into(),
            }))
        }),
        what: "The integer, or the bytes of a text, in hexadecimal digits.",
        syntax: "to_hex(value)",
        example: "to_hex(255) = 'ff'",
        ..Definition::PLAIN
    },
    Definition {
        name: "to_bin",
        aliases: &["bin", "to_binary_digits"],
        takes: &[Integer],
        gives: Gives::Text(|row| Ok(Some(format!("{:b}", row.integer(0)).into()))),
        what: "The integer in binary digits.",
        syntax: "to_bin(integer)",
        example: "to_bin(5) = '101'",
        ..Definition::PLAIN
    },
    Definition {
        name: "to_oct",
        aliases: &["oct"],
        takes: &[Integer],
        gives: Gives::Text(|row| Ok(Some(format!("{:o}", row.integer(0)).into()))),
        what: "The integer in octal digits.",
        syntax: "to_oct(integer)",
        example: "to_oct(8) = '10'",
        ..Definition::PLAIN
    },
    Definition {
        name: "bar",
        takes: &[Number, Number, Number, Integer],
        optional: 1,
        gives: Gives::Text(|row| {
            let (value, low, high) = (row.number_or(0, 0.0), row.number_or(1, 0.0), row.number_or(2, 0.0));
            let width = row.integer_or(3, 80).clamp(0, 1000);
            let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
            let full = (share * width as f64).round();
            Ok(Some(
                "█".repeat(if full.is_finite() { full as usize } else { 0 }).into(),
            ))
        }),
        what: "A bar as long as the value is between two others.",
        syntax: "bar(value, low, high [, width])",
        example: "bar(1, 0, 2, 4) = '██'",
        ..Definition::PLAIN
    },
];

/// The text as a name: in quotes unless it is of lower-case letters, digits and underscores.
fn name(text: &str) -> Cow<'_, str> {
    let is_plain = |(place, c): (usize, char)| c == '_' || c.is_ascii_lowercase() || (place > 0 && c.is_ascii_digit());
    let is_reserved = [
        "select", "from", "where", "table", "order", "group", "user", "and", "or", "not", "null", "all",
    ];
    if !text.is_empty() && text.chars().enumerate().all(is_plain) && !is_reserved.contains(&text) {
        return text.into();
    }
    format!("\"{}\"", text.replace('"', "\"\"")).into()
}

fn literal(text: &str) -> String {
    let text = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\")),
        false => format!("'{text}'"),
    }
}

/// A field that is wider than this is refused.
const WIDEST: usize = 1 << 20;

/// PostgreSQL's `format`, or that of DuckDB and Python if there is no percent sign.
fn formatted<'a>(row: Row<'a>) -> Result<Option<Cow<'a, str>>> {
    let template = row.text(0);
    if !template.contains('%') && template.contains('{') {
        return braces(row, template).map(|text| Some(text.into()));
    }
    let mut out = String::with_capacity(template.len());
    let mut next = 1;
    let mut rest = template.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut digits = number(&mut rest);
        let mut place = None;
        if let Some(digits) = digits
            && rest.next_if_eq(&'$').is_some()
        {
            place = Some(digits);
        }
        if place.is_some() {
            digits = None;
        }
        let mut left = digits.is_none() && rest.next_if_eq(&'-').is_some();
        let mut width = if digits.is_some() { digits } else { number(&mut rest) };
        if width.is_none() && rest.next_if_eq(&'*').is_some() {
            let wanted = integer_at(row, next)?;
            next += 1;
            left |= wanted < 0;
            width = usize::try_from(wanted.unsigned_abs()).ok();
        }
        let kind = rest.next();
        let at = place.unwrap_or(next);
        if place.is_none() {
            next += 1;
        } else {
            next = at + 1;
        }
        if at == 0 || !row.has(at) {
            return exec_err!("format has too few arguments for its text");
        }
        let null = row.is_null(at);
        let text = match kind {
            Some('s') => row.text(at).into(),
            Some('I') if null => return exec_err!("a null is not a name of SQL"),
            Some('I') => name(row.text(at)),
            Some('L') if null => "NULL".into(),
            Some('L') => literal(row.text(at)).into(),
            _ => return exec_err!("format knows %s, %I, %L and %%"),
        };
        padded(&mut out, &text, width.unwrap_or_default(), left)?;
    }
    Ok(Some(out.into()))
}

fn number(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut value = None;
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        let digit = digit as usize - '0' as usize;
        value = Some(value.unwrap_or(0usize).saturating_mul(10).saturating_add(digit));
    }
    value
}

fn padded(out: &mut String, text: &str, width: usize, left: bool) -> Result<()> {
    if width > WIDEST {
        return exec_err!("a field may be {WIDEST} characters wide, not {width}");
    }
    let missing = " ".repeat(width.saturating_sub(text.chars().count()));
    match left {
        true => out.extend([text, &missing]),
        false => out.extend([&missing, text]),
    }
    Ok(())
}

/// `{}` is the next argument, `{1}` the second; `{{` is a brace.
fn braces(row: Row<'_>, template: &str) -> Result<String> {
    let mut out = String::with_capacity(template.len());
    let mut next = 1;
    let mut rest = template.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' if rest.next_if_eq(&'{').is_some() => out.push('{'),
            '}' if rest.next_if_eq(&'}').is_some() => out.push('}'),
            '{' => {
                let at = match number(&mut rest) {
                    Some(place) => place + 1,
                    None => next,
                };
                next += 1;
                if rest.next() != Some('}') || !row.has(at) {
                    return exec_err!("format has too few arguments for its text, or a brace that is not closed");
                }
                out.push_str(row.text(at));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The text of an argument of any type.
fn text_at(row: Row<'_>, place: usize) -> Result<String> {
    let Some((column, at)) = row.value(place) else {
        return exec_err!("printf has too few arguments for its text");
    };
    let text = arrow::compute::cast(&column.values.slice(at, 1), &DataType::Utf8)?;
    Ok(if row.is_null(place) {
        "NULL".to_owned()
    } else {
        text_of(&text, 0).unwrap_or_default().to_owned()
    })
}

fn integer_at(row: Row<'_>, place: usize) -> Result<i64> {
    let text = text_at(row, place)?;
    let whole = text.split('.').next().unwrap_or_default();
    match whole.parse() {
        Ok(integer) => Ok(integer),
        Err(_) => exec_err!("an integer is wanted, and {text:?} is not one"),
    }
}

fn number_at(row: Row<'_>, place: usize) -> Result<f64> {
    let text = text_at(row, place)?;
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => exec_err!("a number is wanted, and {text:?} is not one"),
    }
}

/// `printf` of C: flags `-`, `0`, `+`, space and `,`, a width, a precision, and a letter.
fn printed<'a>(row: Row<'a>) -> Result<Option<Cow<'a, str>>> {
    let mut out = String::new();
    let mut at = 1;
    let mut rest = row.text(0).chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = rest.next_if(|c| "-0+ #,".contains(*c)) {
            flags.push(flag);
        }
        let width = number(&mut rest).unwrap_or_default();
        let precision = rest
            .next_if_eq(&'.')
            .map(|_| number(&mut rest).unwrap_or_default().min(300));
        while rest.next_if(|c| matches!(c, 'l' | 'h')).is_some() {}
        let digits = precision.unwrap_or(6);
        let text = match rest.next() {
            Some('s') => {
                let text = text_at(row, at)?;
                precision.map_or(text.clone(), |most| text.chars().take(most).collect())
            }
            Some('d' | 'i' | 'u') => integer_at(row, at)?.to_string(),
            Some('f' | 'F') => format!("{:.digits$}", number_at(row, at)?),
            Some('e') => format!("{:.digits$e}", number_at(row, at)?),
            Some('g') => number_at(row, at)?.to_string(),
            Some('x') => format!("{:x}", integer_at(row, at)?),
            Some('X') => format!("{:X}", integer_at(row, at)?),
            Some('o') => format!("{:o}", integer_at(row, at)?),
            Some('c') => text_at(row, at)?.chars().take(1).collect(),
            _ => return exec_err!("printf knows %s, %d, %f, %e, %g, %x, %o, %c and %%"),
        };
        at += 1;
        let text = match flags.contains('+') && !text.starts_with('-') {
            true => format!("+{text}"),
            false => text,
        };
        if flags.contains('0') && !flags.contains('-') && width <= WIDEST {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            let zeros = "0".repeat(width.saturating_sub(text.chars().count()));
            out.extend([sign, &zeros, digits]);
        } else {
            padded(&mut out, &text, width, flags.contains('-'))?;
        }
    }
    Ok(Some(out.into()))
}
