//! How a value is written as text: in the one canonical way, or as its source wrote it, where that is known.
//!
//! Canonical are `true` and `false`; numbers in decimal without an exponent, a fraction's closing zeros or a negative
//! zero; dates and times in ISO 8601, with a fraction of 3 or 6 digits where there is one, and `Z`; records, lists and
//! maps as JSON without spaces, the keys of a record in their order and without those whose value is null. It depends on
//! the value alone, not on the type that held it, nor on what has landed beside it.

use std::collections::HashMap;
use std::io::Write;

use arrow::array::{Array, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, SecondsFormat, Timelike};
use chrono_tz::Tz;

use crate::clock::Clock;
use crate::{Error, Result};

/// How a column's values were written in their source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Spelling {
    /// In no way that the values tell, so canonically.
    #[default]
    Canonical,
    /// Numbers with at least so many digits after the point; `whole` says that whole numbers have them too.
    Fraction {
        /// The digits.
        digits: u16,
        /// Whether a whole number has a point.
        whole: bool,
    },
    /// Numbers as `1.5e3`.
    Exponent,
    /// `true` and `false` in these words.
    Truth(&'static [&'static str; 2]),
    /// Dates in a source whose times are of that zone.
    Date(Tz),
    /// Times in that form, those that carry no zone in this one.
    Time(TimeForm, Tz),
    /// Lists, whose items are written so.
    List(Box<Spelling>),
    /// Objects with these keys.
    Object(Vec<Key>),
}

/// `false` and `true`, in the letters that programs write them in.
pub const LOWER: &[&str; 2] = &["false", "true"];
/// See [`LOWER`].
pub const TITLE: &[&str; 2] = &["False", "True"];
/// See [`LOWER`].
pub const UPPER: &[&str; 2] = &["FALSE", "TRUE"];

/// A key of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As the source calls it.
    pub own: String,
    /// As the lake calls it.
    pub name: String,
    /// How its values were written.
    pub values: Spelling,
}

/// How the values of columns were written that landed before, by the columns' names.
pub type Former = HashMap<String, Spelling>;

/// Appends the value in that row, which is not null.
pub type Writer<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// The values as text.
///
/// # Errors
/// A type that tables do not hold.
pub fn text(array: &dyn Array, spelling: &Spelling) -> Result<StringArray> {
    let write = match array.data_type().is_nested() {
        true => json(array, spelling)?,
        false => plain(array, spelling)?,
    };
    let mut texts = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        bytes.clear();
        write(row, &mut bytes);
        texts.append_value(String::from_utf8_lossy(&bytes));
    }
    Ok(texts.finish())
}

/// Writes single values canonically.
///
/// # Errors
/// A type that tables do not hold, or that is nested.
pub fn canonical(array: &dyn Array) -> Result<Writer<'_>> {
    macro_rules! text {
        ($type:ty, $value:ident => $text:expr) => {{
            let values = array.as_primitive::<$type>();
            Box::new(move |row, bytes| {
                let $value = values.value(row);
                // Writing to memory cannot fail.
                let _ = write!(bytes, "{}", $text);
            })
        }};
    }
    Ok(match array.data_type() {
        DataType::Boolean => truth(array, LOWER),
        DataType::Int8 => text!(Int8Type, value => value),
        DataType::Int16 => text!(Int16Type, value => value),
        DataType::Int32 => text!(Int32Type, value => value),
        DataType::Int64 => text!(Int64Type, value => value),
        // Zero is added because that makes a negative zero a positive one.
        DataType::Float32 => text!(Float32Type, value => f64::from(value) + 0.0),
        DataType::Float64 => text!(Float64Type, value => value + 0.0),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            text!(Decimal128Type, value => decimal(value, scale, 0, false))
        }
        DataType::Date32 => text!(Date32Type, day => match Date32Type::to_naive_date_opt(day) {
            Some(date) => date.format("%Y-%m-%d").to_string(),
            None => day.to_string(),
        }),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            text!(TimestampMicrosecondType, micros => match DateTime::from_timestamp_micros(micros) {
                Some(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                None => micros.to_string(),
            })
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Box::new(move |row, bytes| bytes.extend_from_slice(values.value(row).as_bytes()))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Box::new(move |row, bytes| match std::str::from_utf8(values.value(row)) {
                Ok(text) => bytes.extend_from_slice(text.as_bytes()),
                Err(_) => {
                    bytes.extend_from_slice(b"\\x");
                    for byte in values.value(row) {
                        let _ = write!(bytes, "{byte:02x}");
                    }
                }
            })
        }
        other => {
            let why = format!("a table does not hold the type {other}");
            return Err(Error::failed("writing values as text", why));
        }
    })
}

