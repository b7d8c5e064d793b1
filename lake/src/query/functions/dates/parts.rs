//! `extract`, `date_part`, and a function a field: `year()`, `month()` ….

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_datafusion_err};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;

use super::calendar::{DAY, Date, HOUR, MINUTE, SECOND, iso_week, iso_weekday, split, weekday};
use super::units::{Field, Unit};
use super::values::{Moments, Span, Spans, out_of_range};
use super::zones::Zone;
use crate::query::functions::definition::{Arguments, Definition, Given, Kind, PLAIN, always};

const FORMS: &[&[Kind]] = &[
    &[Kind::Text, Kind::Moment],
    &[Kind::Text, Kind::Time],
    &[Kind::Text, Kind::Span],
];

/// A part, exactly: a number of 10^-scale.
struct Part {
    value: i128,
    scale: i8,
}

/// Digits after the point of a field.
fn scale(field: Field) -> i8 {
    match field {
        Field::Of(Unit::Second) | Field::Epoch => 6,
        Field::Of(Unit::Millisecond) => 3,
        Field::Julian => 20,
        _ => 0,
    }
}

fn whole(value: i64) -> i128 {
    value.into()
}

/// A year as it is counted: there is none between 1 BC and 1.
fn counted(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// A century or a millennium: the first ends with the year of that number.
fn period(year: i64, years: i64) -> i64 {
    if year > 0 {
        (year + years - 1) / years
    } else {
        -((years - year) / years)
    }
}

/// The field of a time on the wall.
///
/// # Errors
/// Execution: times have no such field.
fn of_moment(field: Field, local: i64, zone: Zone) -> Result<Part> {
    let (days, of_day) = split(local);
    let of_date = |get: fn(Date) -> i64| whole(get(Date::of(days)));
    let offset = || zone.to_instant(local).and_then(|instant| zone.offset(instant));
    let value = match field {
        Field::Of(unit) => match unit {
            Unit::Nanosecond => whole(of_day % MINUTE) * 1000,
            Unit::Microsecond | Unit::Millisecond | Unit::Second => whole(of_day % MINUTE),
            Unit::Minute => whole(of_day / MINUTE % 60),
            Unit::Hour => whole(of_day / HOUR),
            Unit::Day => of_date(|date| date.day),
            Unit::Week => whole(iso_week(days).1),
            Unit::Month => of_date(|date| date.month),
            Unit::Quarter => of_date(Date::quarter),
            Unit::Year => of_date(|date| counted(date.year)),
            Unit::IsoYear => whole(counted(iso_week(days).0)),
            Unit::Decade => of_date(|date| date.year.div_euclid(10)),
            Unit::Century => of_date(|date| period(date.year, 100)),
            Unit::Millennium => of_date(|date| period(date.year, 1000)),
        },
        Field::Weekday => whole(weekday(days)),
        Field::WeekdayFromOne => whole(weekday(days) + 1),
        Field::IsoWeekday => whole(iso_weekday(days)),
        Field::DayOfYear => of_date(Date::day_of_year),
        Field::Epoch => whole(zone.to_instant(local)?),
        Field::EpochIn(unit) => in_unit(whole(zone.to_instant(local)?), unit),
        Field::Julian => {
            let days = whole(days) + 2_440_588;
            days * 10_i128.pow(20) + whole(of_day) * 10_i128.pow(20) / whole(DAY)
        }
        Field::Era => of_date(|date| i64::from(date.year > 0)),
        Field::Timezone => whole(offset()? / SECOND),
        Field::TimezoneHour => whole(offset()? / HOUR),
        Field::TimezoneMinute => whole(offset()? / MINUTE % 60),
    };
    Ok(Part {
        value,
        scale: scale(field),
    })
}

fn in_unit(micros: i128, unit: Unit) -> i128 {
    match unit {
        Unit::Nanosecond => micros * 1000,
        Unit::Millisecond => micros.div_euclid(1000),
        _ => micros,
    }
}

/// The field of a time of day.
fn of_time(field: Field, of_day: i64) -> Result<Part> {
    match field {
        Field::Of(unit) if unit <= Unit::Hour => of_moment(field, of_day, Zone::UTC),
        Field::Epoch | Field::EpochIn(_) => of_moment(field, of_day, Zone::UTC),
        _ => exec_err!("a time of day does not have that field"),
    }
}

/// The field of an interval.
fn of_span(field: Field, span: Span) -> Result<Part> {
    let value = match field {
        Field::Of(unit) => match unit {
            Unit::Nanosecond => whole(span.micros % MINUTE) * 1000,
            Unit::Microsecond | Unit::Millisecond | Unit::Second => whole(span.micros % MINUTE),
            Unit::Minute => whole(span.micros / MINUTE % 60),
            Unit::Hour => whole(span.micros / HOUR),
            Unit::Day => whole(span.days),
            Unit::Month => whole(span.months % 12),
            Unit::Quarter => whole(span.months % 12 / 3 + 1),
            Unit::Year => whole(span.months / 12),
            Unit::Decade => whole(span.months / 120),
            Unit::Century => whole(span.months / 1200),
            Unit::Millennium => whole(span.months / 12_000),
            Unit::Week | Unit::IsoYear => return exec_err!("an interval does not have that field"),
        },
        Field::Epoch | Field::EpochIn(_) => {
            // A year is 365.25 days, a month 30.
            let days = whole(span.months / 12) * 1461 + (whole(span.months % 12) * 30 + whole(span.days)) * 4;
            let micros = days * whole(DAY) / 4 + whole(span.micros);
            match field {
                Field::EpochIn(unit) => in_unit(micros, unit),
                _ => micros,
            }
        }
        _ => return exec_err!("an interval does not have that field"),
    };
    Ok(Part {
        value,
        scale: scale(field),
    })
}

/// The field of a time on the wall, as a whole number.
pub(super) fn whole_of(field: Field, local: i64, zone: Zone) -> Result<i128> {
    let part = of_moment(field, local, zone)?;
    Ok(part.value.div_euclid(10_i128.pow(part.scale.unsigned_abs().into())))
}

/// The field that is named.
pub(super) fn named(name: &str) -> Result<Field> {
    Field::named(name).ok_or_else(|| exec_datafusion_err!("there is no field `{name}` of times"))
}

/// The field of an argument that is a constant: the type depends on it.
fn constant(given: &Given) -> Result<Field> {
    let name = given
        .text(0)
        .ok_or_else(|| plan_datafusion_err!("the field of a time is a constant: date_part('year', at)"))?;
    named(name)
}

/// The fields of the rows, and where there is none, null.
fn parts(args: &Arguments, fields: impl Fn(usize) -> Result<Field>, place: usize) -> Result<Vec<Option<Part>>> {
    let array = args.array(place)?;
    let of_row: Box<dyn Fn(usize) -> Result<Option<Part>>> = match array.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => {
            let spans = Spans::of(array)?;
            Box::new(move |row| spans.get(row).map(|span| of_span(fields(row)?, span)).transpose())
        }
        DataType::Time64(_) => {
            let times = Moments::of(array)?;
            Box::new(move |row| times.local(row)?.map(|time| of_time(fields(row)?, time)).transpose())
        }
        _ => {
            let moments = Moments::of(array)?;
            let zone = moments.zone();
            Box::new(move |row| {
                moments
                    .local(row)?
                    .map(|local| of_moment(fields(row)?, local, zone))
                    .transpose()
            })
        }
    };
    (0..args.rows)
        .map(|row| if args.any_null(row) { Ok(None) } else { of_row(row) })
        .collect()
}

