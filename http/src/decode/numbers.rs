//! Numbers that systems write as strings, and times whose zone they leave out.

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use serde_json::value::RawValue;

use super::rewrite::{Member, Notation};

/// What a manifest says of fields, at any depth: nobody can tell an amount of `1.10` from an article's number.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// Those that are numbers written as strings, with a point or a comma, and nothing where an empty string is.
    pub decimals: Vec<String>,
    /// Those whose times are written as in e-mails (RFC 2822).
    pub rfc2822: Vec<String>,
    /// Those whose times are UTC although they do not say so.
    pub utc: Vec<String>,
}

impl Fields {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.decimals.is_empty() && self.rfc2822.is_empty() && self.utc.is_empty()
    }
}

impl Notation for Fields {
    const NAME: &'static str = "JSON";

    fn member(&self, _depth: usize, key: &str, value: &RawValue) -> Member {
        let is = |fields: &[String]| fields.iter().any(|field| field == key);
        let text = value.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match text.map(str::trim) {
            Some("") if is(&self.decimals) => Member::IsNull,
            Some(number) if is(&self.decimals) => {
                let number = number.replacen(',', ".", 1);
                match is_whole(&number) || is_fraction(&number) {
                    true => Member::Is(number),
                    false => Member::Stays,
                }
            }
            Some(time) if is(&self.rfc2822) => match DateTime::parse_from_rfc2822(time) {
                Ok(at) => Member::Is(format!(
                    "\"{}\"",
                    at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
                )),
                Err(_) => Member::Stays,
            },
            Some(time) if is(&self.utc) && NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.f").is_ok() => {
                Member::Is(format!("\"{time}Z\""))
            }
            _ => Member::Stays,
        }
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
