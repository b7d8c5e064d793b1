//! `to_timestamp` and `to_date`: text read by a template, in the manner of PostgreSQL (`formatting.c` is described in its
//! documentation, "Usage notes for date/time formatting"): separators match separators, spaces are passed over, a number
//! takes all of its digits unless another follows at once.

use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::template::{Field, Node, What};
use crate::query::functions::dates::calendar::{Date, HOUR, MINUTE, SECOND, iso_week_monday, join, month_length};
use crate::query::functions::dates::names::{MONTHS, WEEKDAYS};
use crate::query::functions::dates::values::out_of_range;

/// What a text said.
#[derive(Debug, Default)]
struct Said {
    default_year: i64,
    year: Option<i64>,
    /// Digits of the year.
    year_digits: u32,
    iso_year: Option<i64>,
    century: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_day_of_year: Option<i64>,
    /// Monday is 1.
    weekday: Option<i64>,
    week: Option<i64>,
    iso_week: Option<i64>,
    week_of_month: Option<i64>,
    julian: Option<i64>,
    /// Seconds since 1970.
    epoch: Option<i64>,
    hour: Option<i64>,
    clock_of_twelve: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    seconds_of_day: Option<i64>,
    micros: i64,
    zone_hours: Option<i64>,
    zone_minutes: i64,
}

/// The time that the text says: on the clock of UTC, an offset that it says applied. The `whole` text and all fields must
/// fit each other; else, as in PostgreSQL, a text may end early or go on.
///
/// # Errors
/// Execution: it does not say what the template asks, or says a time that is none.
pub(super) fn read(nodes: &[Node], text: &str, whole: bool) -> Result<i64> {
    // Without a year: 1 BC in PostgreSQL, 1900 in C.
    let mut said = Said {
        default_year: if whole { 1900 } else { 0 },
        ..Said::default()
    };
    let fixed = nodes
        .iter()
        .any(|node| matches!(node, Node::Field(field) if field.what == What::Fixed));
    let mut rest = text;
    let mut skipped: i64 = 0;
    for (place, node) in nodes.iter().enumerate() {
        if rest.is_empty() {
            if whole && matches!(node, Node::Field(_)) {
                return exec_err!("the text ends before the format does");
            }
            break;
        }
        if !fixed && (place == 0 || matches!(node, Node::Field(_))) {
            skipped += skip_spaces(&mut rest);
        }
        match node {
            Node::Separator(letter) if whole && letter.is_whitespace() => {
                skip_spaces(&mut rest);
            }
            Node::Separator(letter) | Node::Text(letter) if whole => match rest.strip_prefix(*letter) {
                Some(after) => rest = after,
                None => return exec_err!("the text has something else where the format has `{letter}`"),
            },
            Node::Separator(_) if fixed => skip(&mut rest),
            Node::Separator(_) => {
                skipped -= 1;
                if rest.starts_with(|letter: char| letter.is_whitespace() || letter.is_ascii_punctuation()) {
                    skip(&mut rest);
                    skipped += 1;
                }
            }
            Node::Text(_) if !fixed && skipped > 0 => skipped -= 1,
            Node::Text(_) => skip(&mut rest),
            Node::Field(field) => {
                let digits_follow = field.ordinal.is_none() && digits_follow(nodes.get(place + 1));
                let take_all = field.unpadded || !digits_follow && field.ordinal.is_none();
                said.take(field, &mut rest, take_all)?;
                if field.ordinal.is_some() {
                    skip(&mut rest);
                    skip(&mut rest);
                }
                if !fixed {
                    skipped = skip_spaces(&mut rest);
                }
            }
        }
    }
    if whole && !rest.trim().is_empty() {
        return exec_err!("the text goes on where the format ends");
    }
    said.time()
}

/// Whether what follows a number may be a digit.
fn digits_follow(next: Option<&Node>) -> bool {
    match next {
        None | Some(Node::Separator(_)) => false,
        Some(Node::Field(field)) => field.is_number(),
        Some(Node::Text(letter)) => letter.is_ascii_digit(),
    }
}