/// The parts of a field that is one for all rows.
fn parts_of(args: &Arguments) -> Result<Vec<Option<Part>>> {
    let names = args.text(0)?;
    let field = match names.iter().flatten().next() {
        Some(name) => named(name)?,
        None => Field::Epoch,
    };
    parts(args, |_| Ok(field), 1)
}

fn numeric(args: &Arguments) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = args.result else {
        return exec_err!("the part of a time is a decimal");
    };
    let values = parts_of(args)?.into_iter().map(|part| part.map(|part| part.value));
    let array = Decimal128Array::from_iter(values).with_precision_and_scale(precision, scale)?;
    Ok(Arc::new(array))
}

#[allow(clippy::cast_precision_loss)]
fn double(args: &Arguments) -> Result<ArrayRef> {
    let value = |part: Part| part.value as f64 / 10_f64.powi(part.scale.into());
    let values = parts_of(args)?.into_iter().map(|part| part.map(value));
    Ok(Arc::new(Float64Array::from_iter(values)))
}

fn bigint(parts: Vec<Option<Part>>) -> Result<ArrayRef> {
    let value = |part: Part| {
        let whole = part.value.div_euclid(10_i128.pow(part.scale.unsigned_abs().into()));
        i64::try_from(whole).map_err(|_| out_of_range())
    };
    let values = parts.into_iter().map(|part| part.map(value).transpose());
    Ok(Arc::new(values.collect::<Result<Int64Array>>()?))
}

