//! Dates, timestamps, times and intervals of numbers: `make_date` and its kin.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, Time64NanosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, exec_datafusion_err};

use super::calendar::{DAY, Date, HOUR, MINUTE, add_months, join};
use super::values::{INTERVAL, Moments, Span, collect, collect_spans, out_of_range, timestamp};
use super::zones::Zone;
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN, always};

const DATE: &[Kind] = &[Kind::Int, Kind::Int, Kind::Int];
const SECONDS: &[Kind] = &[Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Float];

fn wrong() -> datafusion::common::DataFusionError {
    exec_datafusion_err!("date/time field value out of range: the calendar or the clock does not have it")
}

/// Microseconds of seconds, to the nearest.
#[allow(clippy::cast_possible_truncation)]
pub(in crate::query) fn micros(seconds: f64) -> Option<i64> {
    let micros = (seconds * 1e6).round_ties_even();
    (micros.abs() < 9.2e18).then_some(micros as i64)
}

/// A year before Christ is negative; there is no year 0.
fn year(number: i64) -> Option<i64> {
    match number {
        0 => None,
        1.. => Some(number),
        _ => Some(number + 1),
    }
}

/// The day of three whole numbers that begin at a place.
fn days(args: &Arguments, row: usize) -> Result<i64> {
    let number = |place: usize| Ok::<_, datafusion::common::DataFusionError>(args.ints(place)?.value(row));
    let (number_of_year, month, day) = (number(0)?, number(1)?, number(2)?);
    year(number_of_year)
        .and_then(|year| Date::checked(year, month, day))
        .ok_or_else(wrong)
}

/// The time of the day; 24:00 is the next one's beginning.
fn of_day(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let sum = || {
        let seconds = micros(second).filter(|micros| (0..=MINUTE).contains(micros))?;
        let sensible = (0..=24).contains(&hour) && (0..60).contains(&minute);
        let sum = hour * HOUR + minute * MINUTE + seconds;
        (sensible && sum <= DAY).then_some(sum)
    };
    sum().ok_or_else(wrong)
}

/// Rows that are null where an argument is.
pub(super) fn rows<'a, T>(
    args: &'a Arguments,
    row: impl Fn(usize) -> Result<T> + 'a,
) -> impl Iterator<Item = Result<Option<T>>> + 'a {
    (0..args.rows).map(move |at| if args.any_null(at) { Ok(None) } else { row(at).map(Some) })
}

fn make_date(args: &Arguments) -> Result<ArrayRef> {
    collect(
        &args.result,
        rows(args, |row| join(days(args, row)?, 0).ok_or_else(out_of_range)),
    )
}

/// `date_from_parts`: months and days beyond their ends are counted on.
fn lenient_date(args: &Arguments) -> Result<ArrayRef> {
    let number = |place: usize, row: usize| Ok::<_, datafusion::common::DataFusionError>(args.ints(place)?.value(row));
    let row = |row: usize| {
        let (year, month, day) = (number(0, row)?, number(1, row)?, number(2, row)?);
        let sum = || {
            let first = Date::checked(year, 1, 1)?;
            let days = add_months(first, month.checked_sub(1)?)?.checked_add(day.checked_sub(1)?)?;
            join(days, 0)
        };
        sum().ok_or_else(out_of_range)
    };
    collect(&args.result, rows(args, row))
}

fn make_timestamp(args: &Arguments) -> Result<ArrayRef> {
    let row = |row: usize| {
        let (hours, minutes) = (args.ints(3)?.value(row), args.ints(4)?.value(row));
        let of_day = of_day(hours, minutes, args.floats(5)?.value(row))?;
        let local = join(days(args, row)?, of_day).ok_or_else(out_of_range)?;
        match args.count() {
            7 => Zone::named(args.text(6)?.value(row))?.to_instant(local),
            _ => Ok(local),
        }
    };
    collect(&args.result, rows(args, row))
}

