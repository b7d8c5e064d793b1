//! How many units are between two times: `datediff` and its kin, `age`, `overlaps`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::calendar::{DAY, Date, monday, month_length, split};
use super::trunc::named;
use super::units::Unit;
use super::values::{INTERVAL, Moments, Span, Spans, add, collect, collect_spans, out_of_range};
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN, always};

const FORMS: &[&[Kind]] = &[
    &[Kind::Text, Kind::Moment, Kind::Moment],
    &[Kind::Text, Kind::Time, Kind::Time],
    &[Kind::Moment, Kind::Moment, Kind::Text],
    &[Kind::Moment, Kind::Moment],
];

/// How many beginnings of the unit are between the times.
fn boundaries(unit: Unit, from: i64, to: i64) -> Option<i64> {
    if unit == Unit::Nanosecond {
        return to.checked_sub(from)?.checked_mul(1000);
    }
    let count = |micros: i64| {
        let days = split(micros).0;
        let year = Date::of(days).year;
        match unit {
            Unit::Month => year * 12 + Date::of(days).month - 1,
            Unit::Quarter => year * 4 + Date::of(days).quarter() - 1,
            Unit::Year => year,
            Unit::IsoYear => super::calendar::iso_week(days).0,
            Unit::Decade => year.div_euclid(10),
            Unit::Century => (year - 1).div_euclid(100),
            Unit::Millennium => (year - 1).div_euclid(1000),
            unit => micros.div_euclid(unit.micros().unwrap_or(1)),
        }
    };
    match unit {
        Unit::Week => Some((monday(split(to).0) - monday(split(from).0)) / 7),
        _ => count(to).checked_sub(count(from)),
    }
}

/// How many whole units are between the times.
fn whole(unit: Unit, from: i64, to: i64) -> Result<i64> {
    let Some(of_unit) = unit.months() else {
        let between = to.checked_sub(from).ok_or_else(out_of_range)?;
        return match unit.micros() {
            Some(micros) => Ok(between / micros),
            None => between.checked_mul(1000).ok_or_else(out_of_range),
        };
    };
    let month = |micros: i64| {
        let date = Date::of(split(micros).0);
        date.year * 12 + date.month
    };
    let mut months = month(to) - month(from);
    let reached = add(
        from,
        Span {
            months,
            ..Span::default()
        },
    )?;
    // A month is whole when the day and the time of the later one are not before those of the earlier one.
    if months > 0 && reached > to {
        months -= 1;
    } else if months < 0 && reached < to {
        months += 1;
    }
    Ok(months / of_unit)
}

/// The whole numbers of rows of two times and a unit, in one of the orders that products have them.
fn counted(args: &Arguments, count: impl Fn(Unit, i64, i64) -> Result<i64>) -> Result<ArrayRef> {
    // (place of the unit, of the earlier time, of the later one)
    let (unit, from, to) = match args.count() {
        2 => (None, 1, 0),
        _ if *args.array(0)?.data_type() == DataType::Utf8 => (Some(0), 1, 2),
        _ => (Some(2), 1, 0),
    };
    let units = unit.map(|place| args.text(place)).transpose()?;
    let (from, to) = (Moments::of(args.array(from)?)?, Moments::of(args.array(to)?)?);
    let rows = (0..args.rows).map(|row| {
        let (Some(from), Some(to), false) = (from.local(row)?, to.local(row)?, args.any_null(row)) else {
            return Ok(None);
        };
        let unit = match units {
            Some(units) => named(units.value(row))?,
            None => Unit::Day,
        };
        count(unit, from, to).map(Some)
    });
    collect(&args.result, rows)
}

/// `date_sub(unit, from, to)`, `timestampdiff(unit, from, to)`.
pub(super) fn whole_units(args: &Arguments) -> Result<ArrayRef> {
    counted(args, whole)
}

/// Months of 31 days; a whole number between equal days, and between last ones.
#[allow(clippy::cast_precision_loss)]
fn months_between(args: &Arguments) -> Result<ArrayRef> {
    let (to, from) = (Moments::of(args.array(0)?)?, Moments::of(args.array(1)?)?);
    let between = |to: i64, from: i64| {
        let ((to_days, to_time), (from_days, from_time)) = (split(to), split(from));
        let (to, from) = (Date::of(to_days), Date::of(from_days));
        let months = (to.year * 12 + to.month - from.year * 12 - from.month) as f64;
        let is_last = |date: Date| date.day == month_length(date.year, date.month);
        if to.day == from.day || is_last(to) && is_last(from) {
            return months;
        }
        let days = (to.day - from.day) as f64 + (to_time - from_time) as f64 / DAY as f64;
        months + days / 31.0
    };
    let rows = (0..args.rows).map(|row| Ok(to.local(row)?.zip(from.local(row)?).map(|(to, from)| between(to, from))));
    Ok(Arc::new(rows.collect::<Result<Float64Array>>()?))
}

/// PostgreSQL's `age`: years, months, days and time, each as if counted by hand from the earlier time on.
fn between(later: i64, earlier: i64) -> Span {
    if later < earlier {
        return between(earlier, later).negated();
    }
    let ((late, late_time), (early, early_time)) = (split(later), split(earlier));
    let (to, from) = (Date::of(late), Date::of(early));
    let mut months = (to.year - from.year) * 12 + to.month - from.month;
    let mut days = to.day - from.day;
    let mut micros = late_time - early_time;
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    if days < 0 {
        // The days of the earlier time's month.
        days += month_length(from.year, from.month);
        months -= 1;
    }
    Span { months, days, micros }
}

