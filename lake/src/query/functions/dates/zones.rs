//! Time zones, as PostgreSQL names them, and `at time zone`.

use std::str::FromStr;

use arrow::array::ArrayRef;
use arrow::array::timezone::Tz;
use arrow::datatypes::DataType;
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use datafusion::common::{Result, exec_datafusion_err};

use super::calendar::{HOUR, MINUTE, SECOND};
use super::values::{Moments, Spans, collect, out_of_range, timestamp};
use crate::query::functions::definition::{Arguments, Definition, Given, Kind, PLAIN};

/// A time zone.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) enum Zone {
    /// Microseconds east of UTC.
    Fixed(i64),
    Named(Tz),
}

/// Abbreviations that are not names of zones, with their hours east of UTC: those of PostgreSQL's default set that are of
/// one meaning.
const ABBREVIATIONS: &[(&str, i64)] = &[
    ("utc", 0),
    ("z", 0),
    ("zulu", 0),
    ("gmt", 0),
    ("ut", 0),
    ("uct", 0),
    ("wet", 0),
    ("west", 1),
    ("bst", 1),
    ("cet", 1),
    ("met", 1),
    ("cest", 2),
    ("mest", 2),
    ("eet", 2),
    ("eest", 3),
    ("msk", 3),
    ("jst", 9),
    ("kst", 9),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("akst", -9),
    ("akdt", -8),
    ("hst", -10),
    ("nzst", 12),
    ("nzdt", 13),
];

impl Zone {
    pub const UTC: Self = Self::Fixed(0);

    /// The zone of a column's type, where an offset is east of UTC.
    pub fn of_type(name: &str) -> Result<Self> {
        match name {
            "UTC" | "+00:00" | "Z" => Ok(Self::UTC),
            name => Tz::from_str(name)
                .map(Self::Named)
                .map_err(|_| exec_datafusion_err!("there is no time zone `{name}`")),
        }
    }

    /// The zone that a person names: in any case, an abbreviation, or an offset, which is west of UTC in a POSIX name as
    /// PostgreSQL reads them (`+02`, `UTC+2`).
    pub fn named(name: &str) -> Result<Self> {
        let name = name.trim();
        let lower = name.to_ascii_lowercase();
        if let Some((_, hours)) = ABBREVIATIONS.iter().find(|(abbreviation, _)| *abbreviation == lower) {
            return Ok(Self::Fixed(hours * HOUR));
        }
        if let Some(west) = posix(name) {
            return Ok(Self::Fixed(-west));
        }
        Tz::from_str(name)
            .or_else(|_| Tz::from_str(&capitals(&lower)))
            .map(Self::Named)
            .map_err(|_| exec_datafusion_err!("there is no time zone `{name}`"))
    }

    /// Microseconds that the zone is east of UTC at an instant.
    pub fn offset(self, instant: i64) -> Result<i64> {
        match self {
            Self::Fixed(offset) => Ok(offset),
            Self::Named(zone) => {
                let offset = zone.offset_from_utc_datetime(&naive(instant)?).fix();
                Ok(i64::from(offset.local_minus_utc()) * SECOND)
            }
        }
    }

    /// What the clock on the wall shows at the instant.
    pub fn to_local(self, instant: i64) -> Result<i64> {
        instant.checked_add(self.offset(instant)?).ok_or_else(out_of_range)
    }

    /// The instant at which the clock on the wall shows that. As in PostgreSQL, of two the second, and in a gap the one
    /// that it would be without the change.
    pub fn to_instant(self, local: i64) -> Result<i64> {
        let offset = match self {
            Self::Fixed(offset) => offset,
            Self::Named(zone) => match zone.offset_from_local_datetime(&naive(local)?) {
                MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => {
                    i64::from(offset.fix().local_minus_utc()) * SECOND
                }
                MappedLocalTime::None => self.offset(local.saturating_sub(24 * HOUR))?,
            },
        };
        local.checked_sub(offset).ok_or_else(out_of_range)
    }

    /// The name that a person reads at the instant: `CET`, `+02`.
    pub fn abbreviation(self, instant: i64) -> Result<String> {
        Ok(match self {
            Self::Fixed(0) => "UTC".to_owned(),
            Self::Fixed(offset) => offset_text(offset),
            Self::Named(zone) => zone.offset_from_utc_datetime(&naive(instant)?).to_string(),
        })
    }
}

