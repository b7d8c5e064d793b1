//! Numbers that systems write as strings, and times whose zone they leave out.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};
use serde_json::value::RawValue;

use super::rewrite::{Member, Notation};

/// What a manifest says of fields, at any depth: nobody can tell an amount of `1.10` from an article's number.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// Those that are numbers written as strings, with a point, and nothing where an empty string is.
    pub decimals: Vec<String>,
    /// Those that are numbers written as strings, with a comma: `1,5` is one and a half.
    pub decimal_commas: Vec<String>,
    /// Those whose times are written as in e-mails (RFC 2822).
    pub rfc2822: Vec<String>,
    /// Those whose times are UTC although they do not say so.
    pub utc: Vec<String>,
}

impl Fields {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.decimals.is_empty() && self.decimal_commas.is_empty() && self.rfc2822.is_empty() && self.utc.is_empty()
    }
}

impl Notation for Fields {
    const NAME: &'static str = "JSON";

    fn member(&self, _depth: usize, key: &str, value: &RawValue) -> Member {
        let is = |fields: &[String]| fields.iter().any(|field| field == key);
        let text = value.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match text.map(str::trim) {
            Some("") if is(&self.decimals) || is(&self.decimal_commas) => Member::IsNull,
            Some(number) if is(&self.decimal_commas) && !number.contains('.') => {
                of_number(&number.replacen(',', ".", 1))
            }
            Some(number) if is(&self.decimals) => of_number(number),
            Some(time) if is(&self.rfc2822) => match DateTime::parse_from_rfc2822(time) {
                Ok(at) => Member::Is(format!(
                    "\"{}\"",
                    at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
                )),
                Err(_) => Member::Stays,
            },
            Some(time) if is(&self.utc) => match time.split_once(['T', ' ']) {
                Some((day, time)) if is_time(day, time) => Member::Is(format!("\"{day}T{time}Z\"")),
                _ => Member::Stays,
            },
            _ => Member::Stays,
        }
    }
}

/// The number that a text is, if JSON writes it so.
fn of_number(text: &str) -> Member {
    match is_whole(text) || is_fraction(text) {
        true => Member::Is(text.to_owned()),
        false => Member::Stays,
    }
}

/// Whether they are a day and a time without a zone.
fn is_time(day: &str, time: &str) -> bool {
    NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok() && NaiveTime::parse_from_str(time, "%H:%M:%S%.f").is_ok()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::decode::with_fields;

    #[test]
    fn a_field_is_what_is_said_of_it_and_nothing_is_guessed() {
        let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let fields = Fields {
            decimals: fields(&["point"]),
            decimal_commas: fields(&["comma"]),
            utc: fields(&["at"]),
            ..Fields::default()
        };
        for (text, expected) in [
            (r#"{"point":"1.50","comma":"1,50"}"#, r#"{"point":1.50,"comma":1.50}"#),
            // A thousand and a half of a thousand are not told apart by their looks.
            (
                r#"{"point":"1,234","comma":"1.234"}"#,
                r#"{"point":"1,234","comma":"1.234"}"#,
            ),
            (r#"{"comma":"1.234,5"}"#, r#"{"comma":"1.234,5"}"#),
            (r#"{"comma":"-7","point":"-7"}"#, r#"{"comma":-7,"point":-7}"#),
            (r#"{"comma":"","point":" "}"#, r#"{"comma":null,"point":null}"#),
            (r#"{"at":"2026-01-02 03:04:05"}"#, r#"{"at":"2026-01-02T03:04:05Z"}"#),
            (
                r#"{"at":"2026-01-02T03:04:05.25"}"#,
                r#"{"at":"2026-01-02T03:04:05.25Z"}"#,
            ),
            (
                r#"{"at":"2026-01-02 03:04:05+01:00"}"#,
                r#"{"at":"2026-01-02 03:04:05+01:00"}"#,
            ),
            (r#"{"at":"2026-01-02"}"#, r#"{"at":"2026-01-02"}"#),
        ] {
            let found = with_fields(text.as_bytes(), &fields).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        }
    }
}