fn skip(rest: &mut &str) {
    let mut letters = rest.chars();
    letters.next();
    *rest = letters.as_str();
}

fn skip_spaces(rest: &mut &str) -> i64 {
    let after = rest.trim_start();
    let skipped = rest.len() - after.len();
    *rest = after;
    i64::try_from(skipped).unwrap_or(0)
}

/// A whole number at the beginning of the text, and how many digits it has.
fn number(field: &Field, rest: &mut &str, take_all: bool) -> Result<(i64, usize)> {
    skip_spaces(rest);
    let limit = if take_all { rest.len() } else { field.width() };
    if !take_all && rest.len() < limit {
        return exec_err!("source string too short for \"{}\" formatting field", field.word);
    }
    let signs = usize::from(rest.starts_with(['+', '-']));
    let digits = rest.bytes().skip(signs).take(limit.saturating_sub(signs));
    let end = signs + digits.take_while(u8::is_ascii_digit).count();
    let (text, after) = rest.split_at(end);
    let value = text
        .parse()
        .map_err(|_| exec_datafusion_err!("invalid value for \"{}\": value must be an integer", field.word))?;
    if !take_all && end < limit {
        return exec_err!(
            "invalid value for \"{}\": field requires {limit} characters, but only {end} could be parsed",
            field.word
        );
    }
    *rest = after;
    Ok((value, end - signs))
}

/// The place of the name that the text begins with.
fn name(field: &Field, rest: &mut &str, names: &[&str], short: bool) -> Result<i64> {
    for (place, name) in names.iter().enumerate() {
        let name = if short { name.get(..3).unwrap_or(name) } else { name };
        if rest
            .get(..name.len())
            .is_some_and(|begins| begins.eq_ignore_ascii_case(name))
        {
            *rest = rest.get(name.len()..).unwrap_or_default();
            return Ok(i64::try_from(place).unwrap_or(0));
        }
    }
    exec_err!(
        "invalid value for \"{}\": it is not one of the allowed names",
        field.word
    )
}

/// A year of less than four digits is the one that is nearest to 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        year => year,
    }
}

/// Digits of a fraction, as microseconds.
fn fraction(value: i64, digits: usize) -> i64 {
    let missing = u32::try_from(6_usize.saturating_sub(digits)).unwrap_or(0);
    value * 10_i64.pow(missing)
}

/// A number whose letters are one of two words.
fn either(field: &Field, rest: &mut &str, words: [&str; 2]) -> Result<bool> {
    for (second, word) in [false, true].into_iter().zip(words) {
        if rest
            .get(..word.len())
            .is_some_and(|begins| begins.eq_ignore_ascii_case(word))
        {
            *rest = rest.get(word.len()..).unwrap_or_default();
            return Ok(second);
        }
    }
    exec_err!(
        "invalid value for \"{}\": it is not one of the allowed names",
        field.word
    )
}

