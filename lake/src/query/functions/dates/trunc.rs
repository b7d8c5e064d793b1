//! The beginning of a unit of time: `date_trunc`, `date_bin`.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::calendar::{DAY, Date, iso_week, iso_week_monday, join, monday, split};
use super::units::Unit;
use super::values::{INTERVAL, Moments, Span, Spans, collect, collect_spans, out_of_range};
use super::zones::{Zone, zoned_like};
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN};

/// The unit that is named.
pub(super) fn named(name: &str) -> Result<Unit> {
    Unit::named(name).ok_or_else(|| exec_datafusion_err!("there is no unit `{name}` of times"))
}

/// The beginning of the unit that the time is in.
pub(super) fn truncated(unit: Unit, local: i64) -> Result<i64> {
    let (days, _) = split(local);
    let first = |year: i64, month: i64| join(Date { year, month, day: 1 }.days(), 0).ok_or_else(out_of_range);
    let years = |period: i64, first_year: i64| {
        let year = Date::of(days).year;
        // A decade begins with a year that ends in 0, a century with one that ends in 1.
        first((year - first_year).div_euclid(period) * period + first_year, 1)
    };
    match unit {
        Unit::Nanosecond | Unit::Microsecond => Ok(local),
        Unit::Week => join(monday(days), 0).ok_or_else(out_of_range),
        Unit::Month => {
            let date = Date::of(days);
            first(date.year, date.month)
        }
        Unit::Quarter => {
            let date = Date::of(days);
            first(date.year, date.quarter() * 3 - 2)
        }
        Unit::Year => first(Date::of(days).year, 1),
        Unit::IsoYear => join(iso_week_monday(iso_week(days).0, 1), 0).ok_or_else(out_of_range),
        Unit::Decade => years(10, 0),
        Unit::Century => years(100, 1),
        Unit::Millennium => years(1000, 1),
        Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour | Unit::Day => match unit.micros() {
            Some(micros) => Ok(local - local.rem_euclid(micros)),
            None => Ok(local),
        },
    }
}

/// `date_trunc(unit, time[, zone])`, `date_trunc(time, unit)`.
fn date_trunc(args: &Arguments) -> Result<ArrayRef> {
    let is_text = |place: usize| {
        args.array(place)
            .is_ok_and(|array| *array.data_type() == DataType::Utf8)
    };
    let (unit, time) = if is_text(0) { (0, 1) } else { (1, 0) };
    let names = args.text(unit)?;
    let mut known: Option<(&str, Unit)> = None;
    let mut unit_of = |row: usize| -> Result<Unit> {
        if let Some((name, unit)) = known
            && name == names.value(row)
        {
            return Ok(unit);
        }
        let unit = named(names.value(row))?;
        known = Some((names.value(row), unit));
        Ok(unit)
    };
    let array = args.array(time)?;
    if matches!(array.data_type(), DataType::Interval(_) | DataType::Duration(_)) {
        let spans = Spans::of(array)?;
        let rows = (0..args.rows).map(|row| match spans.get(row) {
            Some(span) if !args.any_null(row) => span_truncated(unit_of(row)?, span).map(Some),
            _ => Ok(None),
        });
        return collect_spans(rows);
    }
    let moments = Moments::of(array)?;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        if args.count() < 3 {
            return truncated(unit_of(row)?, local).map(Some);
        }
        let zone = Zone::named(args.text(2)?.value(row))?;
        let instant = moments.zone().to_instant(local)?;
        let (unit, offset) = (unit_of(row)?, zone.offset(instant)?);
        let begins = truncated(unit, instant + offset)?;
        let begins = if unit < Unit::Day {
            begins - offset
        } else {
            zone.to_instant(begins)?
        };
        moments.zone().to_local(begins).map(Some)
    });
    collect(&args.result, rows)
}

fn span_truncated(unit: Unit, span: Span) -> Result<Span> {
    if unit == Unit::Week || unit == Unit::IsoYear {
        return exec_err!("an interval is not cut to weeks");
    }
    Ok(match (unit.months(), unit.micros()) {
        (Some(months), _) => Span {
            months: span.months / months * months,
            ..Span::default()
        },
        (_, Some(micros)) if unit < Unit::Day => Span {
            micros: span.micros / micros * micros,
            ..span
        },
        (_, Some(_)) => Span { micros: 0, ..span },
        _ => span,
    })
}

/// Microseconds from 1970 to 2000, from where on PostgreSQL counts.
const SINCE_2000: i64 = 10_957 * DAY;

/// A time with so many digits of its second, to the nearest; of two the one that is farther from 2000, as in PostgreSQL.
fn round_time(args: &Arguments) -> Result<ArrayRef> {
    if matches!(args.result, DataType::Interval(_)) {
        return round_interval(args);
    }
    let moments = Moments::of(args.array(0)?)?;
    let digits = args.ints(1)?;
    let origin = match args.result {
        DataType::Time64(_) => 0,
        _ => SINCE_2000,
    };
    let rows = (0..args.rows).map(|row| {
        let (Some(local), false) = (moments.local(row)?, args.any_null(row)) else {
            return Ok(None);
        };
        rounded(local, origin, digits.value(row))
            .ok_or_else(out_of_range)
            .map(Some)
    });
    collect(&args.result, rows)
}

