//! One hit on its way into a row: a value a column, everything else in `extra`.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde_json::{Map, Number, Value};

use super::columns::{EXTRA, Kind, Protocol};

/// A hit as a record of its protocol's columns. Nulls are left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    protocol: Protocol,
    values: Map<String, Value>,
    extra: Map<String, Value>,
}

impl Record {
    /// A record without values.
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            values: Map::with_capacity(48),
            extra: Map::new(),
        }
    }

    /// Puts the parameter's text in the column. Text that is not a value of the column's type stays in `extra`, under
    /// the parameter's own name; empty text is nothing.
    pub(crate) fn put(&mut self, column: &str, parameter: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.protocol.column(column).and_then(|column| read(column.kind, text)) {
            Some(value) => {
                self.values.insert(column.to_owned(), value);
            }
            None => self.extra(parameter, Value::from(text)),
        }
    }

    /// [`Record::put`] for a value of JSON: text, number or boolean. Objects and lists stay in `extra`.
    pub(crate) fn put_json(&mut self, column: &str, parameter: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(_) | Value::Array(_) => self.extra(parameter, value.clone()),
            value => self.put(column, parameter, &scalar_text(value)),
        }
    }

    /// Puts text in a column of text, unless it is empty or the column has a value already.
    pub(crate) fn default_text(&mut self, column: &'static str, text: &str) {
        if !text.is_empty() && !self.values.contains_key(column) {
            self.values.insert(column.to_owned(), Value::from(text));
        }
    }

    /// Puts a point in time in a column of times.
    pub(crate) fn time(&mut self, column: &'static str, time: DateTime<Utc>) {
        let text = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        self.values.insert(column.to_owned(), Value::from(text));
    }

    /// Puts free-form JSON in a column of JSON, or items in their column.
    pub(crate) fn json(&mut self, column: &'static str, value: Value) {
        self.values.insert(column.to_owned(), value);
    }

    /// Keeps what no column takes.
    pub(crate) fn extra(&mut self, parameter: &str, value: Value) {
        self.extra.insert(parameter.to_owned(), value);
    }

    /// The value of a column.
    pub(crate) fn get(&self, column: &str) -> Option<&Value> {
        self.values.get(column)
    }

    /// The text of a column.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        self.get(column).and_then(Value::as_str)
    }

    /// Takes a column's value away.
    pub(crate) fn remove(&mut self, column: &str) -> Option<Value> {
        self.values.remove(column)
    }

    /// Which protocol's columns these are.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The columns that have a value, to change it.
    pub(crate) fn values_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.values
    }

    /// A parameter that no column took.
    pub(crate) fn extra_value(&self, parameter: &str) -> Option<&Value> {
        self.extra.get(parameter)
    }

    /// What no column took.
    pub(crate) fn extra_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.extra
    }

    /// The finished record.
    pub(crate) fn finish(mut self) -> Value {
        if !self.extra.is_empty() {
            self.values.insert(EXTRA.to_owned(), Value::Object(self.extra));
        }
        Value::Object(self.values)
    }
}

/// The text of a value that is neither an object nor a list.
pub(crate) fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Milliseconds since 1970 as a time, if it is one that calendars know.
pub(crate) fn time_of_millis(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::from_timestamp_millis(text.parse().ok()?)?;
    (1..=9999).contains(&time.year()).then_some(time)
}

/// A time in ISO 8601 with an offset.
pub(crate) fn time_of_iso(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (1..=9999).contains(&time.year()).then_some(time)
}

/// The text as a value of that kind; never one that landing could not read.
fn read(kind: Kind, text: &str) -> Option<Value> {
    Some(match kind {
        Kind::Text => Value::from(text),
        Kind::Integer => Value::from(text.parse::<i64>().ok()?),
        Kind::Double => Value::Number(Number::from_f64(text.parse().ok()?)?),
        Kind::Money => Value::from(money(text)?),
        Kind::Boolean => match text {
            "1" | "true" => Value::from(true),
            "0" | "false" => Value::from(false),
            _ => return None,
        },
        Kind::Time => {
            let time = time_of_iso(text)?;
            Value::from(time.to_rfc3339_opts(SecondsFormat::Micros, true))
        }
        Kind::Json | Kind::Items => return None,
    })
}

/// An amount with at most four digits after the point: what trackers computed in binary (19.990000000000002) is
/// rounded, what they wrote in decimal stays exact.
pub(crate) fn money(text: &str) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = !whole.is_empty() && all_digits(whole) && all_digits(fraction) && !digits.ends_with('.');
    if plain && fraction.len() <= 4 && whole.len() <= 14 {
        return Some(text.to_owned());
    }
    let number: f64 = text.parse().ok()?;
    (number.abs() < 1e13).then(|| format!("{number:.4}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_value_of_the_column_is_kept_beside_it() {
        let mut record = Record::new(Protocol::Snowplow);
        for (column, parameter, text) in [
            ("domain_sessionidx", "vid", "7"),
            ("pp_xoffset_min", "pp_mix", "left"),
            ("tr_total", "tr_tt", "19.990000000000002"),
            ("se_value", "se_va", "NaN"),
            ("br_cookies", "cookie", "1"),
            ("app_id", "aid", ""),
        ] {
            record.put(column, parameter, text);
        }
        let expected = serde_json::json!({
            "domain_sessionidx": 7, "tr_total": "19.9900", "br_cookies": true,
            "extra": {"pp_mix": "left", "se_va": "NaN"},
        });
        assert_eq!(record.finish(), expected);
    }

    #[test]
    fn money_is_exact_where_it_was_written_exactly() {
        for (text, expected) in [
            ("12", Some("12")),
            ("-0.1234", Some("-0.1234")),
            ("12345678901234.5", Some("12345678901234.5")),
            ("1e3", Some("1000.0000")),
            (".5", Some("0.5000")),
            ("0.30000000000000004", Some("0.3000")),
            ("1e300", None),
            ("inf", None),
            ("12,50", None),
        ] {
            assert_eq!(money(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_none() {
        assert_eq!(
            time_of_millis("1700000000123").unwrap().timestamp_millis(),
            1_700_000_000_123
        );
        for text in ["", "x", "9223372036854775807", "99999999999999999"] {
            assert_eq!(time_of_millis(text), None, "{text}");
        }
        assert!(time_of_iso("2024-02-29T10:00:00.123+01:00").is_some());
    }
}