/// Writes single values as they were written.
fn plain<'a>(array: &'a dyn Array, spelling: &'a Spelling) -> Result<Writer<'a>> {
    Ok(match (array.data_type(), spelling) {
        (DataType::Boolean, Spelling::Truth(words)) => truth(array, words),
        (DataType::Decimal128(_, scale), Spelling::Fraction { digits, whole }) => {
            let (values, scale) = (array.as_primitive::<Decimal128Type>(), *scale);
            Box::new(move |row, bytes| {
                let _ = write!(bytes, "{}", decimal(values.value(row), scale, *digits, *whole));
            })
        }
        (DataType::Float64, Spelling::Exponent) => {
            let values = array.as_primitive::<Float64Type>();
            Box::new(move |row, bytes| {
                let _ = write!(bytes, "{:e}", values.value(row));
            })
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), Spelling::Time(form, zone)) => {
            let (values, clock) = (array.as_primitive::<TimestampMicrosecondType>(), Clock::new(*zone));
            Box::new(move |row, bytes| form.write(values.value(row), &clock, bytes))
        }
        _ => canonical(array)?,
    })
}

fn truth<'a>(array: &'a dyn Array, words: &'static [&'static str; 2]) -> Writer<'a> {
    let values = array.as_boolean();
    Box::new(move |row, bytes| bytes.extend_from_slice(words[usize::from(values.value(row))].as_bytes()))
}

/// Writes values as JSON.
fn json<'a>(array: &'a dyn Array, spelling: &'a Spelling) -> Result<Writer<'a>> {
    Ok(match array.data_type() {
        DataType::Struct(fields) => {
            let keys: &[Key] = match spelling {
                Spelling::Object(keys) => keys,
                _ => &[],
            };
            let columns = fields.iter().zip(array.as_struct().columns()).map(|(field, values)| {
                let key = keys.iter().find(|key| key.name == *field.name());
                let own = key.map_or(field.name(), |key| &key.own);
                let spelling = key.map_or(&Spelling::Canonical, |key| &key.values);
                Ok((own, values, json(values.as_ref(), spelling)?))
            });
            let mut columns = columns.collect::<Result<Vec<_>>>()?;
            columns.sort_by_key(|(own, ..)| *own);
            let columns = columns
                .into_iter()
                .map(|(own, values, write)| (quoted(own), values, write));
            let columns: Vec<_> = columns.collect();
            Box::new(move |row, bytes| {
                let mut before = b'{';
                for (own, _, write) in columns.iter().filter(|(_, values, _)| values.is_valid(row)) {
                    bytes.push(std::mem::replace(&mut before, b','));
                    bytes.extend_from_slice(own);
                    bytes.push(b':');
                    write(row, bytes);
                }
                if before == b'{' {
                    bytes.push(b'{');
                }
                bytes.push(b'}');
            })
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let items = match spelling {
                Spelling::List(items) => items,
                _ => &Spelling::Canonical,
            };
            let write = or_null(list.values().as_ref(), json(list.values().as_ref(), items)?);
            let offsets = list.value_offsets();
            Box::new(move |row, bytes| {
                bytes.push(b'[');
                for item in offsets[row]..offsets[row + 1] {
                    if item > offsets[row] {
                        bytes.push(b',');
                    }
                    write(item as usize, bytes);
                }
                bytes.push(b']');
            })
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let keys = plain(map.keys().as_ref(), &Spelling::Canonical)?;
            let values = json(map.values().as_ref(), &Spelling::Canonical)?;
            let values = or_null(map.values().as_ref(), values);
            let offsets = map.value_offsets();
            Box::new(move |row, bytes| {
                bytes.push(b'{');
                let mut key = Vec::new();
                for item in offsets[row]..offsets[row + 1] {
                    if item > offsets[row] {
                        bytes.push(b',');
                    }
                    key.clear();
                    keys(item as usize, &mut key);
                    bytes.extend_from_slice(&quoted(&String::from_utf8_lossy(&key)));
                    bytes.push(b':');
                    values(item as usize, bytes);
                }
                bytes.push(b'}');
            })
        }
        DataType::Boolean => truth(array, LOWER),
        // Text that stands for objects of which no field has a value yet is JSON already.
        DataType::Utf8 if matches!(spelling, Spelling::Object(_)) => canonical(array)?,
        data_type => {
            let write = plain(array, spelling)?;
            let is_number = data_type.is_numeric();
            Box::new(move |row, bytes| {
                let start = bytes.len();
                write(row, bytes);
                // Not so NaN and infinity, which JSON has no numbers for.
                if !is_number || bytes[start..].last().is_none_or(|last| !last.is_ascii_digit()) {
                    let text = quoted(&String::from_utf8_lossy(&bytes[start..]));
                    bytes.truncate(start);
                    bytes.extend_from_slice(&text);
                }
            })
        }
    })
}