/// An interval with so many digits of its second, to the nearest.
fn round_interval(args: &Arguments) -> Result<ArrayRef> {
    let spans = Spans::of(args.array(0)?)?;
    let digits = args.ints(1)?;
    let rows = (0..args.rows).map(|row| {
        let (Some(span), false) = (spans.get(row), args.any_null(row)) else {
            return Ok(None);
        };
        let micros = rounded(span.micros, 0, digits.value(row)).ok_or_else(out_of_range)?;
        Ok(Some(Span { micros, ..span }))
    });
    collect_spans(rows)
}

/// Microseconds to so many digits of a second, halves away from the origin.
pub(super) fn rounded(micros: i64, origin: i64, digits: i64) -> Option<i64> {
    let step = 10_i64.pow(u32::try_from(6 - digits.clamp(0, 6)).unwrap_or(0));
    let since = micros.checked_sub(origin)?;
    let up = since.checked_add(since.signum() * (step / 2))?;
    (up - up % step).checked_add(origin)
}

/// The same of an instant.
pub(super) fn rounded_instant(micros: i64, digits: i64) -> Option<i64> {
    rounded(micros, SINCE_2000, digits)
}

/// `date_bin(stride, time[, origin])`.
fn date_bin(args: &Arguments) -> Result<ArrayRef> {
    let strides = Spans::of(args.array(0)?)?;
    let moments = Moments::of(args.array(1)?)?;
    let origins = match args.count() {
        3 => Some(Moments::of(args.array(2)?)?),
        _ => None,
    };
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let (Some(stride), Some(local)) = (strides.get(row), moments.local(row)?) else {
            return Ok(None);
        };
        let origin = match &origins {
            Some(origins) => origins.local(row)?.unwrap_or_default(),
            None => 0,
        };
        if stride.months != 0 {
            return exec_err!("a stride of months or years is not of one length: date_trunc cuts to these");
        }
        let stride = i64::try_from(stride.total()).map_err(|_| out_of_range())?;
        if stride <= 0 {
            return exec_err!("a stride must be longer than nothing");
        }
        let from_origin = local.checked_sub(origin).ok_or_else(out_of_range)?;
        Ok(Some(local - from_origin.rem_euclid(stride)))
    });
    collect(&args.result, rows)
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "date_trunc",
        aliases: &["datetrunc", "timestamp_trunc", "datetime_trunc"],
        family: super::FAMILY,
        about: "The beginning of the unit that a time is in; of a time with a zone, on the clock of that zone or of one \
            that is named. An interval is cut to the unit.",
        syntax: "date_trunc(unit, at[, zone])",
        example: "select date_trunc('quarter', timestamp '2024-05-31 10:00:00')",
        forms: &[
            &[Kind::Text, Kind::Moment],
            &[Kind::Text, Kind::Span],
            &[Kind::Moment, Kind::Text],
            &[Kind::Text, Kind::Moment, Kind::Text],
        ],
        returns: |given| {
            Ok(match (given.data_type(0), given.data_type(1)) {
                (_, DataType::Interval(_) | DataType::Duration(_)) => INTERVAL,
                (DataType::Date32, _) => DataType::Date32,
                (zoned @ DataType::Timestamp(_, Some(_)), _) => zoned.clone(),
                _ => zoned_like(given, 1),
            })
        },
        body: date_trunc,
        keeps_order_of: Some(1),
        ..PLAIN
    },
    Definition {
        name: "date_bin",
        aliases: &["time_bucket"],
        family: super::FAMILY,
        about: "The beginning of the stride that a time is in, counted from an origin (1970-01-01 where none is named).",
        syntax: "date_bin(stride, at[, origin])",
        example: "select date_bin(interval '15 minutes', timestamp '2024-02-29 10:11:12')",
        forms: &[&[Kind::Span, Kind::Stamp], &[Kind::Span, Kind::Stamp, Kind::Stamp]],
        returns: |given| Ok(zoned_like(given, 1)),
        body: date_bin,
        keeps_order_of: Some(1),
        ..PLAIN
    },
    Definition {
        name: "round_time",
        family: super::FAMILY,
        about: "A time to the nearest with so many digits of its second. What `timestamp(3)` is cast by.",
        syntax: "round_time(at, digits)",
        example: "select round_time(timestamp '2024-02-29 10:11:12.3456', 3)",
        forms: &[
            &[Kind::Stamp, Kind::Int],
            &[Kind::Time, Kind::Int],
            &[Kind::Span, Kind::Int],
        ],
        returns: |given| {
            Ok(match given.data_type(0) {
                time @ DataType::Time64(_) => time.clone(),
                DataType::Interval(_) | DataType::Duration(_) => INTERVAL,
                _ => zoned_like(given, 0),
            })
        },
        body: round_time,
        keeps_order_of: Some(0),
        ..PLAIN
    },
];
