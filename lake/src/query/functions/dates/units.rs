//! Names of units and fields of time, of all products that have them.

/// A unit that times are counted, moved and cut by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::query) enum Unit {
    Nanosecond,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    IsoYear,
    Decade,
    Century,
    Millennium,
}

impl Unit {
    /// The unit of that name, in any case: PostgreSQL's names and their plurals, then the abbreviations of Snowflake, SQL
    /// Server and ODBC. `m` is a minute and `y` a year, as in PostgreSQL.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("sql_tsi_").unwrap_or(&name);
        Some(match name {
            "ns" | "nsec" | "nanosec" | "nsecond" | "nanosecond" | "nanoseconds" | "nanosecs" | "nseconds"
            | "frac_second" => Self::Nanosecond,
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsec" | "microsecs" | "microsecond"
            | "microseconds" | "mcs" => Self::Microsecond,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisec" | "millisecs" | "millisecond"
            | "milliseconds" | "millisecon" => Self::Millisecond,
            "s" | "ss" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "m" | "mi" | "n" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hh" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "d" | "dd" | "day" | "days" | "dayofmonth" | "date" => Self::Day,
            "w" | "wk" | "ww" | "week" | "weeks" | "weekofyear" | "woy" | "wy" | "isoweek" | "iso_week" | "isowk"
            | "isoww" | "weekiso" | "week_iso" | "weekofyeariso" | "weekofyear_iso" => Self::Week,
            "mon" | "mons" | "mm" | "month" | "months" => Self::Month,
            "q" | "qq" | "qtr" | "qtrs" | "quarter" | "quarters" => Self::Quarter,
            "y" | "yy" | "yyy" | "yyyy" | "yr" | "yrs" | "year" | "years" => Self::Year,
            "isoyear" | "yearofweekiso" => Self::IsoYear,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "c" | "cent" | "century" | "centuries" => Self::Century,
            "mil" | "mils" | "millennium" | "millennia" | "millenium" | "millenniums" => Self::Millennium,
            _ => return None,
        })
    }

    /// Months of the unit, if it is made of months.
    pub fn months(self) -> Option<i64> {
        Some(match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year | Self::IsoYear => 12,
            Self::Decade => 120,
            Self::Century => 1200,
            Self::Millennium => 12_000,
            _ => return None,
        })
    }

    /// Microseconds of the unit, if it has always as many and at least one.
    pub fn micros(self) -> Option<i64> {
        use super::calendar::{DAY, HOUR, MINUTE, SECOND};
        Some(match self {
            Self::Microsecond => 1,
            Self::Millisecond => 1000,
            Self::Second => SECOND,
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            _ => return None,
        })
    }
}

/// What can be asked of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum Field {
    /// A unit's number within the next greater one.
    Of(Unit),
    /// Sunday is 0.
    Weekday,
    /// Sunday is 1: SQL Server's `datepart(weekday, …)`.
    WeekdayFromOne,
    /// Monday is 1.
    IsoWeekday,
    DayOfYear,
    Epoch,
    /// The epoch in another unit: Snowflake's `epoch_millisecond`.
    EpochIn(Unit),
    Julian,
    Era,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Field {
    /// The field of that name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let lower = name.trim().trim_matches(['\'', '"']).to_ascii_lowercase();
        Some(match lower.as_str() {
            "dow" | "dayofweek" | "day_of_week" => Self::Weekday,
            "dw" | "weekday" => Self::WeekdayFromOne,
            "isodow" | "dayofweekiso" | "dayofweek_iso" | "weekday_iso" | "dow_iso" | "dw_iso" => Self::IsoWeekday,
            "doy" | "dy" | "dayofyear" | "day_of_year" | "yearday" => Self::DayOfYear,
            "epoch" | "epoch_second" | "epoch_seconds" => Self::Epoch,
            "epoch_millisecond" | "epoch_milliseconds" | "epoch_ms" => Self::EpochIn(Unit::Millisecond),
            "epoch_microsecond" | "epoch_microseconds" | "epoch_us" => Self::EpochIn(Unit::Microsecond),
            "epoch_nanosecond" | "epoch_nanoseconds" | "epoch_ns" => Self::EpochIn(Unit::Nanosecond),
            "julian" => Self::Julian,
            "era" => Self::Era,
            "timezone" | "tz" | "tzoffset" => Self::Timezone,
            "timezone_hour" | "timezone_h" | "tzh" => Self::TimezoneHour,
            "timezone_minute" | "timezone_m" | "tzm" => Self::TimezoneMinute,
            "yearofweek" => Self::Of(Unit::IsoYear),
            other => Self::Of(Unit::named(other)?),
        })
    }
}
