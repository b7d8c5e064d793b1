//! The proleptic Gregorian calendar in whole numbers: days and microseconds since 1970-01-01. What the engine's own
//! calendar has in nanoseconds ends in 2262.

/// Microseconds of a day.
pub(in crate::query) const DAY: i64 = 86_400_000_000;
/// Microseconds of an hour.
pub(in crate::query) const HOUR: i64 = 3_600_000_000;
/// Microseconds of a minute.
pub(in crate::query) const MINUTE: i64 = 60_000_000;
/// Microseconds of a second.
pub(in crate::query) const SECOND: i64 = 1_000_000;

/// A day of the calendar. The year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) struct Date {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
}

impl Date {
    /// The day that is so many days after 1970-01-01. (Howard Hinnant, "chrono-compatible low-level date algorithms".)
    pub fn of(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: of_year - (153 * month_from_march + 2) / 5 + 1,
        }
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
    }

    /// Days since 1970-01-01, if the calendar has that day.
    pub fn checked(year: i64, month: i64, day: i64) -> Option<i64> {
        let is_a_day = (-290_000..=290_000).contains(&year)
            && (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day);
        is_a_day.then(|| Self { year, month, day }.days())
    }

    /// From 1.
    pub fn day_of_year(self) -> i64 {
        let first = Self {
            month: 1,
            day: 1,
            ..self
        };
        self.days() - first.days() + 1
    }

    /// From 1.
    pub fn quarter(self) -> i64 {
        (self.month + 2) / 3
    }
}

/// Days of the month.
pub(in crate::query) fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day of the week, Sunday is 0.
pub(in crate::query) fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// The day of the week, Monday is 1 and Sunday 7.
pub(in crate::query) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// The Monday of the day's week.
pub(in crate::query) fn monday(days: i64) -> i64 {
    days - (iso_weekday(days) - 1)
}

/// The year and the week of ISO 8601.
pub(in crate::query) fn iso_week(days: i64) -> (i64, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = monday(days) + 3;
    let date = Date::of(thursday);
    (date.year, (date.day_of_year() - 1) / 7 + 1)
}

/// The Monday of an ISO week.
pub(in crate::query) fn iso_week_monday(year: i64, week: i64) -> i64 {
    let fourth = Date { year, month: 1, day: 4 }.days();
    monday(fourth) + (week - 1) * 7
}

/// The day so many months later; the last one of its month where that is shorter.
pub(in crate::query) fn add_months(days: i64, months: i64) -> Option<i64> {
    let date = Date::of(days);
    let count = (date.year * 12 + date.month - 1).checked_add(months)?;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    Date::checked(year, month, date.day.min(month_length(year, month)))
}

/// Days since 1970-01-01, and microseconds of the day.
pub(in crate::query) fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY), micros.rem_euclid(DAY))
}

/// Microseconds since 1970-01-01.
pub(in crate::query) fn join(days: i64, of_day: i64) -> Option<i64> {
    days.checked_mul(DAY)?.checked_add(of_day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::{Datelike, NaiveDate, TimeDelta};

    use super::*;

    #[test]
    fn days_are_those_of_another_calendar() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (-1_000_000..4_000_000).step_by(97) {
            let other = epoch + TimeDelta::days(days);
            let date = Date::of(days);
            let of_other = (
                i64::from(other.year()),
                i64::from(other.month()),
                i64::from(other.day()),
            );
            assert_eq!((date.year, date.month, date.day), of_other);
            assert_eq!(date.days(), days);
            let week = (i64::from(other.iso_week().year()), i64::from(other.iso_week().week()));
            assert_eq!(iso_week(days), week);
            assert_eq!(iso_weekday(days), i64::from(other.weekday().number_from_monday()));
            assert_eq!(date.day_of_year(), i64::from(other.ordinal()));
        }
    }

    #[test]
    fn months_end_where_they_are_shorter() {
        let day = |year, month, day| Date { year, month, day }.days();
        assert_eq!(add_months(day(2024, 1, 31), 1), Some(day(2024, 2, 29)));
        assert_eq!(add_months(day(2024, 1, 31), -2), Some(day(2023, 11, 30)));
        assert_eq!(add_months(day(2024, 1, 31), i64::MAX), None);
    }
}
