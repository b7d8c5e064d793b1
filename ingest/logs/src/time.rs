//! The times of log lines, in the ways that servers write them.

use chrono::{DateTime, Datelike, Timelike};
use cordada_ingest_formats::values::time::{Clock, Time, parse};

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// Reads a time in brackets: `10/Feb/2012:16:42:07 -0500`, with or without a fraction and a zone, or ISO 8601.
pub(crate) fn bracketed(text: &[u8]) -> Option<Time> {
    clf(text).or_else(|| iso(text))
}

/// Reads ISO 8601 with a date and a time; what is finer than a microsecond is cut off.
pub(crate) fn iso(text: &[u8]) -> Option<Time> {
    let time = match text.iter().rposition(|byte| *byte == b'.') {
        None => parse(text),
        Some(point) => {
            let digits = text[point + 1..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits <= 6 {
                parse(text)
            } else {
                parse(&[&text[..point + 7], &text[point + 1 + digits..]].concat())
            }
        }
    };
    time.filter(|time| !matches!(time, Time::Date(_)))
}

/// Reads seconds since 1970, with a fraction.
pub(crate) fn epoch(text: &[u8]) -> Option<Time> {
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &[][..]),
    };
    if whole.is_empty() || whole.len() > 11 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let digits = |text: &[u8]| text.iter().fold(0, |all, digit| all * 10 + i64::from(digit - b'0'));
    let fraction = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some(Time::Zoned(
        digits(whole) * SECOND + digits(&fraction.collect::<Vec<_>>()),
    ))
}

/// `10/Feb/2012:16:42:07 -0500` brought into the form of ISO 8601.
fn clf(text: &[u8]) -> Option<Time> {
    if text.len() < 20 || text[2] != b'/' || text[6] != b'/' || text[11] != b':' {
        return None;
    }
    let month: &[u8] = match &text[3..6] {
        b"Jan" => b"01",
        b"Feb" => b"02",
        b"Mar" => b"03",
        b"Apr" => b"04",
        b"May" => b"05",
        b"Jun" => b"06",
        b"Jul" => b"07",
        b"Aug" => b"08",
        b"Sep" => b"09",
        b"Oct" => b"10",
        b"Nov" => b"11",
        b"Dec" => b"12",
        _ => return None,
    };
    let mut iso = [0; 40];
    let tail = text[12..].len();
    if tail > iso.len() - 11 {
        return None;
    }
    iso[..4].copy_from_slice(&text[7..11]);
    iso[4] = b'-';
    iso[5..7].copy_from_slice(month);
    iso[7] = b'-';
    iso[8..10].copy_from_slice(&text[..2]);
    iso[10] = b'T';
    iso[11..11 + tail].copy_from_slice(&text[12..]);
    parse(&iso[..11 + tail])
}

/// A date and a time of day that stand in fields of their own, in UTC unless they are `local`.
pub(crate) fn of_parts(date: &[u8], time: &[u8], local: bool) -> Option<Time> {
    match iso(&[date, b"T", time].concat())? {
        Time::Local(micros) if !local => Some(Time::Zoned(micros)),
        time => Some(time),
    }
}

/// Writes a time as ISO 8601 in UTC.
pub(crate) fn write(time: Time, clock: &mut Clock, target: &mut Vec<u8>) {
    let micros = time.utc(clock);
    let Some(utc) = DateTime::from_timestamp_micros(micros) else {
        target.extend_from_slice(b"null");
        return;
    };
    target.push(b'"');
    digits(u32::try_from(utc.year()).unwrap_or_default(), 4, target);
    for (separator, part) in [
        (b'-', utc.month()),
        (b'-', utc.day()),
        (b'T', utc.hour()),
        (b':', utc.minute()),
        (b':', utc.second()),
    ] {
        target.push(separator);
        digits(part, 2, target);
    }
    let fraction = micros.rem_euclid(SECOND);
    if fraction > 0 {
        target.push(b'.');
        digits(u32::try_from(fraction).unwrap_or_default(), 6, target);
    }
    target.extend_from_slice(b"Z\"");
}

fn digits(number: u32, count: u32, target: &mut Vec<u8>) {
    for place in (0..count).rev() {
        target.push(b'0' + (number / 10_u32.pow(place) % 10) as u8);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn written(time: Option<Time>, zone: Tz) -> String {
        let mut text = Vec::new();
        write(time.unwrap(), &mut Clock::new(zone), &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn times_of_every_kind_become_utc() {
        let utc = |time| written(time, Tz::UTC);
        assert_eq!(
            utc(bracketed(b"10/Feb/2012:16:42:07 -0500")),
            "\"2012-02-10T21:42:07Z\""
        );
        assert_eq!(utc(bracketed(b"2012-02-10T16:42:07+01:00")), "\"2012-02-10T15:42:07Z\"");
        assert_eq!(
            utc(iso(b"2023-08-11T11:39:21.773360139Z")),
            "\"2023-08-11T11:39:21.773360Z\""
        );
        assert_eq!(utc(epoch(b"1703373474.8155608")), "\"2023-12-23T23:17:54.815560Z\"");
        assert_eq!(
            utc(of_parts(b"2012-04-01", b"00:00:13", false)),
            "\"2012-04-01T00:00:13Z\""
        );
        let madrid = written(bracketed(b"25/Sep/2018:06:05:27.584"), Tz::Europe__Madrid);
        assert_eq!(madrid, "\"2018-09-25T04:05:27.584000Z\"");
        for wrong in [
            &b""[..],
            b"10/Foo/2012:16:42:07 -0500",
            b"2012-02-10",
            b"31/Feb/2012:16:42:07 -0500",
        ] {
            assert_eq!(bracketed(wrong), None);
        }
        assert_eq!(epoch(b"17x"), None);
    }
}