fn or_null<'a>(values: &'a dyn Array, write: Writer<'a>) -> Writer<'a> {
    Box::new(move |row, bytes| match values.is_valid(row) {
        true => write(row, bytes),
        false => bytes.extend_from_slice(b"null"),
    })
}

/// The text as a JSON string.
pub fn quoted(text: &str) -> Vec<u8> {
    // A text always is one.
    serde_json::to_vec(text).unwrap_or_default()
}

/// A decimal with its digits after the point, but `least` at least; a whole number has them only if `whole`.
fn decimal(mut unscaled: i128, scale: i8, least: u16, whole: bool) -> String {
    let mut scale = usize::try_from(scale).unwrap_or_default();
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    let padding = match scale {
        0 if !whole => 0,
        scale => usize::from(least).saturating_sub(scale),
    };
    let sign = if unscaled < 0 { "-" } else { "" };
    let mut digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    digits.extend(std::iter::repeat_n('0', padding));
    if scale + padding > 0 {
        digits.insert(digits.len() - scale - padding, '.');
    }
    format!("{sign}{digits}")
}

/// A form of ISO 8601, such as that of `2024-02-29 10:15:30.500+02:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeForm {
    /// Between the date and the time of day.
    separator: u8,
    /// Before the fraction.
    point: u8,
    /// Of the fraction, if there are seconds.
    digits: Option<u8>,
    /// Minutes that the zone is ahead of UTC.
    ahead: i16,
    /// How the zone is written, in so many bytes; none if it is not.
    zone: ([u8; 7], u8),
}

impl TimeForm {
    /// The form of that text, which is a time; `None` if it is too odd to be kept.
    pub fn of(text: &[u8]) -> Option<Self> {
        let (separator, mut rest) = (*text.get(10)?, text.get(16..)?);
        let (mut point, mut digits) = (b'.', None);
        if rest.first() == Some(&b':') {
            rest = rest.get(3..)?;
            digits = Some(0);
            if let Some(found @ (b'.' | b',')) = rest.first() {
                let count = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                (point, digits) = (*found, Some(u8::try_from(count).ok()?));
                rest = &rest[1 + count..];
            }
        }
        let mut zone = [0; 7];
        zone.get_mut(..rest.len())?.copy_from_slice(rest);
        let zone = (zone, u8::try_from(rest.len()).ok()?);
        Some(Self {
            separator,
            point,
            digits,
            ahead: ahead(rest)?,
            zone,
        })
    }

