//! Intervals of text: PostgreSQL's, the SQL standard's and ISO 8601's (its documentation, "Interval Input").

use super::times::micros_of_fraction;
use crate::query::functions::dates::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::query::functions::dates::units::Unit;
use crate::query::functions::dates::values::Span;

/// The interval that a text says. A number without a unit is of `unit`, seconds if there is none.
pub(in crate::query) fn parse(text: &str, unit: Option<Unit>) -> Option<Span> {
    // A sign may stand apart: `1 month - 1 day`.
    let text = text.trim().replace("- ", "-").replace("+ ", "+");
    let text = text.as_str();
    // A comma is between parts, and not within a number.
    let parts = text.as_bytes();
    if parts
        .windows(3)
        .any(|three| three[1] == b',' && three[0].is_ascii_digit() && three[2].is_ascii_digit())
    {
        return None;
    }
    match text.strip_prefix(['P', 'p']) {
        Some(rest) => iso(rest),
        None => words(text, unit.unwrap_or(Unit::Second)),
    }
}

/// A number as its digits before and after the point.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number {
    whole: i64,
    /// What is after the point, in millionths.
    millionths: i64,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let sign = if negative { -1 } else { 1 };
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        Some(Self {
            whole: sign * whole,
            millionths: sign * micros_of_fraction(fraction)?,
        })
    }
}

/// Adds so many of the unit. Of months, days and weeks the fraction goes into smaller units.
fn add(span: &mut Span, number: Number, unit: Unit) -> Option<()> {
    let fraction = i128::from(number.millionths);
    if let Some(months) = unit.months() {
        let added = fraction * i128::from(months);
        span.months = span.months.checked_add(number.whole.checked_mul(months)?)?;
        if months > 1 {
            // A fraction of years is rounded to months.
            let rounded = (added.abs() + 500_000) / 1_000_000 * added.signum();
            span.months = span.months.checked_add(i64::try_from(rounded).ok()?)?;
        } else {
            add_days(span, added * 30)?;
        }
        return Some(());
    }
    let micros = unit.micros();
    match unit {
        Unit::Day | Unit::Week => {
            let days = if unit == Unit::Week { 7 } else { 1 };
            span.days = span.days.checked_add(number.whole.checked_mul(days)?)?;
            add_days(span, fraction * i128::from(days))
        }
        Unit::Nanosecond => {
            span.micros = span.micros.checked_add(number.whole / 1000)?;
            Some(())
        }
        _ => {
            let micros = micros?;
            let of_fraction = i64::try_from(fraction * i128::from(micros) / 1_000_000).ok()?;
            span.micros = span
                .micros
                .checked_add(number.whole.checked_mul(micros)?)?
                .checked_add(of_fraction)?;
            Some(())
        }
    }
}

/// Adds millionths of days.
fn add_days(span: &mut Span, millionths: i128) -> Option<()> {
    span.days = span.days.checked_add(i64::try_from(millionths / 1_000_000).ok()?)?;
    let micros = millionths % 1_000_000 * i128::from(DAY / 1_000_000);
    span.micros = span.micros.checked_add(i64::try_from(micros).ok()?)?;
    Some(())
}

/// `1 year 2 mons -3 days 04:05:06.7 ago`, `1-2`, `3 4:05`.
fn words(text: &str, last_unit: Unit) -> Option<Span> {
    let mut span = Span::default();
    let mut waiting: Option<Number> = None;
    let mut words = pieces(text).into_iter().peekable();
    let mut ago = false;
    words.peek()?;
    while let Some(word) = words.next() {
        let first = word.chars().next()?;
        if word == "@" {
            continue;
        }
        if first.is_ascii_alphabetic() {
            if word.eq_ignore_ascii_case("ago") && words.peek().is_none() {
                ago = true;
                continue;
            }
            add(&mut span, waiting.take()?, Unit::named(word)?)?;
            continue;
        }
        // Two numbers side by side: the first is of days, as `3 4:05:06` has it.
        if let Some(number) = waiting.take() {
            add(&mut span, number, Unit::Day)?;
        }
        let unsigned = word.trim_start_matches(['+', '-']);
        if word.contains(':') {
            span.micros = span.micros.checked_add(clock(word)?)?;
        } else if let Some((years, months)) = unsigned.split_once('-') {
            let months = years
                .parse::<i64>()
                .ok()?
                .checked_mul(12)?
                .checked_add(months.parse().ok()?)?;
            span.months = span
                .months
                .checked_add(if word.starts_with('-') { -months } else { months })?;
        } else {
            waiting = Some(Number::parse(word)?);
        }
    }
    if let Some(number) = waiting {
        add(&mut span, number, last_unit)?;
    }
    Some(if ago { span.negated() } else { span })
}