/// An offset as PostgreSQL writes it: `+02`, `-03:30`.
pub(in crate::query) fn offset_text(offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let (hours, minutes, seconds) = (offset / HOUR, offset / MINUTE % 60, offset / SECOND % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// Microseconds west of UTC of a POSIX name: letters and a signed offset, or the offset alone.
fn posix(name: &str) -> Option<i64> {
    let sign = name.find(['+', '-'])?;
    let (letters, offset) = name.split_at(sign);
    if !letters.chars().all(|letter| letter.is_ascii_alphabetic()) {
        return None;
    }
    let west = if offset.starts_with('-') { -1 } else { 1 };
    let offset = offset.get(1..)?;
    let mut parts = offset.split(':');
    let hours = parts.next()?;
    let (hours, minutes) = match (hours.len(), parts.next()) {
        (1 | 2, None) => (hours, "0"),
        (1 | 2, Some(minutes)) => (hours, minutes),
        (4, None) => hours.split_at(2),
        _ => return None,
    };
    let digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?
    };
    let (hours, minutes): (i64, i64) = (digits(hours)?, digits(minutes)?);
    (hours <= 24 && minutes < 60).then(|| west * (hours * HOUR + minutes * MINUTE))
}

/// A name of the zone data base in its usual capitals: `europe/madrid` is `Europe/Madrid`.
fn capitals(lower: &str) -> String {
    let mut starts = true;
    let letters = lower.chars().map(|letter| {
        let letter = if starts { letter.to_ascii_uppercase() } else { letter };
        starts = !letter.is_ascii_alphanumeric();
        letter
    });
    letters.collect()
}

fn naive(micros: i64) -> Result<NaiveDateTime> {
    let time = DateTime::from_timestamp_micros(micros);
    time.map(|time| time.naive_utc()).ok_or_else(out_of_range)
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "timezone",
        family: super::FAMILY,
        about: "A timestamp without zone as the clock of a zone shows it, as an instant; an instant as that clock shows \
            it. The same as `at time zone`.",
        syntax: "timezone(zone, timestamp)",
        example: "select timezone('Europe/Madrid', timestamptz '2024-07-01 12:00:00+00')",
        forms: &[&[Kind::Text, Kind::Moment], &[Kind::Span, Kind::Moment]],
        returns: |given| Ok(timestamp(matches!(given.data_type(1), DataType::Timestamp(_, None)))),
        body: at_time_zone,
        ..PLAIN
    },
    Definition {
        name: "convert_timezone",
        family: super::FAMILY,
        about: "A timestamp of one zone's clock as another zone's clock shows it; with one zone, an instant as its clock \
            shows it.",
        syntax: "convert_timezone([from,] to, timestamp)",
        example: "select convert_timezone('UTC', 'Europe/Madrid', timestamp '2024-07-01 12:00:00')",
        forms: &[&[Kind::Text, Kind::Moment], &[Kind::Text, Kind::Text, Kind::Moment]],
        returns: |_| Ok(timestamp(false)),
        body: convert_timezone,
        ..PLAIN
    },
    Definition {
        name: "from_utc_timestamp",
        family: super::FAMILY,
        about: "What the clock of a zone shows at a time of UTC.",
        syntax: "from_utc_timestamp(timestamp, zone)",
        example: "select from_utc_timestamp(timestamp '2024-07-01 12:00:00', 'Europe/Madrid')",
        forms: &[&[Kind::Moment, Kind::Text]],
        returns: |_| Ok(timestamp(false)),
        body: |args| between_zones(args, 0, |row| Ok((Zone::UTC, zone_of(args, 1, row)?))),
        ..PLAIN
    },
    Definition {
        name: "to_utc_timestamp",
        family: super::FAMILY,
        about: "The time of UTC at which the clock of a zone shows a timestamp.",
        syntax: "to_utc_timestamp(timestamp, zone)",
        example: "select to_utc_timestamp(timestamp '2024-07-01 14:00:00', 'Europe/Madrid')",
        forms: &[&[Kind::Moment, Kind::Text]],
        returns: |_| Ok(timestamp(false)),
        body: |args| between_zones(args, 0, |row| Ok((zone_of(args, 1, row)?, Zone::UTC))),
        ..PLAIN
    },
];

fn zone_of(args: &Arguments, place: usize, row: usize) -> Result<Zone> {
    Zone::named(args.text(place)?.value(row))
}

fn at_time_zone(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(1)?)?;
    let spans = Spans::of(args.array(0)?).ok();
    let from_instant = matches!(args.result, DataType::Timestamp(_, None));
    let row = |row: usize| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(instant) = moments.instant(row)? else {
            return Ok(None);
        };
        let zone = match &spans {
            Some(spans) => Zone::Fixed(spans.get(row).unwrap_or_default().micros),
            None => zone_of(args, 0, row)?,
        };
        match from_instant {
            true => zone.to_local(instant).map(Some),
            false => zone.to_instant(instant).map(Some),
        }
    };
    collect(&args.result, (0..args.rows).map(row))
}

fn convert_timezone(args: &Arguments) -> Result<ArrayRef> {
    match args.count() {
        2 => between_zones(args, 1, |row| Ok((Zone::UTC, zone_of(args, 0, row)?))),
        _ => between_zones(args, 2, |row| Ok((zone_of(args, 0, row)?, zone_of(args, 1, row)?))),
    }
}

/// The time of an argument, read in the first zone unless it has one of its own, on the clock of the second.
fn between_zones(args: &Arguments, place: usize, zones: impl Fn(usize) -> Result<(Zone, Zone)>) -> Result<ArrayRef> {
    let array = args.array(place)?;
    let moments = Moments::of(array)?;
    let is_instant = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    let row = |row: usize| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(time) = moments.instant(row)? else {
            return Ok(None);
        };
        let (from, to) = zones(row)?;
        let instant = if is_instant { time } else { from.to_instant(time)? };
        to.to_local(instant).map(Some)
    };
    collect(&args.result, (0..args.rows).map(row))
}

/// The type of a result that has a zone where the argument has one.
pub(super) fn zoned_like(given: &Given, place: usize) -> DataType {
    match given.data_type(place) {
        zoned @ DataType::Timestamp(_, Some(_)) => zoned.clone(),
        _ => timestamp(false),
    }
}
