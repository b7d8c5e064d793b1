//! Dates and times of text, in the forms that PostgreSQL reads (its documentation, "Date/Time Input", month before day).

use crate::query::functions::dates::calendar::{DAY, Date, HOUR, MINUTE, SECOND, join};
use crate::query::functions::dates::names::{MONTHS, WEEKDAYS};
use crate::query::functions::dates::zones::Zone;

/// What a text says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// On the clock of the zone that it names, microseconds since 1970-01-01.
    pub local: i64,
    pub zone: Option<Zone>,
}

/// The date, and the time if there is one.
///
/// # Errors
/// Why the text is none, without the text.
pub(super) fn parse(text: &str) -> Result<Time, String> {
    if let Some(local) = plain(text.as_bytes()) {
        return Ok(Time { local, zone: None });
    }
    let syntax = || "invalid input syntax: this is not a date or a time".to_owned();
    let range = || "date/time field value out of range: the calendar does not have it".to_owned();
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "epoch" => return Ok(Time { local: 0, zone: None }),
        "infinity" | "-infinity" => return Err("infinite times cannot be stored".to_owned()),
        "now" | "today" | "tomorrow" | "yesterday" => {
            return Err("invalid input syntax: use now() or current_date for the time of the statement".to_owned());
        }
        _ => {}
    }
    let said = Said::of(text).ok_or_else(syntax)?;
    let days = said.days().ok_or_else(syntax)?.ok_or_else(range)?;
    let of_day = said.of_day.unwrap_or(0);
    let local = join(days, of_day).ok_or_else(range)?;
    Ok(Time { local, zone: said.zone })
}

/// The time of day, microseconds. A date before it and a zone after it are passed over.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    // `101112` is a time here and would be a date elsewhere.
    if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return clock(text, true);
    }
    Said::of(text)?.of_day
}

