//! Intervals: multiplied, ordered, and justified.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Time64NanosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::calendar::{DAY, join, split};
use super::values::{INTERVAL, Moments, Span, Spans, collect, collect_spans, out_of_range, timestamp};
use crate::query::functions::definition::{Arguments, Definition, Given, Kind, PLAIN, always};

/// Microseconds; what is longer than 292,000 years is not one.
const DURATION: DataType = DataType::Duration(TimeUnit::Microsecond);

fn out_of_intervals() -> datafusion::common::DataFusionError {
    exec_datafusion_err!("the interval is out of range")
}

/// Parts of a month go into days and parts of a day into time, as in PostgreSQL.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn scaled(span: Span, factor: f64) -> Option<Span> {
    let to_micro = |value: f64| (value * 1e6).round_ties_even() / 1e6;
    let (months, days) = (span.months as f64 * factor, span.days as f64 * factor);
    let fits = |value: f64| value.is_finite() && value.abs() < 9.2e18;
    let month_days = to_micro((months - months.trunc()) * 30.0);
    let mut seconds = to_micro((days - days.trunc() + month_days - month_days.trunc()) * 86_400.0);
    let mut whole_days = days.trunc() + month_days.trunc();
    if seconds.abs() >= 86_400.0 {
        whole_days += (seconds / 86_400.0).trunc();
        seconds -= (seconds / 86_400.0).trunc() * 86_400.0;
    }
    let micros = (span.micros as f64 * factor + seconds * 1e6).round_ties_even();
    (fits(months) && fits(whole_days) && fits(micros)).then_some(Span {
        months: months as i64,
        days: whole_days as i64,
        micros: micros as i64,
    })
}

/// One of so many equal parts of an interval.
///
/// # Errors
/// Execution: it is out of range.
#[allow(clippy::cast_precision_loss)]
pub(in crate::query) fn part_of(span: Span, count: i64) -> Result<Span> {
    scaled(span, (count as f64).recip()).ok_or_else(out_of_intervals)
}

/// An interval by a number; a duration stays one.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn times(args: &Arguments, factor: impl Fn(f64) -> Result<f64>) -> Result<ArrayRef> {
    let spans = Spans::of(args.array(0)?)?;
    let numbers = args.floats(1)?;
    let product = |row: usize| match spans.get(row) {
        Some(span) if !args.any_null(row) => scaled(span, factor(numbers.value(row))?)
            .ok_or_else(out_of_intervals)
            .map(Some),
        _ => Ok(None),
    };
    let products = (0..args.rows).map(product);
    match args.result {
        DURATION => collect(&DURATION, products.map(|span| span?.map(micros_of).transpose())),
        _ => collect_spans(products),
    }
}

fn micros_of(span: Span) -> Result<i64> {
    i64::try_from(span.total()).map_err(|_| out_of_intervals())
}

fn own_type(given: &Given) -> Result<DataType> {
    Ok(given.data_type(0).clone())
}

/// A row for each interval.
fn each(args: &Arguments, change: impl Fn(Span) -> Span) -> Result<ArrayRef> {
    let spans = Spans::of(args.array(0)?)?;
    collect_spans((0..args.rows).map(|row| Ok(spans.get(row).map(&change))))
}

/// Makes the time's sign that of the days.
fn same_sign(mut span: Span) -> Span {
    if span.days > 0 && span.micros < 0 {
        span.micros += DAY;
        span.days -= 1;
    } else if span.days < 0 && span.micros > 0 {
        span.micros -= DAY;
        span.days += 1;
    }
    span
}

fn justified_hours(span: Span) -> Span {
    same_sign(Span {
        days: span.days + span.micros / DAY,
        micros: span.micros % DAY,
        ..span
    })
}

fn justified_days(span: Span) -> Span {
    let mut span = Span {
        months: span.months + span.days / 30,
        days: span.days % 30,
        ..span
    };
    if span.months > 0 && span.days < 0 {
        span.days += 30;
        span.months -= 1;
    } else if span.months < 0 && span.days > 0 {
        span.days -= 30;
        span.months += 1;
    }
    span
}

