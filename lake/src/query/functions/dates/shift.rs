//! Times moved by so many units: `dateadd` and its kin.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};

use super::calendar::{Date, add_months, join, month_length, split};
use super::trunc::named;
use super::units::Unit;
use super::values::{Moments, Span, Spans, add, collect, out_of_range, timestamp};
use crate::query::functions::definition::{Arguments, Definition, Given, Kind, PLAIN, always};

const MOVED: &[&[Kind]] = &[
    &[Kind::Text, Kind::Int, Kind::Moment],
    &[Kind::Moment, Kind::Span],
    &[Kind::Moment, Kind::Int],
];

/// A date stays one when it is moved by days or longer.
fn moved_type(given: &Given) -> Result<DataType> {
    let time = if given.count() == 3 {
        given.data_type(2)
    } else {
        given.data_type(0)
    };
    if *time != DataType::Date32 {
        return Ok(time.clone());
    }
    if given.count() == 2 {
        return Ok(match given.data_type(1) {
            DataType::Int64 => DataType::Date32,
            _ => timestamp(false),
        });
    }
    match given.text(0) {
        Some(unit) if named(unit)? < Unit::Day => Ok(timestamp(false)),
        Some(_) => Ok(DataType::Date32),
        None => plan_err!("the unit is a constant: dateadd('month', 1, at)"),
    }
}

/// The interval of so many units.
fn span(unit: Unit, count: i64) -> Result<Span> {
    let months = unit.months().map(|months| months.checked_mul(count));
    let span = match (months, unit) {
        (Some(months), _) => months.map(|months| Span {
            months,
            ..Span::default()
        }),
        (None, Unit::Day) => Some(Span {
            days: count,
            ..Span::default()
        }),
        (None, Unit::Week) => count.checked_mul(7).map(|days| Span {
            days,
            ..Span::default()
        }),
        (None, Unit::Nanosecond) => Some(Span {
            micros: count / 1000,
            ..Span::default()
        }),
        (None, unit) => {
            let micros = unit.micros().unwrap_or(1).checked_mul(count);
            micros.map(|micros| Span {
                micros,
                ..Span::default()
            })
        }
    };
    span.ok_or_else(out_of_range)
}

fn moved(args: &Arguments, earlier: bool) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(if args.count() == 3 { 2 } else { 0 })?)?;
    let spans = args.array(1).and_then(Spans::of).ok();
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        let by = match &spans {
            Some(spans) => spans.get(row).unwrap_or_default(),
            None => {
                let unit = if args.count() == 3 {
                    named(args.text(0)?.value(row))?
                } else {
                    Unit::Day
                };
                span(unit, args.ints(1)?.value(row))?
            }
        };
        add(local, if earlier { by.negated() } else { by }).map(Some)
    });
    collect(&args.result, rows)
}

/// The last day of a month stays the last one.
fn months_added(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    let counts = args.ints(1)?;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        let (days, of_day) = split(local);
        let sum = || {
            let (from, to) = (Date::of(days), Date::of(add_months(days, counts.value(row))?));
            let was_last = from.day == month_length(from.year, from.month);
            let day = if was_last {
                month_length(to.year, to.month)
            } else {
                to.day
            };
            join(Date { day, ..to }.days(), of_day)
        };
        sum().ok_or_else(out_of_range).map(Some)
    });
    collect(&args.result, rows)
}

pub(super) const DATE_PLUS_DAYS: Definition = Definition {
    name: "date_plus_days",
    family: super::FAMILY,
    about: "The date so many days later. The same as `date + days`.",
    syntax: "date_plus_days(date, days)",
    example: "select date '2024-02-28' + 2",
    forms: &[&[Kind::Day, Kind::Int]],
    returns: always!(DataType::Date32),
    body: |args| moved(args, false),
    ..PLAIN
};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "dateadd",
        aliases: &[
            "date_add",
            "timeadd",
            "timestampadd",
            "timestamp_add",
            "datetime_add",
            "adddate",
        ],
        family: super::FAMILY,
        about: "A time so many units later: `dateadd(month, 1, at)`, `date_add(at, interval '1 month')`, `date_add(at, 5)` \
            for days. A date stays a date when it is moved by days or longer units.",
        syntax: "dateadd(unit, count, at)",
        example: "select dateadd(month, 1, date '2024-01-31')",
        forms: MOVED,
        returns: moved_type,
        body: |args| moved(args, false),
        ..PLAIN
    },
    Definition {
        name: "datesub",
        aliases: &["subdate", "timestamp_sub", "datetime_sub"],
        family: super::FAMILY,
        about: "A time so many units earlier.",
        syntax: "datesub(at, interval)",
        example: "select datesub(date '2024-03-31', interval '1 month')",
        forms: MOVED,
        returns: moved_type,
        body: |args| moved(args, true),
        ..PLAIN
    },
    Definition {
        name: "add_months",
        family: super::FAMILY,
        about: "A time so many months later; the last day of a month stays the last.",
        syntax: "add_months(at, months)",
        example: "select add_months(date '2024-02-29', 1)",
        forms: &[&[Kind::Moment, Kind::Int]],
        returns: |given| Ok(given.data_type(0).clone()),
        body: months_added,
        ..PLAIN
    },
    Definition {
        name: "date_sub",
        family: super::FAMILY,
        about: "A time an interval or so many days earlier; with a unit and two times, the whole units between them.",
        syntax: "date_sub(at, interval)",
        example: "select date_sub(date '2024-03-31', interval '1 month')",
        forms: &[
            &[Kind::Moment, Kind::Span],
            &[Kind::Moment, Kind::Int],
            &[Kind::Text, Kind::Moment, Kind::Moment],
            &[Kind::Text, Kind::Int, Kind::Moment],
        ],
        returns: |given| match (given.count(), given.data_type(1)) {
            (3, DataType::Int64) | (2, _) => moved_type(given),
            _ => Ok(DataType::Int64),
        },
        body: |args| match args.result {
            DataType::Int64 => super::difference::whole_units(args),
            _ => moved(args, true),
        },
        ..PLAIN
    },
    DATE_PLUS_DAYS,
];