fn age(args: &Arguments) -> Result<ArrayRef> {
    let (later, earlier) = (Moments::of(args.array(0)?)?, Moments::of(args.array(1)?)?);
    let rows = (0..args.rows).map(|row| {
        let times = later.local(row)?.zip(earlier.local(row)?);
        Ok(times.map(|(later, earlier)| between(later, earlier)))
    });
    collect_spans(rows)
}

/// `(a, b) overlaps (c, d)`, where b and d are times or intervals.
fn overlaps(args: &Arguments) -> Result<ArrayRef> {
    let end = |start: Option<i64>, place: usize, row: usize| -> Result<Option<i64>> {
        let array = args.array(place)?;
        match Spans::of(array) {
            Ok(spans) => start
                .zip(spans.get(row))
                .map(|(start, span)| add(start, span))
                .transpose(),
            Err(_) => Moments::of(array)?.local(row),
        }
    };
    let rows = (0..args.rows).map(|row| {
        let (first, second) = (
            Moments::of(args.array(0)?)?.local(row)?,
            Moments::of(args.array(2)?)?.local(row)?,
        );
        let (first_end, second_end) = (end(first, 1, row)?, end(second, 3, row)?);
        Ok(overlap((first, first_end), (second, second_end)))
    });
    Ok(Arc::new(rows.collect::<Result<BooleanArray>>()?))
}

/// The standard's rule (SQL:2016 8.14), with PostgreSQL's about nulls: a period with one end that is known is that instant
/// as far as it decides.
fn overlap(first: (Option<i64>, Option<i64>), second: (Option<i64>, Option<i64>)) -> Option<bool> {
    let ordered = |period: (Option<i64>, Option<i64>)| match period {
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
        (None, None) => None,
    };
    let ((first, first_end), (second, second_end)) = (ordered(first)?, ordered(second)?);
    let within = |later: i64, end: Option<i64>, later_end: Option<i64>| match end {
        Some(end) if later < end => Some(true),
        Some(_) => later_end.map(|_| false),
        None => None,
    };
    match first.cmp(&second) {
        std::cmp::Ordering::Greater => within(first, second_end, first_end),
        std::cmp::Ordering::Less => within(second, first_end, second_end),
        std::cmp::Ordering::Equal => first_end.and(second_end).map(|_| true),
    }
}

const PERIODS: &[&[Kind]] = &[
    &[Kind::Moment, Kind::Moment, Kind::Moment, Kind::Moment],
    &[Kind::Moment, Kind::Span, Kind::Moment, Kind::Span],
    &[Kind::Moment, Kind::Moment, Kind::Moment, Kind::Span],
    &[Kind::Moment, Kind::Span, Kind::Moment, Kind::Moment],
    &[Kind::Time, Kind::Time, Kind::Time, Kind::Time],
];

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "datediff",
        aliases: &[
            "date_diff",
            "timediff",
            "datetime_diff",
            "timestamp_diff",
            "datediff_big",
        ],
        family: super::FAMILY,
        about: "How many beginnings of a unit are between two times: `datediff(unit, from, to)`, \
            `date_diff(to, from, unit)`, `datediff(to, from)` for days. Weeks begin with Monday.",
        syntax: "datediff(unit, from, to)",
        example: "select datediff(month, date '2024-01-31', date '2024-03-01')",
        forms: FORMS,
        returns: always!(DataType::Int64),
        body: |args| {
            counted(args, |unit, from, to| {
                boundaries(unit, from, to).ok_or_else(out_of_range)
            })
        },
        ..PLAIN
    },
    Definition {
        name: "timestampdiff",
        family: super::FAMILY,
        about: "How many whole units are between two times.",
        syntax: "timestampdiff(unit, from, to)",
        example: "select timestampdiff(month, date '2024-01-31', date '2024-03-01')",
        forms: FORMS,
        returns: always!(DataType::Int64),
        body: whole_units,
        ..PLAIN
    },
    Definition {
        name: "months_between",
        family: super::FAMILY,
        about: "Months between two times; what is not a whole one in 31st parts.",
        syntax: "months_between(to, from)",
        example: "select months_between(date '2024-03-31', date '2024-02-29')",
        forms: &[&[Kind::Moment, Kind::Moment]],
        returns: always!(DataType::Float64),
        body: months_between,
        ..PLAIN
    },
    Definition {
        name: "age",
        family: super::FAMILY,
        about: "Years, months, days and time between two times; with one, until the beginning of today.",
        syntax: "age([to,] from)",
        example: "select age(timestamp '2024-03-01', timestamp '2022-01-01')",
        forms: &[&[Kind::Moment, Kind::Moment]],
        returns: always!(INTERVAL),
        body: age,
        ..PLAIN
    },
    Definition {
        name: "overlaps",
        family: super::FAMILY,
        about: "Whether two periods have a time in common: `(a, b) overlaps (c, d)`. An end is a time or an interval.",
        syntax: "(start, end) overlaps (start, end)",
        example: "select (date '2024-01-01', date '2024-01-31') overlaps (date '2024-01-15', interval '1 month')",
        forms: PERIODS,
        returns: always!(DataType::Boolean),
        body: overlaps,
        ..PLAIN
    },
];