    /// Appends the time at `micros` UTC; where the form has no zone, as `clock` shows it.
    fn write(&self, micros: i64, clock: &Clock, bytes: &mut Vec<u8>) {
        let (zone, length) = &self.zone;
        let local = match length {
            0 => clock.local_of_utc(micros),
            _ => micros.saturating_add(i64::from(self.ahead) * 60_000_000),
        };
        let Some(time) = DateTime::from_timestamp_micros(local) else {
            let _ = write!(bytes, "{micros}");
            return;
        };
        let _ = write!(bytes, "{:04}-{:02}-{:02}", time.year(), time.month(), time.day());
        bytes.push(self.separator);
        let _ = write!(bytes, "{:02}:{:02}", time.hour(), time.minute());
        if let Some(digits) = self.digits {
            let _ = write!(bytes, ":{:02}", time.second());
            if digits > 0 {
                let fraction = format!("{:06}", time.timestamp_subsec_micros());
                bytes.push(self.point);
                bytes.extend(
                    fraction
                        .bytes()
                        .chain(std::iter::repeat(b'0'))
                        .take(usize::from(digits)),
                );
            }
        }
        bytes.extend_from_slice(&zone[..usize::from(*length)]);
    }

    /// The beginning of 1970 in this form.
    pub fn example(&self) -> String {
        let mut bytes = Vec::new();
        self.write(0, &Clock::new(Tz::UTC), &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The minutes that a zone is ahead of UTC, such as ` +0200`.
fn ahead(zone: &[u8]) -> Option<i16> {
    let zone = zone.strip_prefix(b" ").unwrap_or(zone);
    let Some(sign @ (b'+' | b'-')) = zone.first() else {
        return Some(0);
    };
    let digits: Vec<i16> = zone[1..]
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|digit| i16::from(digit - b'0'))
        .collect();
    let minutes = match digits.as_slice() {
        [a, b] => (a * 10 + b) * 60,
        [a, b, c, d] => (a * 10 + b) * 60 + c * 10 + d,
        _ => return None,
    };
    Some(if *sign == b'-' { -minutes } else { minutes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_with_as_many_digits_as_asked_for() {
        for (value, scale, least, whole, expected) in [
            (0, 2, 0, false, "0"),
            (-5, 2, 0, false, "-0.05"),
            (1200, 2, 0, false, "12"),
            (1205, 2, 0, true, "12.05"),
            (7, 0, 0, true, "7"),
            (1250, 2, 2, false, "12.50"),
            (1250, 2, 1, false, "12.5"),
            (700, 2, 2, false, "7"),
            (700, 2, 2, true, "7.00"),
            (-7, 0, 1, true, "-7.0"),
            (12345, 4, 2, true, "1.2345"),
        ] {
            assert_eq!(decimal(value, scale, least, whole), expected);
        }
    }

    #[test]
    fn a_form_writes_the_time_that_it_is_of() {
        for (text, zone) in [
            ("2024-02-29 10:15", Tz::UTC),
            ("2024-07-01 10:00:00", Tz::Europe__Madrid),
            ("2024-02-29T10:15:30,500", Tz::UTC),
            ("2024-02-29T10:15:30.500000000Z", Tz::UTC),
            ("2024-02-29 10:15:30 +0200", Tz::UTC),
            ("2024-02-29T10:15:30.5-05:30", Tz::UTC),
            ("2024-02-29T10:15:30 UTC", Tz::UTC),
        ] {
            let form = TimeForm::of(text.as_bytes()).unwrap();
            assert_eq!(TimeForm::of(form.example().as_bytes()), Some(form));
            let local = chrono::NaiveDateTime::parse_from_str(&text[..16].replace('T', " "), "%Y-%m-%d %H:%M").unwrap();
            let seconds: i64 = text.get(17..19).map_or(0, |seconds| seconds.parse().unwrap());
            let half = i64::from(text.contains("30.5") || text.contains("30,5")) * 500_000;
            let shown = local.and_utc().timestamp_micros() + seconds * 1_000_000 + half;
            let micros = match form.zone.1 {
                0 => Clock::new(zone).utc_of_local(shown),
                _ => shown - i64::from(form.ahead) * 60_000_000,
            };
            let mut again = Vec::new();
            form.write(micros, &Clock::new(zone), &mut again);
            assert_eq!(String::from_utf8(again).unwrap(), text);
        }
    }
}
