//! Dates and timestamps in ISO 8601, and the time zone of those that carry none.

pub use cordada_core::clock::Clock;

/// Microseconds in a day.
pub(crate) const DAY: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;

/// A date or a point in time, as the text says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 on a clock of unknown zone.
    Local(i64),
    /// Microseconds since 1970-01-01 UTC.
    Zoned(i64),
}

/// Reads `2024-02-29`, `2024-02-29 10:15`, `2024-02-29T10:15:30.123456+02:00` and the like.
///
/// `None` for everything else, and for more than microseconds: those would be lost.
#[inline]
pub fn parse(text: &[u8]) -> Option<Time> {
    if text.len() < 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = i32::from(two_digits(text, 0)?) * 100 + i32::from(two_digits(text, 2)?);
    let days = days_from_civil(year, two_digits(text, 5)?, two_digits(text, 8)?)?;
    if text.len() == 10 {
        return Some(Time::Date(days));
    }
    if text.len() < 16 || !matches!(text[10], b' ' | b'T') || text[13] != b':' {
        return None;
    }
    let (hour, minute) = (i64::from(two_digits(text, 11)?), i64::from(two_digits(text, 14)?));
    let mut rest = &text[16..];
    let mut second = 0;
    let mut micros = 0;
    if rest.first() == Some(&b':') {
        second = i64::from(two_digits(rest, 1)?);
        rest = &rest[3..];
        if matches!(rest.first(), Some(b'.' | b',')) {
            (micros, rest) = fraction(&rest[1..])?;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let local = i64::from(days) * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    if rest.is_empty() {
        return Some(Time::Local(local));
    }
    Some(Time::Zoned(local - offset(rest)? * MINUTE))
}

#[inline]
fn two_digits(text: &[u8], at: usize) -> Option<u8> {
    let (tens, ones) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| tens * 10 + ones)
}

/// The microseconds of a fraction of a second, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (written, rest) = text.split_at(digits);
    let lost = written.iter().skip(6).any(|digit| *digit != b'0');
    if digits == 0 || lost {
        return None;
    }
    let padded = written.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some((
        padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')),
        rest,
    ))
}

/// The minutes that `Z`, `UTC`, `+02`, `+0200` or `+02:00` is ahead of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let sign = match text.first()? {
        b'Z' | b'z' if text.len() == 1 => return Some(0),
        b'U' if text == b"UTC" => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = i64::from(two_digits(text, 1)?);
    let minutes = match text.len() {
        3 => 0,
        5 => two_digits(text, 3)?,
        6 if text[3] == b':' => two_digits(text, 4)?,
        _ => return None,
    };
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * 60 + i64::from(minutes)))
}

/// Days since 1970-01-01 in the Gregorian calendar; `None` if there is no such day.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
#[inline]
fn days_from_civil(year: i32, month: u8, day: u8) -> Option<i32> {
    const LENGTHS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = LENGTHS.get(usize::from(month).checked_sub(1)?)? + u8::from(leap && month == 2);
    if year == 0 || day == 0 || day > length {
        return None;
    }
    let (month, day) = (i32::from(month), i32::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

impl Time {
    /// Microseconds UTC; of a date those of its midnight. What carries no zone is what `clock` shows.
    #[inline]
    pub fn utc(self, clock: &mut Clock) -> i64 {
        match self {
            Time::Zoned(micros) => micros,
            Time::Date(days) => clock.utc_of_local(i64::from(days) * DAY),
            Time::Local(micros) => clock.utc_of_local(micros),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use chrono::{DateTime, Datelike, NaiveDate};
    use chrono_tz::Tz;
    use proptest::prelude::*;

    fn micros(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    #[test]
    fn iso_forms_are_read() {
        let expected = micros("2024-02-29T10:15:30.5Z");
        for (text, time) in [
            ("2024-02-29 10:15:30.5", Time::Local(expected)),
            ("2024-02-29T10:15:30.500000000", Time::Local(expected)),
            ("2024-02-29T10:15:30.5Z", Time::Zoned(expected)),
            ("2024-02-29 12:15:30.5+02:00", Time::Zoned(expected)),
            ("2024-02-29 12:15:30.5 +0200", Time::Zoned(expected)),
            ("2024-02-29T05:15:30.5-05", Time::Zoned(expected)),
            ("2024-02-29T10:15:30.5 UTC", Time::Zoned(expected)),
            ("2024-02-29 10:15", Time::Local(micros("2024-02-29T10:15:00Z"))),
            ("1969-12-31", Time::Date(-1)),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(time), "{text}");
        }
    }

    #[test]
    fn anything_else_is_not_a_time() {
        for text in [
            "2024-02-30",
            "2024-13-01",
            "0000-00-00",
            "2024-2-29",
            "2024-02-29x",
            "2024-02-29 ",
            "2024-02-29 25:00",
            "2024-02-29 10:00:60",
            "2024-02-29 10:00:00.",
            "2024-02-29 10:00:00+2",
            "2024-02-29 10:00:00.0000001",
            "29/02/2024",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn local_times_take_the_zones_offset_of_that_day() {
        let mut madrid = Clock::new(Tz::Europe__Madrid);
        let mut utc = |text: &str| parse(text.as_bytes()).unwrap().utc(&mut madrid);
        assert_eq!(utc("2024-01-15 12:00:00"), micros("2024-01-15T11:00:00Z"));
        assert_eq!(utc("2024-07-15 12:00:00"), micros("2024-07-15T10:00:00Z"));
        assert_eq!(utc("2024-07-15"), micros("2024-07-14T22:00:00Z"));
        // Skipped, and shown twice.
        assert_eq!(utc("2024-03-31 02:30:00"), micros("2024-03-31T01:30:00Z"));
        assert_eq!(utc("2024-10-27 02:30:00"), micros("2024-10-27T00:30:00Z"));
        assert_eq!(utc("2024-10-27 02:30:00Z"), micros("2024-10-27T02:30:00Z"));
    }

    proptest! {
        #[test]
        fn days_are_the_calendars(days in -719_000i32..2_900_000) {
            let date = NaiveDate::from_epoch_days(days).unwrap();
            prop_assume!(date.year() >= 1 && date.year() <= 9999);
            prop_assert_eq!(parse(date.format("%Y-%m-%d").to_string().as_bytes()), Some(Time::Date(days)));
        }
    }
}
