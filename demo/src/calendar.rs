//! The two years that are generated, day by day, and the hours of Spain.

use std::fmt;

use chrono::{Datelike, NaiveDate, TimeDelta};

/// How many days are generated: 2024 and 2025.
pub const DAYS: Day = 731;
/// How many months that is.
pub const MONTHS: u32 = 24;

/// Days since 2024-01-01, a Monday; what happened before counts backwards.
pub type Day = i32;

/// The date of `day`.
pub fn date(day: Day) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default() + TimeDelta::days(i64::from(day))
}

/// 0 for Monday to 6 for Sunday.
pub fn weekday(day: Day) -> usize {
    day.rem_euclid(7) as usize
}

/// A month of the generated years, 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(pub u32);

impl Month {
    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..MONTHS).map(Self)
    }

    /// The month of `day`; days before the generated years belong to the first month.
    pub fn of(day: Day) -> Self {
        let date = date(day.clamp(0, DAYS - 1));
        Self((date.year() - 2024) as u32 * 12 + date.month0())
    }

    /// Its days.
    pub fn days(self) -> std::ops::Range<Day> {
        self.first()..Self(self.0 + 1).first()
    }

    /// January is 0.
    pub fn of_year(self) -> usize {
        (self.0 % 12) as usize
    }

    fn first(self) -> Day {
        let first = NaiveDate::from_ymd_opt(2024 + (self.0 / 12) as i32, self.0 % 12 + 1, 1).unwrap_or_default();
        (first - date(0)).num_days() as Day
    }
}

/// `2024-01`
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", 2024 + self.0 / 12, self.0 % 12 + 1)
    }
}

/// How much is bought in a month of the year, in percent of December.
pub const SEASON: [u32; 12] = [76, 70, 74, 77, 76, 74, 70, 62, 74, 78, 84, 100];

/// Christmas, New Year, Epiphany, Labour Day, the Assumption and All Saints: every store is closed.
pub fn is_holiday(day: Day) -> bool {
    let date = date(day);
    matches!(
        (date.month(), date.day()),
        (1, 1 | 6) | (5, 1) | (8, 15) | (11, 1) | (12, 25)
    )
}

/// A moment: a day and a second of it, as clocks in Madrid show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The day on the wall.
    pub day: Day,
    /// Seconds since midnight on the wall; beyond a day's it is the next day.
    pub second: i32,
}

impl Moment {
    /// The moment `seconds` later.
    pub fn after(self, seconds: i32) -> Self {
        let second = self.second + seconds;
        Self {
            day: self.day + second.div_euclid(86_400),
            second: second.rem_euclid(86_400),
        }
    }

    /// As an ERP writes it: `2024-12-31 18:45:07`, local time without a zone.
    pub fn local(self) -> impl fmt::Display {
        let (date, second) = (date(self.day), self.second);
        fmt::from_fn(move |f| {
            write!(
                f,
                "{date} {:02}:{:02}:{:02}",
                second / 3600,
                second / 60 % 60,
                second % 60
            )
        })
    }

    /// As web systems write it: `2024-12-31T17:45:07Z`.
    pub fn utc(self) -> impl fmt::Display {
        let moment = self.after(-self.offset());
        let (date, second) = (date(moment.day), moment.second);
        fmt::from_fn(move |f| {
            write!(
                f,
                "{date}T{:02}:{:02}:{:02}Z",
                second / 3600,
                second / 60 % 60,
                second % 60
            )
        })
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn epoch_millis(self) -> i64 {
        let days = i64::from(self.day) + 19_723;
        (days * 86_400 + i64::from(self.second - self.offset())) * 1000
    }

    /// Seconds that Madrid is ahead of UTC: two hours from the last Sunday of March to the last of October.
    /// The clocks change at night, where nothing is generated, so the day decides.
    fn offset(self) -> i32 {
        let date = date(self.day);
        let sunday = self.day - weekday(self.day) as Day - 1 + if weekday(self.day) == 6 { 7 } else { 0 };
        let last_week_begun = |month: u32| {
            let last_sunday = self::date(sunday);
            last_sunday.month() == month && last_sunday.day() >= 25
        };
        let summer = match date.month() {
            4..=9 => true,
            3 => last_week_begun(3),
            10 => !last_week_begun(10),
            _ => false,
        };
        if summer { 7200 } else { 3600 }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Madrid;

    #[test]
    fn the_months_cover_the_days() {
        assert_eq!(Month::all().map(|month| month.days().len() as Day).sum::<Day>(), DAYS);
        assert!((0..DAYS).all(|day| Month::of(day).days().contains(&day)));
        assert_eq!(Month(23).to_string(), "2025-12");
        assert_eq!(date(DAYS - 1).to_string(), "2025-12-31");
        assert!((0..DAYS).all(|day| weekday(day) == date(day).weekday().num_days_from_monday() as usize));
    }

    #[test]
    fn local_time_becomes_utc_as_the_zone_database_says() {
        for day in 0..DAYS {
            let moment = Moment {
                day,
                second: 12 * 3600 + 61,
            };
            let expected = date(day)
                .and_hms_opt(12, 1, 1)
                .unwrap()
                .and_local_timezone(Madrid)
                .unwrap()
                .to_utc();
            assert_eq!(
                moment.utc().to_string(),
                expected.format("%Y-%m-%dT%H:%M:%SZ").to_string()
            );
            assert_eq!(moment.epoch_millis(), expected.timestamp_millis());
        }
        assert_eq!(
            Moment { day: 0, second: 67_507 }.local().to_string(),
            "2024-01-01 18:45:07"
        );
    }
}
