//! Characters and parts of texts.

use std::borrow::Cow;

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::super::define::Takes::{Any, Integer, ShownItems, Text, TextOrBytes};
use super::super::define::{Definition, Gives, Row, text_of};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "len",
        takes: &[Any],
        gives: Gives::Integer(length),
        what: "The number of characters of a text, of bytes, or of items of a list.",
        syntax: "len(value)",
        example: "len('añb') = 3",
        ..Definition::PLAIN
    },
    Definition {
        name: "character_length",
        aliases: &["length", "char_length"],
        takes: &[Any],
        gives: Gives::Integer(length),
        what: "The number of characters of a text, of bytes, or of items of a list.",
        syntax: "character_length(value)",
        example: "length(decode('c3b1', 'hex')) = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "octet_length",
        takes: &[TextOrBytes],
        gives: Gives::Integer(|row| Ok(i32::try_from(row.bytes(0).len()).ok())),
        what: "The number of bytes of a text in UTF-8, or of bytes.",
        syntax: "octet_length(value)",
        example: "octet_length('añb') = 4",
        ..Definition::PLAIN
    },
    Definition {
        name: "bit_length",
        takes: &[TextOrBytes],
        gives: Gives::Integer(|row| Ok(i32::try_from(row.bytes(0).len().saturating_mul(8)).ok())),
        what: "The number of bits of a text in UTF-8, or of bytes.",
        syntax: "bit_length(value)",
        example: "bit_length('añb') = 32",
        ..Definition::PLAIN
    },
    Definition {
        name: "datalength",
        aliases: &["lengthb", "bytelength", "byte_length", "strlen"],
        takes: &[Any],
        gives: Gives::Integer(|row| {
            let Some((column, at)) = row.value(0) else {
                return Ok(None);
            };
            let bytes = match (text_of(&column.values, at), column.values.data_type()) {
                (Some(text), _) => text.len(),
                (None, DataType::Binary) => row.bytes(0).len(),
                (None, other) => other.primitive_width().unwrap_or_default(),
            };
            Ok(i32::try_from(bytes).ok())
        }),
        what: "The number of bytes that the value takes.",
        syntax: "datalength(value)",
        example: "datalength('añb') = 4",
        ..Definition::PLAIN
    },
    Definition {
        name: "unicode",
        aliases: &["ord", "codepoint"],
        takes: &[Text],
        gives: Gives::Integer(|row| {
            Ok(row
                .text(0)
                .chars()
                .next()
                .and_then(|c| i32::try_from(u32::from(c)).ok()))
        }),
        what: "The code point of the first character.",
        syntax: "unicode(text)",
        example: "unicode('ñ') = 241",
        ..Definition::PLAIN
    },
    Definition {
        name: "ascii",
        takes: &[Text],
        gives: Gives::Integer(|row| {
            Ok(row
                .text(0)
                .chars()
                .next()
                .map_or(Some(0), |c| i32::try_from(u32::from(c)).ok()))
        }),
        what: "The code point of the first character, 0 for an empty text.",
        syntax: "ascii(text)",
        example: "ascii('A') = 65",
        ..Definition::PLAIN
    },
    Definition {
        name: "chr",
        aliases: &["char", "nchar"],
        takes: &[Integer],
        gives: Gives::Text(|row| {
            let code = row.integer(0);
            match u32::try_from(code).ok().and_then(char::from_u32) {
                None | Some('\0') => exec_err!("no character has the code point {code}"),
                Some(c) => Ok(Some(c.to_string().into())),
            }
        }),
        what: "The character of that code point.",
        syntax: "chr(code)",
        example: "chr(65) = 'A'",
        ..Definition::PLAIN
    },
    Definition {
        name: "space",
        takes: &[Integer],
        gives: Gives::Text(|row| repeated(" ", row.integer(0))),
        what: "So many spaces.",
        syntax: "space(count)",
        example: "space(2) = '  '",
        ..Definition::PLAIN
    },
    Definition {
        name: "replicate",
        takes: &[Text, Integer],
        gives: Gives::Text(|row| repeated(row.text(0), row.integer(1))),
        what: "The text, so many times.",
        syntax: "replicate(text, count)",
        example: "replicate('ab', 3) = 'ababab'",
        ..Definition::PLAIN
    },
    Definition {
        name: "lpad",
        takes: &[Text, Integer, Text],
        optional: 1,
        gives: Gives::Text(|row| padded(row, true)),
        what: "The text with so many characters: filled on the left with spaces or with another text, or cut.",
        syntax: "lpad(text, count [, fill])",
        example: "lpad('7', 3, '0') = '007'",
        ..Definition::PLAIN
    },
    Definition {
        name: "rpad",
        takes: &[Text, Integer, Text],
        optional: 1,
        gives: Gives::Text(|row| padded(row, false)),
        what: "The text with so many characters: filled on the right with spaces or with another text, or cut.",
        syntax: "rpad(text, count [, fill])",
        example: "rpad('a', 3, 'xy') = 'axy'",
        ..Definition::PLAIN
    },
    Definition {
        name: "stuff",
        aliases: &["insert"],
        takes: &[Text, Integer, Integer, Text],
        sees_nulls: true,
        gives: Gives::Text(|row| {
            if (0..3).any(|place| row.is_null(place)) {
                return Ok(None);
            }
            let text: Vec<char> = row.text(0).chars().collect();
            let (start, count) = (row.integer(1), row.integer(2));
            let (Ok(start @ 1..), Ok(count)) = (usize::try_from(start), usize::try_from(count)) else {
                return Ok(None);
            };
            let Some((before, rest)) = text.split_at_checked(start - 1) else {
                return Ok(None);
            };
            let rest = rest.get(count.min(rest.len())..).unwrap_or_default();
            Ok(Some(
                before
                    .iter()
                    .copied()
                    .chain(row.text(3).chars())
                    .chain(rest.iter().copied())
                    .collect(),
            ))
        }),
        what: "The text with some of its characters replaced by another text; null if the place is outside of it.",
        syntax: "stuff(text, start, count, replacement)",
        example: "stuff('abcdef', 2, 3, 'XY') = 'aXYef'",
        ..Definition::PLAIN
    },
    Definition {
        name: "mid",
        takes: &[Text, Integer, Integer],
        optional: 1,
        gives: Gives::Text(|row| {
            let (text, start, count) = (row.text(0), row.integer(1), row.integer_or(2, i64::MAX));
            let characters = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            let first = if start < 0 { characters + start } else { start - 1 };
            let (Ok(first), true) = (usize::try_from(first), start != 0) else {
                return Ok(Some(Cow::Borrowed("")));
            };
            let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
            Ok(Some(text.chars().skip(first).take(count).collect()))
        }),
        what: "A part of the text; a negative start counts from the end.",
        syntax: "mid(text, start [, count])",
        example: "mid('abcdef', -3, 2) = 'de'",
        ..Definition::PLAIN
    },
    Definition {
        name: "split",
        aliases: &["str_split", "string_split", "split_to_array"],
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Texts(|row| {
            let (text, separator) = (row.text(0), row.text_or(1, ","));
            let parts: Vec<_> = match separator {
                "" => text.chars().map(|c| Some(c.to_string())).collect(),
                separator => text.split(separator).map(|part| Some(part.to_owned())).collect(),
            };
            Ok(Some(parts))
        }),
        what: "The parts of the text between the separators.",
        syntax: "split(text [, separator])",
        example: "split('a,b', ',') = ['a', 'b']",
        ..Definition::PLAIN
    },
    Definition {
        name: "strtok",
        takes: &[Text, Text, Integer],
        optional: 2,
        gives: Gives::Text(|row| {
            let delimiters = row.text_or(1, " ");
            let mut tokens = row
                .text(0)
                .split(|c| delimiters.contains(c))
                .filter(|token| !token.is_empty());
            let nth = usize::try_from(row.integer_or(2, 1))
                .ok()
                .and_then(|nth| nth.checked_sub(1));
            Ok(nth.and_then(|nth| tokens.nth(nth)).map(Cow::Borrowed))
        }),
        what: "The n-th part of the text between delimiters, each of which is a character; empty parts do not count.",
        syntax: "strtok(text [, delimiters [, n]])",
        example: "strtok('a.b c', '. ', 3) = 'c'",
        ..Definition::PLAIN
    },
    Definition {
        name: "strtok_to_array",
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Texts(|row| {
            let delimiters = row.text_or(1, " ");
            let tokens = row
                .text(0)
                .split(|c| delimiters.contains(c))
                .filter(|token| !token.is_empty());
            Ok(Some(tokens.map(|token| Some(token.to_owned())).collect()))
        }),
        what: "The parts of the text between delimiters, each of which is a character; empty parts do not count.",
        syntax: "strtok_to_array(text [, delimiters])",
        example: "strtok_to_array('a.b c', '. ') = ['a', 'b', 'c']",
        ..Definition::PLAIN
    },
    Definition {
        name: "initcap",
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Text(|row| {
            let text = row.text(0);
            let mut out = String::with_capacity(text.len());
            let mut begins = true;
            for c in text.chars() {
                match begins {
                    true => out.extend(c.to_uppercase()),
                    false => out.extend(c.to_lowercase()),
                }
                begins = match row.has(1) {
                    true => row.text(1).contains(c),
                    false => !c.is_alphanumeric(),
                };
            }
            Ok(Some(out.into()))
        }),
        what: "The text with the first letter of each word in upper case and the rest in lower case. Words end at what is \
               neither a letter nor a digit, or at the delimiters.",
        syntax: "initcap(text [, delimiters])",
        example: "initcap('hello wORLD') = 'Hello World'",
        ..Definition::PLAIN
    },
    Definition {
        name: "strip_accents",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(without_marks(row.text(0))))),
        what: "The text without accents and other marks of its letters.",
        syntax: "strip_accents(text)",
        example: "strip_accents('año') = 'ano'",
        ..Definition::PLAIN
    },
    Definition {
        name: "unaccent",
        aliases: &["remove_accents"],
        takes: &[Text],
        gives: Gives::Text(|row| {
            let text = without_marks(row.text(0));
            // Letters that are not composed: ß, æ, ø, ł.
            let is_latin = |c: char| matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}');
            if !text.chars().any(is_latin) {
                return Ok(Some(text));
            }
            let letter = |c: char| {
                if is_latin(c) {
                    any_ascii::any_ascii_char(c).to_owned()
                } else {
                    c.to_string()
                }
            };
            Ok(Some(text.chars().map(letter).collect::<String>().into()))
        }),
        what: "The text with Latin letters as those of English: without accents, `ß` as `ss`.",
        syntax: "unaccent(text)",
        example: "unaccent('Straße, Łódź') = 'Strasse, Lodz'",
        ..Definition::PLAIN
    },
    Definition {
        name: "normalize",
        aliases: &["nfc_normalize"],
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Text(|row| {
            let text = row.text(0);
            Ok(Some(match row.text_or(1, "NFC").to_ascii_uppercase().as_str() {
                "NFC" => text.nfc().collect(),
                "NFD" => text.nfd().collect(),
                "NFKC" => text.nfkc().collect(),
                "NFKD" => text.nfkd().collect(),
                other => return exec_err!("the form of normalize is NFC, NFD, NFKC or NFKD, not {other:?}"),
            }))
        }),
        what: "The text in a normal form of Unicode: NFC, NFD, NFKC or NFKD.",
        syntax: "normalize(text [, form])",
        example: "length(normalize('é', NFD)) = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "strcmp",
        takes: &[Text, Text],
        gives: Gives::Integer(|row| Ok(Some(row.text(0).cmp(row.text(1)) as i32))),
        what: "-1, 0 or 1 as the first text sorts before, with or behind the second.",
        syntax: "strcmp(a, b)",
        example: "strcmp('a', 'b') = -1",
        ..Definition::PLAIN
    },
    Definition {
        name: "elt",
        takes: &[Integer, Text],
        repeats: true,
        sees_nulls: true,
        gives: Gives::Text(|row| {
            let place = usize::try_from(row.integer(0)).unwrap_or_default();
            let is_one = place > 0 && !row.is_null(place);
            Ok(is_one.then(|| row.text(place).into()))
        }),
        what: "The n-th of the texts.",
        syntax: "elt(n, text, …)",
        example: "elt(2, 'a', 'b') = 'b'",
        ..Definition::PLAIN
    },
    Definition {
        name: "string_to_array",
        aliases: &["string_to_list"],
        takes: &[Text, Text, Text],
        optional: 1,
        sees_nulls: true,
        gives: Gives::Texts(|row| {
            if row.is_null(0) {
                return Ok(None);
            }
            let (text, null) = (row.text(0), (!row.is_null(2)).then(|| row.text(2)));
            let part = |part: &str| (Some(part) != null).then(|| part.to_owned());
            Ok(Some(match row.text(1) {
                _ if text.is_empty() => Vec::new(),
                _ if row.is_null(1) => text.chars().map(|c| part(c.encode_utf8(&mut [0; 4]))).collect(),
                "" => vec![part(text)],
                separator => text.split(separator).map(part).collect(),
            }))
        }),
        what: "The parts of the text between the separators; its characters if the separator is null. A part that is the \
               third argument is null.",
        syntax: "string_to_array(text, separator [, null])",
        example: "string_to_array('a,b', ',') = ['a', 'b']",
        ..Definition::PLAIN
    },
    Definition {
        name: "array_to_string",
        aliases: &["list_to_string", "array_join", "list_join"],
        takes: &[ShownItems, Text, Text],
        optional: 2,
        sees_nulls: true,
        gives: Gives::Text(|row| {
            if row.is_null(0) || (row.has(1) && row.is_null(1)) {
                return Ok(None);
            }
            let null = (!row.is_null(2)).then(|| row.text(2));
            let items = row.texts(0);
            let items = items
                .iter()
                .filter_map(|item| item.as_deref().or(null))
                .collect::<Vec<_>>();
            Ok(Some(items.join(row.text_or(1, ",")).into()))
        }),
        what: "The items as one text, with a separator between them. Nulls are left out, or are the third argument.",
        syntax: "array_to_string(array [, separator [, null]])",
        example: "array_to_string(array[1, null, 2], '-') = '1-2'",
        ..Definition::PLAIN
    },
];