/// `2024-01-31`, `2024-01-31 10:11:12`, `2024-01-31T10:11:12.123456`: what most texts are.
fn plain(text: &[u8]) -> Option<i64> {
    let digits = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.iter().try_fold(0_i64, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let is = |place: usize, byte: u8| text.get(place) == Some(&byte);
    if !is(4, b'-') || !is(7, b'-') {
        return None;
    }
    let year = digits(0, 4).filter(|year| *year > 0)?;
    let days = Date::checked(year, digits(5, 7)?, digits(8, 10)?)?;
    if text.len() == 10 {
        return join(days, 0);
    }
    if !(is(10, b' ') || is(10, b'T')) || !is(13, b':') || !is(16, b':') {
        return None;
    }
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let sensible = hour < 24 && minute < 60 && second < 60;
    let of_day = sensible.then_some(hour * HOUR + minute * MINUTE + second * SECOND)?;
    let fraction = match text.len() {
        19 => 0,
        length @ 21..=26 if is(19, b'.') => {
            let missing = u32::try_from(26 - length).ok()?;
            digits(20, length)? * 10_i64.pow(missing)
        }
        _ => return None,
    };
    join(days, of_day + fraction)
}

/// What the words of a text say.
#[derive(Debug, Default)]
struct Said {
    /// Numbers of the date, in their order, with how many digits each has.
    numbers: Vec<(i64, usize)>,
    month: Option<i64>,
    /// How many numbers were before the name of the month.
    before_month: usize,
    /// Days since 1970-01-01, of a form that is a date alone.
    days: Option<Option<i64>>,
    of_day: Option<i64>,
    zone: Option<Zone>,
    before_christ: bool,
}

impl Said {
    fn of(text: &str) -> Option<Self> {
        let mut said = Self::default();
        let words = text
            .split(|letter: char| letter.is_whitespace() || letter == ',')
            .filter(|word| !word.is_empty());
        for word in words {
            // `2024-01-31T10:11:12`, and `t` as well.
            match word.find(['T', 't']) {
                Some(at) if at > 0 && word.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit) => {
                    let (date, time) = word.split_at(at);
                    if date.bytes().any(|byte| byte.is_ascii_alphabetic()) {
                        said.word(word)?;
                    } else {
                        said.word(date)?;
                        said.time_and_zone(time.get(1..)?)?;
                    }
                }
                _ => said.word(word)?,
            }
        }
        Some(said)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let first = word.chars().next()?;
        if word.contains(':') && first.is_ascii_digit() {
            return self.time_and_zone(word);
        }
        if first.is_ascii_digit() {
            return self.date(word);
        }
        if first == '+' || first == '-' {
            // An offset follows a time.
            self.of_day?;
            return self.set_zone(word);
        }
        self.name(word)
    }

    /// A name of a month, a weekday, a half of the day, an era or a zone.
    fn name(&mut self, word: &str) -> Option<()> {
        let lower = word.trim_end_matches('.').to_ascii_lowercase();
        if let Some(month) = named(&lower, &MONTHS) {
            self.before_month = self.numbers.len();
            self.month = Some(month + 1);
        } else if named(&lower, &WEEKDAYS).is_some() || matches!(lower.as_str(), "at" | "on" | "ad" | "a.d") {
            // Says nothing that the date does not.
        } else if matches!(lower.as_str(), "bc" | "b.c") {
            self.before_christ = true;
        } else if matches!(lower.as_str(), "am" | "a.m" | "pm" | "p.m") {
            self.halve(lower.starts_with('p'))?;
        } else if let Some(days) = lower.strip_prefix('j').and_then(|days| days.parse::<i64>().ok()) {
            self.days = Some(days.checked_sub(2_440_588));
        } else {
            return self.set_zone(word);
        }
        Some(())
    }

    fn set_zone(&mut self, word: &str) -> Option<()> {
        if self.zone.is_some() {
            return None;
        }
        self.zone = Some(match word.starts_with(['+', '-']) {
            true => Zone::Fixed(offset(word)?),
            false => Zone::named(word).ok()?,
        });
        Some(())
    }

    /// Twelve hours of the time, which is of a clock with two halves.
    fn halve(&mut self, afternoon: bool) -> Option<()> {
        let of_day = self.of_day?;
        let hour = of_day / HOUR;
        if !(1..=12).contains(&hour) {
            return None;
        }
        let of_hour = of_day - hour * HOUR;
        self.of_day = Some(of_hour + (hour % 12 + if afternoon { 12 } else { 0 }) * HOUR);
        Some(())
    }

    /// `10:11:12.5`, `10:11:12+02`, `10:11pm`, `101112Z`.
    fn time_and_zone(&mut self, word: &str) -> Option<()> {
        if self.of_day.is_some() {
            return None;
        }
        let end = word
            .find(|letter: char| !(letter.is_ascii_digit() || letter == ':' || letter == '.'))
            .unwrap_or(word.len());
        let (time, rest) = word.split_at(end);
        self.of_day = Some(clock(time, !time.contains(':'))?);
        match rest {
            "" => Some(()),
            rest if rest.starts_with(['+', '-']) => self.set_zone(rest),
            rest => self.name(rest),
        }
    }

    /// `2024-01-31`, `1/31/2024`, `31-Jan-2024`, `20240131`, `2024.031`, or one number of a date in words.
    fn date(&mut self, word: &str) -> Option<()> {
        let is_between = |letter: char| matches!(letter, '-' | '/' | '.');
        if !word.contains(is_between) {
            let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
            let length = digits.len();
            if length != word.len() {
                // `31st` is not read, `10pm` neither.
                return None;
            }
            let number: i64 = digits.parse().ok()?;
            match length {
                8 => self.days = Some(Date::checked(number / 10_000, number / 100 % 100, number % 100)),
                // `2024-01-31 101112`
                6 if self.days.is_some() || self.numbers.len() + usize::from(self.month.is_some()) == 3 => {
                    return self.time_and_zone(word);
                }
                6 if self.month.is_none() && self.numbers.is_empty() => {
                    let year = two_digits(number / 10_000);
                    self.days = Some(Date::checked(year, number / 100 % 100, number % 100));
                }
                1..=6 => self.numbers.push((number, length)),
                _ => return None,
            }
            return Some(());
        }
        let parts: Vec<_> = word.split(is_between).collect();
        if let [year, day] = parts.as_slice()
            && year.len() == 4
            && day.len() == 3
        {
            let first = Date::checked(year.parse().ok()?, 1, 1);
            let day: i64 = day.parse().ok()?;
            self.days = Some(first.filter(|_| (1..=366).contains(&day)).map(|first| first + day - 1));
            return Some(());
        }
        if parts.len() != 3 {
            return None;
        }
        for part in parts {
            if part.starts_with(|letter: char| letter.is_ascii_digit()) {
                let digits = part.bytes().all(|byte| byte.is_ascii_digit());
                self.numbers.push((digits.then(|| part.parse().ok())??, part.len()));
            } else {
                self.before_month = self.numbers.len();
                self.month = Some(named(&part.to_ascii_lowercase(), &MONTHS)? + 1);
            }
        }
        Some(())
    }

    /// The day: nothing, if the words do not make one; none, if the calendar does not have it.
    fn days(&self) -> Option<Option<i64>> {
        if let Some(days) = self.days {
            return Some(days);
        }
        let (year, month, day) = match (self.month, self.numbers.as_slice()) {
            (Some(month), [first, second]) => {
                let first_is_year = first.1 > 2 || first.0 > 31;
                match first_is_year {
                    true => (*first, month, second.0),
                    false => (*second, month, first.0),
                }
            }
            (None, [year @ (_, 3..), month, day]) => (*year, month.0, day.0),
            (None, [month, day, year]) => (*year, month.0, day.0),
            _ => return None,
        };
        let year = match year {
            (number, 1..=2) if !self.before_christ => two_digits(number),
            (number, _) => number,
        };
        let year = if self.before_christ { 1 - year } else { year };
        let has_no_year = year == 0 && !self.before_christ;
        Some(Date::checked(year, month, day).filter(|_| !has_no_year))
    }
}

