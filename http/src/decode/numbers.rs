//! Numbers that systems write as strings.

use serde_json::value::RawValue;

use super::rewrite::{Member, Notation};

/// JSON in which some fields, at any depth, are numbers that are written as strings, and nothing where an empty string
/// is. Which fields is for a manifest to say: nobody can tell an amount of `1.10` from an article's number.
pub(super) struct Decimals<'a> {
    pub(super) fields: &'a [String],
}

impl Notation for Decimals<'_> {
    const NAME: &'static str = "JSON";

    fn member(&self, _depth: usize, key: &str, value: &RawValue) -> Member {
        if !self.fields.iter().any(|field| field == key) {
            return Member::Stays;
        }
        let text = value.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match text.map(str::trim) {
            Some("") => Member::IsNull,
            Some(number) if is_whole(number) || is_fraction(number) => Member::Is(number.to_owned()),
            _ => Member::Stays,
        }
    }
}

/// Whether `text` is a decimal fraction as JSON writes it, without an exponent: `-0.50`, but not `.5`, `007.5` or `1`,
/// which may be a document's number.
pub(super) fn is_fraction(text: &str) -> bool {
    text.split_once('.')
        .is_some_and(|(whole, fraction)| is_whole(whole) && is_digits(fraction))
}

/// Whether `text` is a whole number as JSON writes it: `-12` and `0`, but not `007`, `+1` or `-0`.
pub(super) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    is_digits(digits) && (!digits.starts_with('0') || digits.len() == 1)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