/// SQL Server's last argument is milliseconds, Snowflake's nanoseconds.
fn from_parts(args: &Arguments, fraction_of_second: i64) -> Result<ArrayRef> {
    let row = |row: usize| {
        let number = |place: usize| Ok::<_, datafusion::common::DataFusionError>(args.ints(place)?.value(row));
        let fraction = match args.count() {
            7 => i128::from(number(6)?) * 1_000_000 / i128::from(fraction_of_second),
            _ => 0,
        };
        let fraction = i64::try_from(fraction).map_err(|_| out_of_range())?;
        #[allow(clippy::cast_precision_loss)]
        let of_day = of_day(number(3)?, number(4)?, number(5)? as f64)?;
        join(days(args, row)?, of_day + fraction).ok_or_else(out_of_range)
    };
    collect(&args.result, rows(args, row))
}

fn make_time(args: &Arguments) -> Result<ArrayRef> {
    let row = |row: usize| {
        let (hours, minutes) = (args.ints(0)?.value(row), args.ints(1)?.value(row));
        Ok(of_day(hours, minutes, args.floats(2)?.value(row))? * 1000)
    };
    Ok(Arc::new(rows(args, row).collect::<Result<Time64NanosecondArray>>()?))
}

fn make_interval(args: &Arguments) -> Result<ArrayRef> {
    let int = |place: usize| args.ints(place).ok().cloned();
    let ints: Vec<Option<Int64Array>> = (0..6).map(int).collect();
    let seconds: Option<Float64Array> = args.floats(6).ok().cloned();
    let number = |place: usize, row: usize| match ints.get(place) {
        Some(Some(array)) => array.value(row),
        _ => 0,
    };
    let row = |row: usize| {
        let sum = || {
            let months = number(0, row).checked_mul(12)?.checked_add(number(1, row))?;
            let days = number(2, row).checked_mul(7)?.checked_add(number(3, row))?;
            let hours = number(4, row).checked_mul(HOUR)?;
            let minutes = number(5, row).checked_mul(MINUTE)?;
            let seconds = seconds.as_ref().map_or(Some(0), |seconds| micros(seconds.value(row)))?;
            let micros = hours.checked_add(minutes)?.checked_add(seconds)?;
            Some(Span { months, days, micros })
        };
        sum().ok_or_else(|| exec_datafusion_err!("the interval is out of range"))
    };
    collect_spans(rows(args, row))
}

/// `date(2024, 2, 29)`, `date(at[, zone])`.
fn date(args: &Arguments) -> Result<ArrayRef> {
    if args.count() == 3 {
        return make_date(args);
    }
    let moments = Moments::of(args.array(0)?)?;
    let row = |row: usize| {
        let instant = moments.instant(row)?.unwrap_or_default();
        match args.count() {
            2 => Zone::named(args.text(1)?.value(row))?.to_local(instant),
            _ => moments.zone().to_local(instant),
        }
    };
    collect(&args.result, rows(args, row))
}