/// A year of two digits is one from 1970 to 2069.
fn two_digits(year: i64) -> i64 {
    if year < 70 { year + 2000 } else { year + 1900 }
}

/// The place of the name that is meant, of three letters at least.
fn named(lower: &str, names: &[&str]) -> Option<i64> {
    let is_meant = |name: &&str| {
        let name = name.to_ascii_lowercase();
        lower == name || lower.len() >= 3 && lower.len() <= 5 && name.starts_with(lower)
    };
    let place = names.iter().position(is_meant)?;
    i64::try_from(place).ok()
}

/// `10:11`, `10:11:12.5`, or without colons `1011`, `101112.5`. The end of the day is 24:00.
fn clock(text: &str, joined: bool) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let numbers: Vec<i64> = match joined {
        true => {
            let pairs = whole.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
            pairs
                .map(|pair| pair.filter(|pair| pair.len() == 2)?.parse().ok())
                .collect::<Option<_>>()?
        }
        false => whole.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?,
    };
    let (hour, minute, second) = match numbers.as_slice() {
        [hour, minute, second] => (*hour, *minute, *second),
        [hour, minute] if fraction.is_empty() => (*hour, *minute, 0),
        _ => return None,
    };
    let micros = micros_of_fraction(fraction)?;
    let of_day = hour * HOUR + minute * MINUTE + second * SECOND + micros;
    let sensible = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    (sensible && of_day <= DAY).then_some(of_day)
}

/// The microseconds of digits after a point, to the nearest.
pub(super) fn micros_of_fraction(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{digits:0<6}");
    let (six, rest) = padded.split_at(6);
    let round = i64::from(rest.as_bytes().first().is_some_and(|digit| *digit >= b'5'));
    Some(six.parse::<i64>().ok()? + round)
}

/// Microseconds east of UTC: `+02`, `-03:30`, `+0530`.
fn offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?;
    let numbers: Vec<i64> = match (digits.contains(':'), digits.len()) {
        (true, _) => digits.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?,
        (false, 1 | 2) => vec![digits.parse().ok()?],
        (false, 4) => vec![digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?],
        _ => return None,
    };
    let place = |at: usize| numbers.get(at).copied().unwrap_or(0);
    let sensible = (0..16).contains(&place(0)) && (0..60).contains(&place(1)) && (0..60).contains(&place(2));
    let offset = place(0) * HOUR + place(1) * MINUTE + place(2) * SECOND;
    (sensible && numbers.len() <= 3).then_some(sign * offset)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_most_texts_are_is_read_as_all_others() {
        for text in [
            "2024-01-31",
            "2024-01-31 10:11:12",
            "2024-01-31T10:11:12.5",
            "0001-01-01 00:00:00.000001",
        ] {
            let said = Said::of(text).unwrap();
            let slow = join(said.days().unwrap().unwrap(), said.of_day.unwrap_or(0));
            assert_eq!(plain(text.as_bytes()), slow, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-0-9 :./TZ+jJanpmBC]{0,30}") {
            let _ = parse(&text);
            let _ = parse_time(&text);
            let _ = super::super::intervals::parse(&text, None);
        }
    }
}