fn justified(span: Span) -> Span {
    let days = span.days + span.micros / DAY;
    let mut span = Span {
        months: span.months + days / 30,
        days: days % 30,
        micros: span.micros % DAY,
    };
    if span.months > 0 && (span.days < 0 || span.days == 0 && span.micros < 0) {
        span.days += 30;
        span.months -= 1;
    } else if span.months < 0 && (span.days > 0 || span.days == 0 && span.micros > 0) {
        span.days -= 30;
        span.months += 1;
    }
    same_sign(span)
}

fn order(args: &Arguments) -> Result<ArrayRef> {
    let spans = Spans::of(args.array(0)?)?;
    let totals = (0..args.rows).map(|row| spans.get(row).map(Span::total));
    let array = Decimal128Array::from_iter(totals).with_precision_and_scale(38, 0)?;
    Ok(Arc::new(array))
}

/// The difference of two times of day.
fn time_difference(args: &Arguments) -> Result<ArrayRef> {
    let (left, right) = (Moments::of(args.array(0)?)?, Moments::of(args.array(1)?)?);
    let rows = (0..args.rows).map(|row| {
        Ok(left
            .local(row)?
            .zip(right.local(row)?)
            .map(|(left, right)| left - right))
    });
    collect(&DURATION, rows)
}

fn date_at_time(args: &Arguments) -> Result<ArrayRef> {
    let (dates, times) = (Moments::of(args.array(0)?)?, Moments::of(args.array(1)?)?);
    let rows = (0..args.rows).map(|row| {
        let both = dates.local(row)?.zip(times.local(row)?);
        both.map(|(date, time)| join(split(date).0, time).ok_or_else(out_of_range))
            .transpose()
    });
    collect(&args.result, rows)
}

/// The time of day of a timestamp.
fn time_of(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    let times = moments
        .locals()
        .map(|local| Ok(local?.map(|local| split(local).1 * 1000)));
    Ok(Arc::new(times.collect::<Result<Time64NanosecondArray>>()?))
}

/// An interval of so many units: `to_days(3)`.
macro_rules! units {
    ($name:literal, $aliases:expr, $what:literal, $span:expr) => {
        Definition {
            name: $name,
            aliases: $aliases,
            family: super::FAMILY,
            about: concat!("The interval of so many ", $what, "."),
            syntax: concat!($name, "(count)"),
            example: concat!("select ", $name, "(3)"),
            forms: &[&[Kind::Int]],
            returns: always!(INTERVAL),
            body: |args| {
                let counts = args.ints(0)?;
                let span = |count: i64| ($span)(count).ok_or_else(out_of_intervals);
                collect_spans(counts.iter().map(|count| count.map(span).transpose()))
            },
            ..PLAIN
        }
    };
}

const SPAN: &[&[Kind]] = &[&[Kind::Span]];

pub(super) const TIMES: Definition = Definition {
    name: "interval_times",
    family: super::FAMILY,
    about: "An interval so many times. The same as `interval * number`.",
    syntax: "interval_times(interval, number)",
    example: "select interval '1 day' * 1.5",
    forms: &[&[Kind::Span, Kind::Float]],
    returns: own_type,
    body: |args| times(args, Ok),
    ..PLAIN
};

pub(super) const BY: Definition = Definition {
    name: "interval_by",
    family: super::FAMILY,
    about: "An interval divided by a number. The same as `interval / number`.",
    syntax: "interval_by(interval, number)",
    example: "select interval '1 day' / 2",
    forms: &[&[Kind::Span, Kind::Float]],
    returns: own_type,
    body: |args| {
        times(args, |number| match number {
            0.0 => exec_err!("division by zero"),
            number => Ok(number.recip()),
        })
    },
    ..PLAIN
};

pub(super) const ORDER: Definition = Definition {
    name: "interval_order",
    family: super::FAMILY,
    about: "The microseconds of an interval, with months of 30 days and days of 24 hours: what intervals are compared \
        by.",
    syntax: "interval_order(interval)",
    example: "select interval_order(interval '1 month') = interval_order(interval '30 days')",
    forms: SPAN,
    returns: always!(DataType::Decimal128(38, 0)),
    body: order,
    ..PLAIN
};

