//! An object or array of JSON text in its parts, each as it is written.

use std::borrow::Cow;

use super::lexer::{Lexer, Malformed, Token};

/// A key with its quotes, and its value, as they are written.
pub type Entry<'j> = (&'j [u8], &'j [u8]);

/// The keys of an object, with their quotes, and their values, as they are written: those that are there twice too.
///
/// # Errors
/// The text is not an object.
pub fn entries(object: &[u8]) -> Result<Vec<Entry<'_>>, Malformed> {
    let mut entries = Vec::new();
    each(object, Token::Object, b'}', |lexer| {
        let (key, _) = lexer.key()?;
        let start = lexer.at;
        lexer.pass()?;
        entries.push((&object[key], &object[start..lexer.at]));
        Ok(())
    })?;
    Ok(entries)
}

/// The items of an array, as they are written.
///
/// # Errors
/// The text is not an array.
pub fn items(array: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut items = Vec::new();
    each(array, Token::Array, b']', |lexer| {
        let start = lexer.at;
        lexer.pass()?;
        items.push(&array[start..lexer.at]);
        Ok(())
    })?;
    Ok(items)
}

/// What a string says, of which `quoted` is all, its quotes included; `None` if that is not a string.
pub fn string(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice(quoted).ok().map(Cow::Owned)
}

fn each<'t>(
    text: &'t [u8],
    wanted: Token,
    close: u8,
    mut part: impl FnMut(&mut Lexer<'t>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut lexer = Lexer::new(text, 0);
    lexer.space();
    if lexer.value()? != wanted {
        return lexer.wrong("another kind of value");
    }
    let mut goes_on = lexer.open(close, 0)?;
    while goes_on {
        part(&mut lexer)?;
        goes_on = lexer.goes_on(close)?;
    }
    lexer.end()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn parts_are_as_they_are_written() {
        let text = br#" { "a" : 1.50 ,"\u0062":[1, {}],"a":null} "#;
        let entries: Vec<_> = entries(text).unwrap();
        assert_eq!(
            entries,
            [
                (&b"\"a\""[..], &b"1.50"[..]),
                (br#""\u0062""#, b"[1, {}]"),
                (b"\"a\"", b"null")
            ]
        );
        assert_eq!(string(entries[1].0).unwrap(), "b");
        assert_eq!(string(br#""\ud83d""#), None);
        assert_eq!(items(b"[1e5 , \"]\", []]").unwrap(), [&b"1e5"[..], b"\"]\"", b"[]"]);
        for wrong in ["", "{", "[1]", "{\"a\":}", "{} 1", "{\"a\":1,}"] {
            assert!(super::entries(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_those_of_serde_json(text in "[\\[\\]{}\",:0-9.eE+\\-tfn\\\\u ]{0,24}") {
            let expected = serde_json::from_str::<Vec<&RawValue>>(&text);
            let found = items(text.as_bytes());
            prop_assert_eq!(found.is_ok(), expected.is_ok());
            let expected = expected.unwrap_or_default();
            prop_assert!(found.unwrap_or_default().into_iter().eq(expected.iter().map(|item| item.get().as_bytes())));
        }
    }
}