impl Said {
    fn take(&mut self, field: &Field, rest: &mut &str, take_all: bool) -> Result<()> {
        match field.what {
            What::Fixed => return Ok(()),
            What::Era { dotted } => {
                self.before_christ = either(field, rest, if dotted { ["A.D.", "B.C."] } else { ["AD", "BC"] })?;
                return Ok(());
            }
            What::Meridiem { dotted } => {
                let words = if dotted { ["A.M.", "P.M."] } else { ["AM", "PM"] };
                self.afternoon = Some(either(field, rest, words)?);
                self.clock_of_twelve = true;
                return Ok(());
            }
            What::DayName { short } => {
                let place = name(field, rest, &WEEKDAYS, short)?;
                self.weekday = Some(if place == 0 { 7 } else { place });
                return Ok(());
            }
            What::MonthName { short } => {
                self.month = Some(name(field, rest, &MONTHS, short)? + 1);
                return Ok(());
            }
            What::Roman => {
                // Longer ones first: VIII begins with V.
                const ROMAN: [&str; 12] = ["XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I"];
                let begins = |roman: &&&str| {
                    rest.get(..roman.len())
                        .is_some_and(|text| text.eq_ignore_ascii_case(roman))
                };
                let Some((place, roman)) = ROMAN.iter().enumerate().find(|(_, roman)| begins(roman)) else {
                    return exec_err!(
                        "invalid value for \"{}\": it is not one of the allowed names",
                        field.word
                    );
                };
                *rest = rest.get(roman.len()..).unwrap_or_default();
                self.month = Some(12 - i64::try_from(place).unwrap_or(0));
                return Ok(());
            }
            What::Zone | What::Offset => {
                return exec_err!("formatting field \"{}\" is only supported in to_char", field.word);
            }
            What::PlainOffset => {
                let west = rest.starts_with('-');
                let (value, digits) = number(field, rest, true)?;
                if rest.starts_with(':') {
                    skip(rest);
                    self.zone_minutes = number(field, rest, true)?.0;
                    self.zone_hours = Some(value);
                } else if digits == 4 {
                    // The sign is on the hours; of less than an hour it is on the minutes.
                    (self.zone_hours, self.zone_minutes) = (Some(value / 100), value.abs() % 100);
                    if west && value > -100 {
                        self.zone_minutes = -self.zone_minutes;
                    }
                } else {
                    self.zone_hours = Some(value);
                }
                return Ok(());
            }
            What::YearWithComma => return self.take_year_with_comma(field, rest),
            _ => {}
        }
        let (value, digits) = number(field, rest, take_all)?;
        self.take_number(field, value, digits);
        Ok(())
    }

    fn take_year_with_comma(&mut self, field: &Field, rest: &mut &str) -> Result<()> {
        let (thousands, _) = number(field, rest, true)?;
        let Some(after) = rest.strip_prefix(',') else {
            return exec_err!("invalid input string for \"{}\"", field.word);
        };
        *rest = after;
        let end = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
        let (ones, after) = rest.split_at(end);
        let ones: i64 = ones
            .parse()
            .map_err(|_| exec_datafusion_err!("invalid input string for \"{}\"", field.word))?;
        *rest = after;
        self.year = Some(thousands.saturating_mul(1000).saturating_add(ones));
        self.year_digits = 4;
        Ok(())
    }

    fn take_number(&mut self, field: &Field, value: i64, digits: usize) {
        match field.what {
            What::Hour24 => self.hour = Some(value),
            What::Hour12 => {
                self.hour = Some(value);
                self.clock_of_twelve = true;
            }
            What::Minute => self.minute = value,
            What::Second => self.second = value,
            What::Fraction(_) | What::Microseconds => self.micros += fraction(value, digits),
            What::Milliseconds => self.micros += fraction(value, digits.min(3)),
            What::SecondsOfDay => self.seconds_of_day = Some(value),
            What::Century => self.century = Some(value),
            What::Month => self.month = Some(value),
            What::Day => self.day = Some(value),
            What::DayOfYear => self.day_of_year = Some(value),
            What::IsoDayOfYear => self.iso_day_of_year = Some(value),
            What::Weekday => self.weekday = Some(if value == 1 { 7 } else { value - 1 }),
            What::IsoWeekday => self.weekday = Some(value),
            What::WeekOfYear => self.week = Some(value),
            What::IsoWeek => self.iso_week = Some(value),
            What::WeekOfMonth => self.week_of_month = Some(value),
            What::Julian => self.julian = Some(value),
            What::WeekdayFromZero => self.weekday = Some(if value == 0 { 7 } else { value }),
            What::Epoch => self.epoch = Some(value),
            What::Year(width) => {
                self.year = Some(if width < 4 && digits < 4 {
                    near_2020(value)
                } else {
                    value
                });
                self.year_digits = width;
            }
            What::IsoYear(width) => {
                self.iso_year = Some(if width < 4 && digits < 4 {
                    near_2020(value)
                } else {
                    value
                });
            }
            What::ZoneHours => self.zone_hours = Some(value),
            What::ZoneMinutes => self.zone_minutes = value,
            _ => {}
        }
    }