/// The field as a bigint.
fn field_of(args: &Arguments, field: Field) -> Result<ArrayRef> {
    bigint(parts(args, |_| Ok(field), 0)?)
}

/// `extract(year from at) = 2024` is a range of times, by which files are passed over.
fn year_range(args: &[Expr], value: &Expr, context: &SimplifyContext) -> Result<PreimageResult> {
    let (field, of) = match args {
        [of] => (Some(Field::Of(Unit::Year)), of),
        [field, of] => {
            let name = field.as_literal().and_then(|value| value.try_as_str().flatten());
            (name.and_then(Field::named), of)
        }
        _ => return Ok(PreimageResult::None),
    };
    let year = match value.as_literal() {
        Some(ScalarValue::Decimal128(Some(year), _, 0)) => i64::try_from(*year).ok(),
        Some(ScalarValue::Int64(Some(year))) => Some(*year),
        #[allow(clippy::cast_possible_truncation)]
        Some(ScalarValue::Float64(Some(year))) if year.fract() == 0.0 && year.abs() < 1e5 => Some(*year as i64),
        _ => None,
    };
    let (Some(Field::Of(Unit::Year)), Some(year @ 1..=9998)) = (field, year) else {
        return Ok(PreimageResult::None);
    };
    let data_type = context.get_data_type(of)?;
    let bound = |year: i64| {
        let days = Date { year, month: 1, day: 1 }.days();
        match &data_type {
            DataType::Date32 => Some(ScalarValue::Date32(Some(i32::try_from(days).ok()?))),
            DataType::Timestamp(TimeUnit::Microsecond, zone) if zone.as_deref().is_none_or(|zone| zone == "UTC") => {
                Some(ScalarValue::TimestampMicrosecond(Some(days * DAY), zone.clone()))
            }
            _ => None,
        }
    };
    let (Some(lower), Some(upper)) = (bound(year), bound(year + 1)) else {
        return Ok(PreimageResult::None);
    };
    Ok(PreimageResult::Range {
        expr: of.clone(),
        interval: Box::new(Interval::try_new(lower, upper)?),
    })
}

/// A function of one field, as a bigint.
macro_rules! field {
    ($name:literal, $aliases:expr, $what:literal, $field:expr) => {
        Definition {
            name: $name,
            aliases: $aliases,
            family: super::FAMILY,
            about: concat!(
                "The ",
                $what,
                " of a date, a timestamp, a time or an interval, as a bigint."
            ),
            syntax: concat!($name, "(at)"),
            example: concat!("select ", $name, "(timestamp '2024-02-29 10:11:12.5')"),
            forms: &[&[Kind::Moment], &[Kind::Time], &[Kind::Span]],
            returns: always!(DataType::Int64),
            body: |args| field_of(args, $field),
            ..PLAIN
        }
    };
}

pub(super) const EXTRACT: Definition = Definition {
    name: "extract",
    family: super::FAMILY,
    about: "A field of a date, a timestamp, a time or an interval, as an exact number: `extract(field from at)`. \
        Seconds have six digits after the point.",
    syntax: "extract(field from at)",
    example: "select extract(epoch from interval '1 day 02:00:00.5')",
    forms: FORMS,
    returns: |given| {
        let field = constant(given)?;
        let precision = match field {
            Field::Julian | Field::EpochIn(_) => 38,
            Field::Epoch => 20,
            Field::Of(Unit::Nanosecond) => 12,
            _ => 10,
        };
        Ok(DataType::Decimal128(precision, scale(field)))
    },
    body: numeric,
    preimage: Some(year_range),
    ..PLAIN
};

