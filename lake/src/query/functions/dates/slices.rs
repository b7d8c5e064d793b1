//! Days and slices beside a time: `last_day`, `next_day`, `eomonth`, `time_slice`.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::calendar::{DAY, Date, add_months, join, month_length, split, weekday};
use super::trunc::{named, truncated};
use super::units::Unit;
use super::values::{Moments, collect, out_of_range};
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN, always};

/// `time_slice(time, length, unit[, 'start' | 'end'])`: slices are counted from 1970-01-01, weeks from a Monday.
fn time_slice(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    let (lengths, units) = (args.ints(1)?, args.text(2)?);
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        let ends = match args.count() {
            4 => args.text(3)?.value(row).eq_ignore_ascii_case("end"),
            _ => false,
        };
        let (unit, length) = (named(units.value(row))?, lengths.value(row));
        if length <= 0 {
            return exec_err!("a slice must be longer than nothing");
        }
        slice(local, length, unit, ends).ok_or_else(out_of_range).map(Some)
    });
    collect(&args.result, rows)
}

fn slice(local: i64, length: i64, unit: Unit, ends: bool) -> Option<i64> {
    if let Some(months) = unit.months() {
        let months = months.checked_mul(length)?;
        let date = Date::of(split(local).0);
        let since = (date.year - 1970) * 12 + date.month - 1;
        let begins = since.div_euclid(months) * months + if ends { months } else { 0 };
        return join(add_months(0, begins)?, 0);
    }
    let micros = unit.micros().unwrap_or(1).checked_mul(length)?;
    // 1969-12-29 was a Monday.
    let origin = if unit == Unit::Week { -3 * DAY } else { 0 };
    let begins = local.checked_sub((local - origin).rem_euclid(micros))?;
    begins.checked_add(if ends { micros } else { 0 })
}

/// `last_day(time[, unit])`.
fn last_day(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        let unit = match args.count() {
            2 => named(args.text(1)?.value(row))?,
            _ => Unit::Month,
        };
        let begins = split(truncated(unit, local)?).0;
        let last = match unit.months() {
            Some(months) => add_months(begins, months).map(|next| next - 1),
            None if unit == Unit::Week => Some(begins + 6),
            None => return exec_err!("the last day is asked of a week, a month, a quarter or a year"),
        };
        last.and_then(|days| join(days, 0)).ok_or_else(out_of_range).map(Some)
    });
    collect(&args.result, rows)
}

/// `eomonth(time[, months])`.
fn eomonth(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        let months = match args.count() {
            2 => args.ints(1)?.value(row),
            _ => 0,
        };
        let date = add_months(split(local).0, months)
            .map(Date::of)
            .ok_or_else(out_of_range)?;
        let last = Date {
            day: month_length(date.year, date.month),
            ..date
        };
        join(last.days(), 0).ok_or_else(out_of_range).map(Some)
    });
    collect(&args.result, rows)
}

/// `next_day(time, weekday)` and `previous_day`.
fn day_beside(args: &Arguments, next: bool) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    let names = args.text(1)?;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        let days = split(local).0;
        let wanted = super::names::weekday_named(names.value(row))?;
        let beside = match next {
            true => days + (wanted - weekday(days) - 1).rem_euclid(7) + 1,
            false => days - (weekday(days) - wanted - 1).rem_euclid(7) - 1,
        };
        join(beside, 0).ok_or_else(out_of_range).map(Some)
    });
    collect(&args.result, rows)
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "time_slice",
        family: super::FAMILY,
        about: "The beginning or the end of the slice of so many units that a time is in.",
        syntax: "time_slice(at, length, unit[, 'start' | 'end'])",
        example: "select time_slice(date '2024-02-29', 4, 'month', 'end')",
        forms: &[
            &[Kind::Moment, Kind::Int, Kind::Text],
            &[Kind::Moment, Kind::Int, Kind::Text, Kind::Text],
        ],
        returns: |given| Ok(given.data_type(0).clone()),
        body: time_slice,
        ..PLAIN
    },
    Definition {
        name: "last_day",
        family: super::FAMILY,
        about: "The last day of the month, or of the week, quarter or year, that a time is in.",
        syntax: "last_day(at[, unit])",
        example: "select last_day(date '2024-02-01')",
        forms: &[&[Kind::Moment], &[Kind::Moment, Kind::Text]],
        returns: always!(DataType::Date32),
        body: last_day,
        ..PLAIN
    },
    Definition {
        name: "eomonth",
        family: super::FAMILY,
        about: "The last day of the month of a time, so many months later.",
        syntax: "eomonth(at[, months])",
        example: "select eomonth(date '2024-01-15', 1)",
        forms: &[&[Kind::Moment], &[Kind::Moment, Kind::Int]],
        returns: always!(DataType::Date32),
        body: eomonth,
        ..PLAIN
    },
    Definition {
        name: "next_day",
        family: super::FAMILY,
        about: "The first day after a time that is of the weekday.",
        syntax: "next_day(at, weekday)",
        example: "select next_day(date '2024-02-29', 'friday')",
        forms: &[&[Kind::Moment, Kind::Text]],
        returns: always!(DataType::Date32),
        body: |args| day_beside(args, true),
        ..PLAIN
    },
    Definition {
        name: "previous_day",
        family: super::FAMILY,
        about: "The last day before a time that is of the weekday.",
        syntax: "previous_day(at, weekday)",
        example: "select previous_day(date '2024-02-29', 'friday')",
        forms: &[&[Kind::Moment, Kind::Text]],
        returns: always!(DataType::Date32),
        body: |args| day_beside(args, false),
        ..PLAIN
    },
];
