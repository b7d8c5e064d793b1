//! Numbers that systems write as strings.

use super::rewrite::Notation;

/// JSON whose decimal fractions are strings.
pub(super) struct DecimalStrings;

impl Notation for DecimalStrings {
    const NAME: &'static str = "JSON";

    fn string(&self, text: &str) -> Option<String> {
        is_fraction(text).then(|| text.to_owned())
    }
}

/// Whether `text` is a decimal fraction as JSON writes it, without an exponent: `-0.50`, but not `.5`, `007.5` or `1`,
/// which may be a document's number.
pub(super) fn is_fraction(text: &str) -> bool {
    text.split_once('.')
        .is_some_and(|(whole, fraction)| is_integer(whole) && is_digits(fraction))
}

/// Whether `text` is a whole number as JSON writes it: `-12` and `0`, but not `007`, `+1` or `-0`.
pub(super) fn is_whole(text: &str) -> bool {
    is_integer(text) && text != "-0"
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    is_digits(digits) && (!digits.starts_with('0') || digits.len() == 1)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