pub(super) const DEFINITIONS: &[Definition] = &[
    EXTRACT,
    Definition {
        name: "date_part",
        family: super::FAMILY,
        about: "A field of a date, a timestamp, a time or an interval, as a double.",
        syntax: "date_part(field, at)",
        example: "select date_part('month', date '2024-02-29')",
        forms: FORMS,
        returns: always!(DataType::Float64),
        body: double,
        preimage: Some(year_range),
        ..PLAIN
    },
    Definition {
        name: "datepart",
        family: super::FAMILY,
        about: "A field of a date, a timestamp, a time or an interval, as a bigint. `weekday` counts from Sunday, which \
            is 1.",
        syntax: "datepart(field, at)",
        example: "select datepart(weekday, date '2024-02-29')",
        forms: FORMS,
        returns: always!(DataType::Int64),
        body: |args| bigint(parts_of(args)?),
        preimage: Some(year_range),
        ..PLAIN
    },
    Definition {
        preimage: Some(year_range),
        ..field!("year", &[], "year", Field::Of(Unit::Year))
    },
    field!("quarter", &[], "quarter", Field::Of(Unit::Quarter)),
    field!("month", &[], "month", Field::Of(Unit::Month)),
    field!(
        "week",
        &["weekofyear", "weekiso", "week_iso"],
        "week of ISO 8601",
        Field::Of(Unit::Week)
    ),
    field!(
        "isoyear",
        &["yearofweekiso", "yearofweek"],
        "year of ISO 8601's week",
        Field::Of(Unit::IsoYear)
    ),
    field!(
        "day",
        &["dayofmonth", "day_of_month"],
        "day of the month",
        Field::Of(Unit::Day)
    ),
    field!(
        "dayofweek",
        &["weekday", "day_of_week"],
        "day of the week, Sunday is 0,",
        Field::Weekday
    ),
    field!(
        "isodow",
        &["dayofweekiso", "dayofweek_iso"],
        "day of the week, Monday is 1,",
        Field::IsoWeekday
    ),
    field!("dayofyear", &["day_of_year"], "day of the year", Field::DayOfYear),
    field!("hour", &[], "hour", Field::Of(Unit::Hour)),
    field!("minute", &[], "minute", Field::Of(Unit::Minute)),
    field!("second", &[], "whole second", Field::Of(Unit::Second)),
    field!(
        "millisecond",
        &[],
        "milliseconds of the minute",
        Field::Of(Unit::Millisecond)
    ),
    field!(
        "microsecond",
        &[],
        "microseconds of the minute",
        Field::Of(Unit::Microsecond)
    ),
    field!("decade", &[], "decade", Field::Of(Unit::Decade)),
    field!("century", &[], "century", Field::Of(Unit::Century)),
    field!("millennium", &[], "millennium", Field::Of(Unit::Millennium)),
    field!("era", &[], "era, 0 before Christ,", Field::Era),
    field!(
        "epoch_ms",
        &["unix_millis"],
        "milliseconds since 1970",
        Field::EpochIn(Unit::Millisecond)
    ),
    field!(
        "epoch_us",
        &["unix_micros"],
        "microseconds since 1970",
        Field::EpochIn(Unit::Microsecond)
    ),
    field!(
        "epoch_ns",
        &[],
        "nanoseconds since 1970",
        Field::EpochIn(Unit::Nanosecond)
    ),
    field!("unix_seconds", &[], "whole seconds since 1970", Field::Epoch),
    Definition {
        name: "epoch",
        family: super::FAMILY,
        about: "Seconds since 1970, or of an interval, as a double.",
        syntax: "epoch(at)",
        example: "select epoch(timestamp '2024-02-29 10:11:12.5')",
        forms: &[&[Kind::Moment], &[Kind::Time], &[Kind::Span]],
        returns: always!(DataType::Float64),
        #[allow(clippy::cast_precision_loss)]
        body: |args| {
            let values = parts(args, |_| Ok(Field::Epoch), 0)?.into_iter();
            let values = values.map(|part| part.map(|part| part.value as f64 / 1e6));
            Ok(Arc::new(Float64Array::from_iter(values)))
        },
        ..PLAIN
    },
];
