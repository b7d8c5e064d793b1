//! The text of times, intervals, floats and bytes, as PostgreSQL writes it.

use std::fmt::Write;

use datafusion::common::Result;

use crate::query::functions::dates::calendar::{Date, HOUR, MINUTE, SECOND, split};
use crate::query::functions::dates::values::Span;
use crate::query::functions::dates::zones::{Zone, offset_text};

/// `2024-01-31`; a year has four digits at least, and one before Christ is marked.
pub(super) fn date(days: i64) -> String {
    let mut out = String::with_capacity(10);
    let before_christ = write_date(&mut out, days);
    out.push_str(before_christ);
    out
}

/// The date, and what is to follow it and its time.
fn write_date(out: &mut String, days: i64) -> &'static str {
    let Date { year, month, day } = Date::of(days);
    let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    // A String takes all that is written.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    suffix
}

/// `10:11:12.5`
pub(super) fn time(of_day: i64) -> String {
    let mut out = String::with_capacity(8);
    write_time(&mut out, of_day);
    out
}

fn write_time(out: &mut String, of_day: i64) {
    let (hour, minute, second) = (of_day / HOUR, of_day / MINUTE % 60, of_day / SECOND % 60);
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
    write_fraction(out, of_day % SECOND);
}

fn write_fraction(out: &mut String, micros: i64) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// `2024-01-31 10:11:12.5`, followed by the offset of the zone if there is one: `+02`.
pub(in crate::query) fn moment(local: i64, zone: Option<Zone>) -> Result<String> {
    let (days, of_day) = split(local);
    let mut out = String::with_capacity(22);
    let before_christ = write_date(&mut out, days);
    out.push(' ');
    write_time(&mut out, of_day);
    if let Some(zone) = zone {
        out.push_str(&offset_text(zone.offset(zone.to_instant(local)?)?));
    }
    out.push_str(before_christ);
    Ok(out)
}

/// `1 year 2 mons 3 days 04:05:06.5`
pub(in crate::query) fn interval(span: Span) -> String {
    let mut out = String::new();
    let mut negative = false;
    for (value, unit) in [
        (span.months / 12, "year"),
        (span.months % 12, "mon"),
        (span.days, "day"),
    ] {
        if value == 0 {
            continue;
        }
        let between = if out.is_empty() { "" } else { " " };
        // After a part that is negative a sign is needed.
        let plus = if negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{between}{plus}{value} {unit}{plural}");
        negative = value < 0;
    }
    if span.micros != 0 || out.is_empty() {
        if !out.is_empty() {
            out.push(' ');
        }
        if span.micros < 0 {
            out.push('-');
        } else if negative {
            out.push('+');
        }
        let micros = span.micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        let _ = write!(
            out,
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        write_fraction(&mut out, i64::try_from(micros % 1_000_000).unwrap_or(0));
    }
    out
}

/// `\x6142`
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 + 2 * bytes.len());
    out.push_str("\\x");
    for byte in bytes {
        // A String takes all that is written.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The shortest text that is read as the same float.
pub(super) fn float64(value: f64) -> String {
    match special(value) {
        Some(text) => text.to_owned(),
        None => shortest(&format!("{value:e}"), 15),
    }
}

/// The shortest text that is read as the same float of 32 bits.
pub(super) fn float32(value: f32) -> String {
    match special(value.into()) {
        Some(text) => text.to_owned(),
        None => shortest(&format!("{value:e}"), 6),
    }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        None
    }
}

/// Digits and an exponent as PostgreSQL writes them: without an exponent from -4 to below `limit`.
fn shortest(scientific: &str, limit: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..limit).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    let places = usize::try_from(exponent.abs()).unwrap_or(0);
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(places - 1));
    }
    if digits.len() <= places + 1 {
        return format!("{sign}{digits:0<width$}", width = places + 1);
    }
    let (before, after) = digits.split_at(places + 1);
    format!("{sign}{before}.{after}")
}