    fn time(self) -> Result<i64> {
        if let Some(seconds) = self.epoch {
            return seconds.checked_mul(SECOND).ok_or_else(out_of_range);
        }
        let days = self.days().ok_or_else(|| {
            exec_datafusion_err!("date/time field value out of range: the calendar does not have that day")
        })?;
        let of_day = self.of_day()?;
        let offset = match self.zone_hours {
            Some(hours) if hours < 0 => hours * HOUR - self.zone_minutes * MINUTE,
            hours => hours.unwrap_or(0) * HOUR + self.zone_minutes * MINUTE,
        };
        join(days, of_day)
            .and_then(|time| time.checked_sub(offset))
            .ok_or_else(out_of_range)
    }

    fn of_day(&self) -> Result<i64> {
        let mut hour = self.hour.unwrap_or(0);
        if self.clock_of_twelve {
            if !(1..=12).contains(&hour) && self.hour.is_some() {
                return exec_err!("hour \"{hour}\" is invalid for the 12-hour clock: use the 24-hour clock, HH24");
            }
            hour = match self.afternoon {
                Some(true) if hour < 12 => hour + 12,
                Some(true) => hour,
                _ if hour == 12 => 0,
                _ => hour,
            };
        }
        let (minute, second) = (self.minute, self.second);
        let sensible = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
        match self.seconds_of_day {
            Some(seconds) if (0..=86_400).contains(&seconds) => Ok(seconds * SECOND + self.micros),
            None if sensible => Ok(hour * HOUR + minute * MINUTE + second * SECOND + self.micros),
            _ => exec_err!("date/time field value out of range: a day has no such time"),
        }
    }

    /// Days since 1970-01-01.
    fn days(&self) -> Option<i64> {
        if let Some(julian) = self.julian {
            return julian.checked_sub(2_440_588);
        }
        let mut year = self.year.unwrap_or(self.default_year);
        if let Some(century) = self.century {
            // With less than three digits of the year, the century has the others.
            year = match self.year {
                Some(year) if self.year_digits <= 2 => match (year.rem_euclid(100), century) {
                    (0, century) => century.checked_mul(100)?,
                    (ones, century) => century.checked_sub(1)?.checked_mul(100)?.checked_add(ones)?,
                },
                Some(year) => year,
                None => century.checked_sub(1)?.checked_mul(100)?.checked_add(1)?,
            };
        }
        if self.before_christ && year > 0 {
            year = 1 - year;
        } else if year < 0 {
            // There is no year 0.
            year += 1;
        }
        if self.iso_year.is_some() || self.iso_week.is_some() || self.iso_day_of_year.is_some() {
            let year = self.iso_year.unwrap_or(year);
            return match (self.iso_week, self.iso_day_of_year) {
                (Some(week), _) if !(1..=53).contains(&week) => None,
                (Some(week), _) => Some(iso_week_monday(year, week) + self.weekday.unwrap_or(1) - 1),
                (None, Some(day)) => Some(iso_week_monday(year, 1) + day - 1),
                (None, None) => Date::checked(year, self.month.unwrap_or(1), self.day.unwrap_or(1)),
            };
        }
        let first = Date::checked(year, 1, 1)?;
        let days_of_year = 337 + month_length(year, 2);
        let day_of_year = match (self.day_of_year, self.week) {
            (Some(day), _) => Some(day),
            (None, Some(week)) => Some(week.checked_sub(1)?.checked_mul(7)? + 1),
            (None, None) => None,
        };
        if let (Some(day), None) = (day_of_year, self.month) {
            return (1..=days_of_year).contains(&day).then(|| first + day - 1);
        }
        let day = match (self.day, self.week_of_month) {
            (Some(day), _) => day,
            (None, Some(week)) => week.checked_sub(1)?.checked_mul(7)? + 1,
            (None, None) => 1,
        };
        Date::checked(year, self.month.unwrap_or(1), day)
    }
}
