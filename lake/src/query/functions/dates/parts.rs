//! `extract`, `date_part`, and a function a field: `year()`, `month()` ….

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_datafusion_err};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;

use super::calendar::{DAY, Date, iso_week, iso_weekday, split, weekday};
use super::fields::{Part, counted, named, of_moment, of_span, of_time, scale};
use super::units::{Field, Unit};
use super::values::{Moments, Spans, out_of_range};
use crate::query::functions::definition::{Arguments, Definition, Given, Kind, PLAIN, always};

const FORMS: &[&[Kind]] = &[
    &[Kind::Text, Kind::Moment],
    &[Kind::Text, Kind::Time],
    &[Kind::Text, Kind::Span],
];

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

/// The field of the calendar of whole columns, which is most of what is asked: without a step for each row.
fn of_calendar(array: &ArrayRef, field: Field) -> Option<Int64Array> {
    let get: fn(i64) -> i64 = match field {
        Field::Of(Unit::Year) => |days| counted(Date::of(days).year),
        Field::Of(Unit::Quarter) => |days| Date::of(days).quarter(),
        Field::Of(Unit::Month) => |days| Date::of(days).month,
        Field::Of(Unit::Week) => |days| iso_week(days).1,
        Field::Of(Unit::Day) => |days| Date::of(days).day,
        Field::Weekday => weekday,
        Field::IsoWeekday => iso_weekday,
        Field::DayOfYear => |days| Date::of(days).day_of_year(),
        _ => return None,
    };
    match array.data_type() {
        DataType::Date32 => Some(array.as_primitive::<Date32Type>().unary(|days| get(days.into()))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) if zone.as_deref().is_none_or(|zone| zone == "UTC") => {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            Some(array.unary(|micros| get(split(micros).0)))
        }
        _ => None,
    }
}

/// The same for a field that is named by a constant.
fn of_calendar_named(args: &Arguments) -> Result<Option<ArrayRef>> {
    let names = args.text(0)?;
    let Some(name) = names.iter().flatten().next().filter(|_| names.null_count() == 0) else {
        return Ok(None);
    };
    let numbers = of_calendar(args.array(1)?, named(name)?);
    numbers.map(|numbers| Ok(cast(&numbers, &args.result)?)).transpose()
}

fn numeric(args: &Arguments) -> Result<ArrayRef> {
    if let Some(numbers) = of_calendar_named(args)? {
        return Ok(numbers);
    }
    let DataType::Decimal128(precision, scale) = args.result else {
        return exec_err!("the part of a time is a decimal");
    };
    let values = parts_of(args)?.into_iter().map(|part| part.map(|part| part.value));
    let array = Decimal128Array::from_iter(values).with_precision_and_scale(precision, scale)?;
    Ok(Arc::new(array))
}

#[allow(clippy::cast_precision_loss)]
fn double(args: &Arguments) -> Result<ArrayRef> {
    if let Some(numbers) = of_calendar_named(args)? {
        return Ok(numbers);
    }
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
    match of_calendar(args.array(0)?, field) {
        Some(numbers) => Ok(Arc::new(numbers)),
        None => bigint(parts(args, |_| Ok(field), 0)?),
    }
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