/// Words, and numbers apart from the units that are written to them: `1d`.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    for word in text
        .split(|letter: char| letter.is_whitespace() || letter == ',')
        .filter(|word| !word.is_empty())
    {
        let mut rest = word;
        while let Some(at) = rest
            .char_indices()
            .zip(rest.chars().skip(1))
            .find(|((_, letter), next)| (letter.is_ascii_digit() || *letter == '.') && next.is_ascii_alphabetic())
            .map(|((at, letter), _)| at + letter.len_utf8())
        {
            let (number, after) = rest.split_at(at);
            let end = after
                .find(|letter: char| !letter.is_ascii_alphabetic())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            pieces.extend([number, unit]);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(rest);
        }
    }
    pieces
}

/// `4:05`, hours and minutes, or with seconds; `4:05.6` is minutes and seconds.
fn clock(text: &str) -> Option<i64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let numbers: Vec<i64> = whole
        .split(':')
        .map(|part| part.parse().ok().filter(|n| *n >= 0))
        .collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match numbers.as_slice() {
        [minutes, seconds] if !fraction.is_empty() => (0, *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, 0),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    if minutes >= 60 || seconds > 60 {
        return None;
    }
    let micros = hours
        .checked_mul(HOUR)?
        .checked_add(minutes * MINUTE + seconds * SECOND)?;
    Some(sign * micros.checked_add(micros_of_fraction(fraction)?)?)
}

/// `1Y2M3DT4H5M6.7S`
fn iso(text: &str) -> Option<Span> {
    let mut span = Span::default();
    let mut rest = text;
    let mut of_time = false;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(['T', 't']) {
            of_time = true;
            rest = after;
            continue;
        }
        let end = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, after) = rest.split_at(end);
        let (unit, after) = after.split_at(1);
        let unit = match (unit.to_ascii_uppercase().as_str(), of_time) {
            ("Y", false) => Unit::Year,
            ("M", false) => Unit::Month,
            ("W", false) => Unit::Week,
            ("D", false) => Unit::Day,
            ("H", true) => Unit::Hour,
            ("M", true) => Unit::Minute,
            ("S", true) => Unit::Second,
            _ => return None,
        };
        add(&mut span, Number::parse(number)?, unit)?;
        rest = after;
    }
    Some(span)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::text;
    use super::*;

    /// Answers of PostgreSQL 15.
    #[test]
    fn intervals_are_read_as_postgresql_reads_them() {
        for (said, written) in [
            ("1 year 2 mons", "1 year 2 mons"),
            ("1-2", "1 year 2 mons"),
            ("-1-2", "-1 years -2 mons"),
            ("1 day 02:03:04.5", "1 day 02:03:04.5"),
            ("3 4:05:06", "3 days 04:05:06"),
            ("1.5 months", "1 mon 15 days"),
            ("1.5 years", "1 year 6 mons"),
            ("1.5 weeks", "10 days 12:00:00"),
            ("1.5 days", "1 day 12:00:00"),
            ("90 minutes", "01:30:00"),
            ("36 hours", "36:00:00"),
            ("1 day ago", "-1 days"),
            ("@ 1 minute", "00:01:00"),
            ("P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7"),
            ("1d 2h", "1 day 02:00:00"),
            ("5", "00:00:05"),
            ("-1 day +02:00", "-1 days +02:00:00"),
            ("1 decade", "10 years"),
            ("0 days", "00:00:00"),
        ] {
            assert_eq!(text::interval(parse(said, None).unwrap()), written, "{said}");
        }
        for wrong in ["", "1 foo", "day", "1 2 3 x", "P", "1:2:3:4", "one day"] {
            assert_eq!(parse(wrong, None), None, "{wrong}");
        }
    }
}