pub(super) const TO_INTERVAL: Definition = Definition {
    name: "to_interval",
    family: super::FAMILY,
    about: "A duration as an interval of days and time.",
    syntax: "to_interval(duration)",
    example: "select to_interval(timestamp '2024-03-02 12:00:00' - timestamp '2024-03-01 10:00:00')",
    forms: SPAN,
    returns: always!(INTERVAL),
    body: |args| each(args, |span| span),
    ..PLAIN
};

pub(super) const TIME_DIFFERENCE: Definition = Definition {
    name: "time_difference",
    family: super::FAMILY,
    about: "The duration between two times of day. The same as `time - time`.",
    syntax: "time_difference(to, from)",
    example: "select time '12:00' - time '10:30'",
    forms: &[&[Kind::Time, Kind::Time]],
    returns: always!(DURATION),
    body: time_difference,
    ..PLAIN
};

pub(super) const DATE_AT_TIME: Definition = Definition {
    name: "date_at_time",
    family: super::FAMILY,
    about: "The timestamp of a date and a time of day. The same as `date + time`.",
    syntax: "date_at_time(date, time)",
    example: "select date '2024-02-29' + time '10:11:12'",
    forms: &[&[Kind::Day, Kind::Time]],
    returns: |_| Ok(timestamp(false)),
    body: date_at_time,
    ..PLAIN
};

pub(super) const DEFINITIONS: &[Definition] = &[
    TIMES,
    BY,
    ORDER,
    TO_INTERVAL,
    Definition {
        name: "justify_hours",
        family: super::FAMILY,
        about: "An interval whose 24 hours are days.",
        syntax: "justify_hours(interval)",
        example: "select justify_hours(interval '27 hours')",
        forms: SPAN,
        returns: always!(INTERVAL),
        body: |args| each(args, justified_hours),
        ..PLAIN
    },
    Definition {
        name: "justify_days",
        family: super::FAMILY,
        about: "An interval whose 30 days are months.",
        syntax: "justify_days(interval)",
        example: "select justify_days(interval '35 days')",
        forms: SPAN,
        returns: always!(INTERVAL),
        body: |args| each(args, justified_days),
        ..PLAIN
    },
    Definition {
        name: "justify_interval",
        family: super::FAMILY,
        about: "An interval whose 24 hours are days and whose 30 days are months, all of one sign.",
        syntax: "justify_interval(interval)",
        example: "select justify_interval(interval '1 month -1 hour')",
        forms: SPAN,
        returns: always!(INTERVAL),
        body: |args| each(args, justified),
        ..PLAIN
    },
    TIME_DIFFERENCE,
    DATE_AT_TIME,
    Definition {
        name: "time_of_day",
        family: super::FAMILY,
        about: "The time of day of a timestamp.",
        syntax: "time_of_day(at)",
        example: "select time_of_day(timestamp '2024-02-29 10:11:12')",
        forms: &[&[Kind::Moment]],
        returns: always!(DataType::Time64(TimeUnit::Nanosecond)),
        body: time_of,
        ..PLAIN
    },
    units!("to_years", &[], "years", |count: i64| Some(Span {
        months: count.checked_mul(12)?,
        ..Span::default()
    })),
    units!("to_months", &[], "months", |months: i64| Some(Span {
        months,
        ..Span::default()
    })),
    units!("to_weeks", &[], "weeks", |count: i64| Some(Span {
        days: count.checked_mul(7)?,
        ..Span::default()
    })),
    units!("to_days", &[], "days", |days: i64| Some(Span {
        days,
        ..Span::default()
    })),
    units!("to_hours", &[], "hours", |count: i64| Some(Span {
        micros: count.checked_mul(super::calendar::HOUR)?,
        ..Span::default()
    })),
    units!("to_minutes", &[], "minutes", |count: i64| Some(Span {
        micros: count.checked_mul(super::calendar::MINUTE)?,
        ..Span::default()
    })),
    units!("to_seconds", &[], "seconds", |count: i64| Some(Span {
        micros: count.checked_mul(super::calendar::SECOND)?,
        ..Span::default()
    })),
];
