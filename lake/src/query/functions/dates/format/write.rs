//! `to_char` of times and intervals.

use std::fmt::Write;

use datafusion::common::{Result, exec_err};

use super::template::{Case, Field, Node, What};
use crate::query::functions::dates::calendar::{
    Date, HOUR, MINUTE, SECOND, iso_week, iso_week_monday, iso_weekday, split, weekday,
};
use crate::query::functions::dates::names::{month_name, weekday_name};
use crate::query::functions::dates::values::Span;
use crate::query::functions::dates::zones::{Zone, offset_text};

/// What is written: a time on the wall of a zone, or an interval.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject {
    /// With the zone's offset and its abbreviation asked for when needed; none where the time has no zone.
    Moment {
        local: i64,
        zone: Option<Zone>,
    },
    Span(Span),
}

/// The subject as the template says.
///
/// # Errors
/// Execution: an interval has no such field.
pub(super) fn write(nodes: &[Node], subject: Subject) -> Result<String> {
    let mut out = String::new();
    for node in nodes {
        match node {
            Node::Text(letter) | Node::Separator(letter) => out.push(*letter),
            Node::Field(field) => write_field(&mut out, field, subject)?,
        }
    }
    Ok(out)
}

/// The parts of a subject that templates tell.
struct Parts {
    /// As the calendar counts it: without a year 0.
    year: i64,
    /// The calendar's own, where 0 is 1 BC.
    own_year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    days: i64,
    of_day: i64,
}

impl Parts {
    fn of(subject: Subject) -> Self {
        match subject {
            Subject::Moment { local, .. } => {
                let (days, of_day) = split(local);
                let date = Date::of(days);
                Self {
                    year: if date.year > 0 { date.year } else { 1 - date.year },
                    own_year: date.year,
                    month: date.month,
                    day: date.day,
                    day_of_year: date.day_of_year(),
                    days,
                    of_day,
                }
            }
            Subject::Span(span) => {
                let (year, month) = (span.months / 12, span.months % 12);
                Self {
                    year,
                    own_year: year,
                    month,
                    day: span.days,
                    // As PostgreSQL counts them.
                    day_of_year: span.months * 30 + span.days,
                    days: Date {
                        year,
                        month: month.max(1),
                        day: span.days.clamp(1, 28),
                    }
                    .days(),
                    of_day: span.micros,
                }
            }
        }
    }
}

