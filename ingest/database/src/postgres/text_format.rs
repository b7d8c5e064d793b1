//! Values as PostgreSQL's output functions write them, with the settings of our sessions.

use cordada_ingest_formats::values::time::{Time, parse};

use super::column::Column;
use crate::value_error::ValueError;

type Read<T = ()> = Result<T, ValueError>;

/// Most dates have four digits for the year; chrono takes the others, and `BC`.
pub(super) fn date_of_text(value: &[u8]) -> Read<i32> {
    match parse(value) {
        Some(Time::Date(days)) => Ok(days),
        _ => Ok(unusual(value)?
            .0
            .date()
            .signed_duration_since(chrono::NaiveDate::default())
            .num_days())
        .and_then(|days| i32::try_from(days).map_err(|_| ValueError::OutOfRange)),
    }
}

pub(super) fn local_of_text(value: &[u8]) -> Read<i64> {
    match parse(value) {
        Some(Time::Local(micros)) => Ok(micros),
        _ => Ok(unusual(value)?.0.and_utc().timestamp_micros()),
    }
}

pub(super) fn instant_of_text(value: &[u8]) -> Read<i64> {
    match parse(value) {
        Some(Time::Zoned(micros)) => Ok(micros),
        _ => {
            let (local, is_utc) = unusual(value)?;
            // The session is in UTC.
            if is_utc {
                Ok(local.and_utc().timestamp_micros())
            } else {
                Err(ValueError::Malformed)
            }
        }
    }
}

/// A date or timestamp of a year beyond 9999 or before 1, and whether `+00` stands behind it.
fn unusual(value: &[u8]) -> Read<(chrono::NaiveDateTime, bool)> {
    let text = std::str::from_utf8(value).map_err(|_| ValueError::Malformed)?;
    if matches!(text, "infinity" | "-infinity") {
        return Err(ValueError::Infinite);
    }
    let (text, before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (text, is_utc) = match text.strip_suffix("+00") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let mut parts = date.splitn(3, '-');
    let mut part = || {
        parts
            .next()
            .and_then(|part| part.parse::<u32>().ok())
            .ok_or(ValueError::Malformed)
    };
    let (year, month, day) = (part()?, part()?, part()?);
    let year = i32::try_from(year).map_err(|_| ValueError::OutOfRange)?;
    let year = if before_christ { 1 - year } else { year };
    let date = chrono::NaiveDate::from_ymd_opt(year, month, day).ok_or(ValueError::OutOfRange)?;
    let time = chrono::NaiveTime::parse_from_str(time, "%H:%M:%S%.f").map_err(|_| ValueError::Malformed)?;
    Ok((date.and_time(time), is_utc))
}

pub(super) fn hex(text: &[u8], out: &mut Vec<u8>) -> Read {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) {
        return Err(ValueError::Malformed);
    }
    for pair in text.chunks_exact(2) {
        let (high, low) = (digit(pair[0]), digit(pair[1]));
        out.push(high.ok_or(ValueError::Malformed)? << 4 | low.ok_or(ValueError::Malformed)?);
    }
    Ok(())
}

/// Adds the items of an array such as `{1,NULL,"a \"b\""}`. Source: `array_out`.
pub(super) fn push_array_text(value: &[u8], items: &mut Column) -> Read {
    // An array that does not count from 1 has its bounds in front: `[0:1]={…}`.
    let value = match value.first() {
        Some(b'[') => {
            let bounds = value
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or(ValueError::Malformed)?;
            if value[..bounds].iter().filter(|byte| **byte == b'[').count() > 1 {
                return Err(ValueError::Dimensions);
            }
            &value[bounds + 1..]
        }
        _ => value,
    };
    let inner = value.strip_prefix(b"{").and_then(|value| value.strip_suffix(b"}"));
    let mut rest = inner.ok_or(ValueError::Malformed)?;
    if rest.is_empty() {
        return Ok(());
    }
    let mut item = Vec::new();
    loop {
        item.clear();
        let mut quoted = false;
        match rest.first() {
            Some(b'{') => return Err(ValueError::Dimensions),
            Some(b'"') => {
                quoted = true;
                rest = &rest[1..];
                loop {
                    match rest {
                        [b'"', after @ ..] => {
                            rest = after;
                            break;
                        }
                        [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                            item.push(*byte);
                            rest = after;
                        }
                        [] => return Err(ValueError::Malformed),
                    }
                }
            }
            _ => {
                let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
                item.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
        }
        if !quoted && item.eq_ignore_ascii_case(b"null") {
            items.push_null();
        } else {
            items.push_text(&item)?;
        }
        match rest {
            [] => return Ok(()),
            [b',', after @ ..] => rest = after,
            _ => return Err(ValueError::Malformed),
        }
    }
}
