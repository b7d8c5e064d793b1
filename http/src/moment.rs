//! Points in time as systems write them.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Reads a time: in `format` if there is one, else RFC 3339 or alike, with or without a zone, or a date.
///
/// A time without a zone is one of `zone`; where clocks went back it is the earlier one, so that nothing is missed.
pub fn parse(text: &str, format: Option<&str>, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Some(at) = format.and_then(|format| parse_as(text, format, zone)) {
        return Some(at);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    [
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f %z",
    ]
    .iter()
    .find_map(|format| DateTime::parse_from_str(text, format).ok())
    .map(|at| at.to_utc())
    .or_else(|| {
        [
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d %H:%M",
        ]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| {
            Some(
                NaiveDate::parse_from_str(text, "%Y-%m-%d")
                    .ok()?
                    .and_time(NaiveTime::MIN),
            )
        })
        .and_then(|local| of_zone(local, zone))
    })
}

fn parse_as(text: &str, format: &str, zone: Tz) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_str(text, format) {
        return Some(at.to_utc());
    }
    let zone = if is_utc(format) { Tz::UTC } else { zone };
    let local = NaiveDateTime::parse_from_str(text, format).ok();
    let local = local.or_else(|| Some(NaiveDate::parse_from_str(text, format).ok()?.and_time(NaiveTime::MIN)));
    of_zone(local?, zone)
}

fn of_zone(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    // In the hour that a change of clocks leaves out, the time an hour before it.
    let found = zone.from_local_datetime(&local).earliest();
    let found = found.or_else(|| {
        zone.from_local_datetime(&(local - chrono::Duration::hours(1)))
            .earliest()
    });
    found.map(|at| at.to_utc())
}

/// Writes a time in chrono's `format`: in UTC if the format says so by a literal Z, else in `zone`. `None` for a
/// format that is wrong.
pub fn format(at: DateTime<Utc>, format: &str, zone: Tz) -> Option<String> {
    let zone = if is_utc(format) { Tz::UTC } else { zone };
    let mut text = String::new();
    write!(text, "{}", at.with_timezone(&zone).format(format)).ok()?;
    Some(text)
}

fn is_utc(format: &str) -> bool {
    format.ends_with('Z') && !format.ends_with("%Z")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        let noon: DateTime<Utc> = "2026-07-01T12:00:00Z".parse().unwrap();
        let madrid = Tz::Europe__Madrid;
        for text in [
            "2026-07-01T14:00:00+02:00",
            "2026-07-01 14:00:00",
            "2026-07-01T14:00",
            "2026-07-01T12:00:00+0000",
        ] {
            assert_eq!(parse(text, None, madrid), Some(noon), "{text}");
        }
        assert_eq!(parse("01/07/2026 14:00", Some("%d/%m/%Y %H:%M"), madrid), Some(noon));
        assert_eq!(
            parse("2026-07-01T12:00:00Z", Some("%Y-%m-%dT%H:%M:%SZ"), madrid),
            Some(noon)
        );
        assert_eq!(parse("yesterday", None, madrid), None);
        // 02:30 came twice on that day, and not at all on the other.
        assert_eq!(
            parse("2025-10-26 02:30:00", None, madrid).unwrap().to_rfc3339(),
            "2025-10-26T00:30:00+00:00"
        );
        assert!(parse("2025-03-30 02:30:00", None, madrid).is_some());
    }

    #[test]
    fn times_are_written_in_the_zone_of_the_source() {
        let noon: DateTime<Utc> = "2026-07-01T12:00:00Z".parse().unwrap();
        let madrid = Tz::Europe__Madrid;
        assert_eq!(
            format(noon, "%Y-%m-%dT%H:%M:%SZ", madrid).unwrap(),
            "2026-07-01T12:00:00Z"
        );
        assert_eq!(
            format(noon, "%Y-%m-%d %H:%M:%S", madrid).unwrap(),
            "2026-07-01 14:00:00"
        );
        assert_eq!(format(noon, "%Q", madrid), None);
    }
}