const DATE32: DataType = DataType::Date32;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "make_date",
        aliases: &["datefromparts"],
        family: super::FAMILY,
        about: "The date of a year, a month and a day.",
        syntax: "make_date(year, month, day)",
        example: "select make_date(2024, 2, 29)",
        forms: &[DATE],
        returns: always!(DATE32),
        body: make_date,
        ..PLAIN
    },
    Definition {
        name: "date_from_parts",
        family: super::FAMILY,
        about: "The date of a year, a month and a day; months and days beyond their ends are counted on.",
        syntax: "date_from_parts(year, month, day)",
        example: "select date_from_parts(2024, 14, 0)",
        forms: &[DATE],
        returns: always!(DATE32),
        body: lenient_date,
        ..PLAIN
    },
    Definition {
        name: "date",
        family: super::FAMILY,
        about: "The date of a timestamp, on the clock of a zone if one is named, or of a year, a month and a day.",
        syntax: "date(at[, zone])",
        example: "select date(timestamp '2024-02-29 10:11:12')",
        forms: &[&[Kind::Moment], &[Kind::Moment, Kind::Text], DATE],
        returns: always!(DATE32),
        body: date,
        ..PLAIN
    },
    Definition {
        name: "make_timestamp",
        family: super::FAMILY,
        about: "The timestamp of a year, a month, a day, an hour, a minute and seconds.",
        syntax: "make_timestamp(year, month, day, hour, minute, second)",
        example: "select make_timestamp(2024, 2, 29, 10, 11, 12.5)",
        forms: &[SECONDS],
        returns: |_| Ok(timestamp(false)),
        body: make_timestamp,
        ..PLAIN
    },
    Definition {
        name: "make_timestamptz",
        family: super::FAMILY,
        about: "The instant at which the clock of a zone, UTC by default, shows that.",
        syntax: "make_timestamptz(year, month, day, hour, minute, second[, zone])",
        example: "select make_timestamptz(2024, 2, 29, 10, 11, 12.5, 'Europe/Madrid')",
        forms: &[
            SECONDS,
            &[
                Kind::Int,
                Kind::Int,
                Kind::Int,
                Kind::Int,
                Kind::Int,
                Kind::Float,
                Kind::Text,
            ],
        ],
        returns: |_| Ok(timestamp(true)),
        body: make_timestamp,
        ..PLAIN
    },
    Definition {
        name: "timestamp_from_parts",
        aliases: &["timestamp_ntz_from_parts", "timestampntzfromparts"],
        family: super::FAMILY,
        about: "The timestamp of a year, a month, a day, an hour, a minute, a second and nanoseconds.",
        syntax: "timestamp_from_parts(year, month, day, hour, minute, second[, nanosecond])",
        example: "select timestamp_from_parts(2024, 2, 29, 10, 11, 12)",
        forms: &[&[Kind::Int; 6], &[Kind::Int; 7]],
        returns: |_| Ok(timestamp(false)),
        body: |args| from_parts(args, 1_000_000_000),
        ..PLAIN
    },
    Definition {
        name: "datetimefromparts",
        family: super::FAMILY,
        about: "The timestamp of a year, a month, a day, an hour, a minute, a second and milliseconds.",
        syntax: "datetimefromparts(year, month, day, hour, minute, second, millisecond)",
        example: "select datetimefromparts(2024, 2, 29, 10, 11, 12, 500)",
        forms: &[&[Kind::Int; 7]],
        returns: |_| Ok(timestamp(false)),
        body: |args| from_parts(args, 1000),
        ..PLAIN
    },
    Definition {
        name: "make_time",
        aliases: &["time_from_parts", "timefromparts"],
        family: super::FAMILY,
        about: "The time of day of an hour, a minute and seconds.",
        syntax: "make_time(hour, minute, second)",
        example: "select make_time(10, 11, 12.5)",
        forms: &[&[Kind::Int, Kind::Int, Kind::Float]],
        returns: always!(DataType::Time64(TimeUnit::Nanosecond)),
        body: make_time,
        ..PLAIN
    },
    Definition {
        name: "make_interval",
        family: super::FAMILY,
        about: "The interval of so many years, months, weeks, days, hours, minutes and seconds.",
        syntax: "make_interval([years[, months[, weeks[, days[, hours[, minutes[, seconds]]]]]]])",
        example: "select make_interval(0, 1, 0, 10)",
        forms: &[
            &[Kind::Int],
            &[Kind::Int; 2],
            &[Kind::Int; 3],
            &[Kind::Int; 4],
            &[Kind::Int; 5],
            &[Kind::Int; 6],
            &[
                Kind::Int,
                Kind::Int,
                Kind::Int,
                Kind::Int,
                Kind::Int,
                Kind::Int,
                Kind::Float,
            ],
        ],
        returns: always!(INTERVAL),
        body: make_interval,
        ..PLAIN
    },
];