fn write_field(out: &mut String, field: &Field, subject: Subject) -> Result<()> {
    let parts = Parts::of(subject);
    let of_day = parts.of_day;
    // Digits after a point have their places whether padding is asked for or not.
    let is_fraction = matches!(field.what, What::Fraction(_) | What::Milliseconds | What::Microseconds);
    let mut number = |value: i64, width: usize| {
        let text = padded(value, if field.unpadded && !is_fraction { 0 } else { width });
        let suffix = field.ordinal.map_or("", |case| ordinal(value, case));
        // A String takes all that is written.
        let _ = write!(out, "{text}{suffix}");
    };
    let hour = of_day / HOUR;
    match field.what {
        What::Hour24 => number(hour, 2),
        What::Hour12 => number(if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
        What::Minute => number(of_day / MINUTE % 60, 2),
        What::Second => number(of_day / SECOND % 60, 2),
        What::Fraction(digits) => {
            number(
                of_day % SECOND / 10_i64.pow(6_u32.saturating_sub(digits)),
                digits as usize,
            );
        }
        What::Milliseconds => number(of_day % SECOND / 1000, 3),
        What::Microseconds => number(of_day % SECOND, 6),
        What::SecondsOfDay => number(of_day / SECOND, 0),
        // Of an interval's days, and of these alone, the sign takes a place.
        What::Day => number(parts.day, if parts.day < 0 { 1 } else { 2 }),
        What::DayOfYear => number(parts.day_of_year, if parts.day_of_year < 0 { 2 } else { 3 }),
        What::Month => number(parts.month, 2),
        What::Quarter if parts.month == 0 => {}
        What::Quarter => number((parts.month - 1).div_euclid(3) + 1, 0),
        What::WeekOfYear => number((parts.day_of_year - 1) / 7 + 1, 2),
        What::WeekOfMonth => number((parts.day - 1) / 7 + 1, 0),
        What::IsoWeek => number(iso_week(parts.days).1, 2),
        What::IsoDayOfYear => number(parts.days - iso_week_monday(iso_week(parts.days).0, 1) + 1, 3),
        What::Julian => number(parts.days + 2_440_588, 0),
        What::Year(digits) => number(last_digits(parts.year, digits), digits as usize),
        What::IsoYear(digits) => {
            let year = iso_week(parts.days).0;
            let year = if year > 0 { year } else { 1 - year };
            number(last_digits(year, digits), digits as usize);
        }
        What::YearWithComma => {
            let suffix = field.ordinal.map_or("", |case| ordinal(parts.year, case));
            let _ = write!(out, "{},{:03}{suffix}", parts.year / 1000, parts.year % 1000);
        }
        What::Century => {
            let year = parts.own_year;
            let century = match subject {
                Subject::Span(_) => year / 100,
                Subject::Moment { .. } if year > 0 => (year - 1) / 100 + 1,
                Subject::Moment { .. } => year / 100 - 1,
            };
            number(century, 2);
        }
        What::Roman if parts.month == 0 => {}
        What::Roman => {
            let roman = cased(
                ROMAN
                    .get(usize::try_from(parts.month.rem_euclid(13)).unwrap_or(0))
                    .unwrap_or(&""),
                field.case,
            );
            let _ = if field.unpadded {
                write!(out, "{roman}")
            } else {
                write!(out, "{roman:<4}")
            };
        }
        What::Meridiem { dotted } => {
            let text = match (hour % 24 >= 12, dotted) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            out.push_str(&cased(text, field.case));
        }
        What::Fixed => {}
        _ => return of_moment(out, field, subject, &parts),
    }
    Ok(())
}

/// Fields that an interval does not have.
fn of_moment(out: &mut String, field: &Field, subject: Subject, parts: &Parts) -> Result<()> {
    let Subject::Moment { local, zone } = subject else {
        return exec_err!("invalid format specification for an interval value: `{}`", field.word);
    };
    let offset = || match zone {
        Some(zone) => zone.offset(zone.to_instant(local)?),
        None => Ok(0),
    };
    let mut number = |value: i64| {
        let suffix = field.ordinal.map_or("", |case| ordinal(value, case));
        let _ = write!(out, "{value}{suffix}");
    };
    match field.what {
        What::Weekday => number(weekday(parts.days) + 1),
        What::WeekdayFromZero => number(weekday(parts.days)),
        What::WeekFrom(first) => {
            let since_first = (weekday(parts.days) - first).rem_euclid(7);
            let _ = write!(out, "{:02}", (parts.day_of_year + 6 - since_first) / 7);
        }
        What::Epoch => number(
            zone.map_or(Ok(local), |zone| zone.to_instant(local))?
                .div_euclid(SECOND),
        ),
        What::IsoWeekday => number(iso_weekday(parts.days)),
        What::DayName { short } => name(out, weekday_name(weekday(parts.days)), short, field),
        What::MonthName { short } => name(out, month_name(parts.month), short, field),
        What::Era { dotted } => {
            let text = match (parts.own_year > 0, dotted) {
                (true, true) => "A.D.",
                (true, false) => "AD",
                (false, true) => "B.C.",
                (false, false) => "BC",
            };
            out.push_str(&cased(text, field.case));
        }
        What::Zone => {
            if let Some(zone) = zone {
                out.push_str(&cased(&zone.abbreviation(zone.to_instant(local)?)?, field.case));
            }
        }
        What::ZoneHours => {
            let offset = offset()?;
            let sign = if offset < 0 { '-' } else { '+' };
            let _ = write!(out, "{sign}{:02}", offset.abs() / HOUR);
        }
        What::ZoneMinutes => {
            let _ = write!(out, "{:02}", offset()?.abs() / MINUTE % 60);
        }
        What::Offset if field.unpadded => {
            let text = offset_text(offset()?);
            let (sign, digits) = text.split_at(1);
            let _ = write!(out, "{sign}{}", digits.strip_prefix('0').unwrap_or(digits));
        }
        What::Offset => out.push_str(&offset_text(offset()?)),
        What::PlainOffset => {
            let offset = offset()?;
            let sign = if offset < 0 { '-' } else { '+' };
            let _ = write!(out, "{sign}{:02}{:02}", offset.abs() / HOUR, offset.abs() / MINUTE % 60);
        }
        _ => {}
    }
    Ok(())
}

const ROMAN: [&str; 13] = [
    "", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

fn name(out: &mut String, name: &str, short: bool, field: &Field) {
    let text = if short { name.get(..3).unwrap_or(name) } else { name };
    let text = cased(text, field.case);
    let _ = match short || field.unpadded || field.translated {
        true => write!(out, "{text}"),
        false => write!(out, "{text:<9}"),
    };
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_ascii_uppercase(),
        Case::Lower => text.to_ascii_lowercase(),
        Case::Title => text.to_owned(),
    }
}

/// The sign does not count to the width.
fn padded(value: i64, width: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs();
    format!("{sign}{digits:0width$}")
}

fn last_digits(year: i64, digits: u32) -> i64 {
    if digits >= 4 { year } else { year % 10_i64.pow(digits) }
}

fn ordinal(value: i64, case: Case) -> &'static str {
    let value = value.unsigned_abs();
    let suffix = match (value % 100, value % 10) {
        (11..=13, _) => ["TH", "th"],
        (_, 1) => ["ST", "st"],
        (_, 2) => ["ND", "nd"],
        (_, 3) => ["RD", "rd"],
        _ => ["TH", "th"],
    };
    match case {
        Case::Lower => suffix[1],
        _ => suffix[0],
    }
}