fn length(row: Row<'_>) -> Result<Option<i32>> {
    let Some((column, at)) = row.value(0) else {
        return Ok(None);
    };
    let values = &column.values;
    let count = match (text_of(values, at), values.data_type()) {
        (Some(text), _) => text.chars().count(),
        (None, DataType::List(_)) => arrow::array::AsArray::as_list::<i32>(values).value(at).len(),
        (None, DataType::LargeList(_)) => arrow::array::AsArray::as_list::<i64>(values).value(at).len(),
        (None, DataType::Map(..)) => arrow::array::AsArray::as_map(values).value(at).len(),
        (None, DataType::Binary) => row.bytes(0).len(),
        (None, DataType::LargeBinary) => arrow::array::AsArray::as_binary::<i64>(values).value(at).len(),
        (None, DataType::BinaryView) => arrow::array::AsArray::as_binary_view(values).value(at).len(),
        (None, DataType::FixedSizeBinary(length)) => usize::try_from(*length).unwrap_or_default(),
        (None, _) => {
            let text = arrow::compute::cast(&values.slice(at, 1), &DataType::Utf8)?;
            text_of(&text, 0).map_or(0, |text| text.chars().count())
        }
    };
    Ok(i32::try_from(count).ok())
}

/// The longest text that a repetition may make.
const LONGEST: usize = 1 << 30;

fn repeated<'a>(text: &str, count: i64) -> Result<Option<Cow<'a, str>>> {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if text.len().saturating_mul(count) > LONGEST {
        return exec_err!("a text of {count} times {} bytes is too long", text.len());
    }
    Ok(Some(text.repeat(count).into()))
}

fn padded<'a>(row: Row<'a>, before: bool) -> Result<Option<Cow<'a, str>>> {
    let (text, fill) = (row.text(0), row.text_or(2, " "));
    let wanted = usize::try_from(row.integer(1).max(0)).unwrap_or(usize::MAX);
    if let Some((end, _)) = text.char_indices().nth(wanted) {
        return Ok(text.get(..end).map(Cow::Borrowed));
    }
    if fill.is_empty() {
        return Ok(Some(text.into()));
    }
    if wanted > LONGEST {
        return exec_err!("a text of {wanted} characters is too long");
    }
    let filled = fill.chars().cycle().take(wanted - text.chars().count());
    Ok(Some(match before {
        true => filled.chain(text.chars()).collect(),
        false => text.chars().chain(filled).collect(),
    }))
}

fn without_marks(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    text.nfd().filter(|c| !is_combining_mark(*c)).nfc().collect()
}
