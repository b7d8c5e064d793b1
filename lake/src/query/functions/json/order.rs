//! The order of values of JSON, as bytes in hexadecimal: two values are equal, or in order, as those are. It is that of PostgreSQL's
//! `jsonb`: null, strings, numbers, booleans, arrays, objects; arrays and objects of few parts before those of many. A value
//! alone counts as an array of it, so that an empty array is before all others. (PostgreSQL 15, chapter 8.14.4.)

use super::super::define::Takes::Text;
use super::super::define::{Definition, Gives};
use super::number::parts;
use super::scan::{Kind, Value};

/// What comparisons of JSON call.
pub(super) const NAME: &str = "_json_order";

/// What `nullif` of JSON calls.
pub(super) const NULLIF: &str = "_json_nullif";

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: NAME,
        takes: &[Text],
        // As text, by which frames of windows are found too.
        gives: Gives::Text(|row| Ok(Some(hexadecimal(&order(Value::parse(row.text(0))?)).into()))),
        ..Definition::PLAIN
    },
    Definition {
        name: NULLIF,
        takes: &[Text, Text],
        sees_nulls: true,
        gives: Gives::Json(|row| {
            if row.is_null(0) {
                return Ok(None);
            }
            let value = row.text(0);
            let is_equal = !row.is_null(1) && order(Value::parse(value)?) == order(Value::parse(row.text(1))?);
            Ok((!is_equal).then(|| value.into()))
        }),
        ..Definition::PLAIN
    },
];

/// What values begin with, in their order.
mod tag {
    pub const NULL: u8 = 1;
    pub const STRING: u8 = 2;
    pub const NUMBER: u8 = 3;
    pub const BOOLEAN: u8 = 4;
    pub const ARRAY: u8 = 5;
    pub const OBJECT: u8 = 6;
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn order(value: Value<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.raw().len() + 16);
    match value.kind() {
        Kind::Object => object(value, &mut out),
        Kind::Array => array(value, true, &mut out),
        _ => {
            begin(tag::ARRAY, 1, &mut out);
            out.push(0);
            write(value, &mut out);
        }
    }
    out
}

fn write(value: Value<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Null => out.push(tag::NULL),
        Kind::Boolean => out.extend([tag::BOOLEAN, u8::from(value.raw() == "true")]),
        Kind::String => {
            out.push(tag::STRING);
            string(&value.text(), out);
        }
        Kind::Number => {
            out.push(tag::NUMBER);
            number(value.raw(), out);
        }
        Kind::Array => array(value, false, out),
        Kind::Object => object(value, out),
    }
}

/// A tag, and of how many parts the value is.
fn begin(tag: u8, parts: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend(u32::try_from(parts).unwrap_or(u32::MAX).to_be_bytes());
}

/// An array that stands alone is behind a single value.
fn array(value: Value<'_>, alone: bool, out: &mut Vec<u8>) {
    begin(tag::ARRAY, value.items().count(), out);
    if alone {
        out.push(1);
    }
    for item in value.items() {
        write(item, out);
    }
}

fn object(value: Value<'_>, out: &mut Vec<u8>) {
    let mut members = value.unique_members();
    members.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    begin(tag::OBJECT, members.len(), out);
    for (name, value) in members {
        string(&name, out);
        write(value, out);
    }
}

/// The bytes of a text, and an end that is before all of them.
fn string(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(u8::MAX);
        }
    }
    out.extend([0, 0]);
}

/// A number by its sign, the place of its first digit, and its digits; those of a negative one the other way round.
fn number(raw: &str, out: &mut Vec<u8>) {
    let (negative, digits, last) = parts(raw);
    if digits.is_empty() {
        out.push(1);
        return;
    }
    out.push(if negative { 0 } else { 2 });
    let first = last.saturating_add(i64::try_from(digits.len()).unwrap_or(i64::MAX));
    let start = out.len();
    out.extend((first.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    out.extend(digits.bytes());
    out.push(0);
    if negative {
        for byte in out.iter_mut().skip(start) {
            *byte = !*byte;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<u8> {
        order(Value::read(json).unwrap())
    }

    #[test]
    fn values_are_in_postgresqls_order() {
        let ordered = [
            "[]",
            "null",
            r#""""#,
            r#""\u0000""#,
            r#""a""#,
            r#""aa""#,
            r#""b""#,
            "-1e3",
            "-12.5",
            "-12",
            "-0.001",
            "0",
            "0.00001",
            "1",
            "1.05",
            "9",
            "10",
            "1e400",
            "false",
            "true",
            "[null]",
            "[1]",
            "[3]",
            "[[]]",
            "[{}]",
            "[1,2]",
            "[1,3]",
            "{}",
            r#"{"aa":1}"#,
            r#"{"b":1}"#,
            r#"{"b":2}"#,
            r#"{"a":0,"b":1}"#,
        ];
        for pair in ordered.windows(2) {
            assert!(of(pair[0]) < of(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn values_are_equal_however_they_are_written() {
        for (a, b) in [
            ("1", "1.00"),
            ("100", "1e2"),
            ("0", "-0.0"),
            (r#""A""#, r#""\u0041""#),
            (r#"{"a":1,"b":[2.0]}"#, r#"{ "b" : [2], "a" : 9, "a" : 1 }"#),
        ] {
            assert_eq!(of(a), of(b), "{a} {b}");
        }
    }
}
