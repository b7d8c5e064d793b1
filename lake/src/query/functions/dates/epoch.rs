//! Times as numbers since 1970-01-01, and back.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::calendar::{join, split};
use super::make::{micros, rows};
use super::values::{Moments, collect, out_of_range, timestamp};
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN, always};

/// A timestamp of a number of units since 1970-01-01.
fn since_epoch(args: &Arguments, unit: i64) -> Result<ArrayRef> {
    let numbers = args.ints(0)?;
    let row = |row: usize| numbers.value(row).checked_mul(unit).ok_or_else(out_of_range);
    collect(&args.result, rows(args, row))
}

fn seconds_since_epoch(args: &Arguments) -> Result<ArrayRef> {
    let numbers = args.floats(0)?;
    let row = |row: usize| micros(numbers.value(row)).ok_or_else(out_of_range);
    collect(&args.result, rows(args, row))
}

/// Whole seconds since 1970-01-01.
fn unix_timestamp(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    let rows = (0..args.rows).map(|row| Ok(moments.instant(row)?.map(|micros| micros.div_euclid(1_000_000))));
    collect(&args.result, rows)
}

fn date_of_days(args: &Arguments) -> Result<ArrayRef> {
    let numbers = args.ints(0)?;
    collect(
        &args.result,
        rows(args, |row| join(numbers.value(row), 0).ok_or_else(out_of_range)),
    )
}

fn days_of_date(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    collect(
        &args.result,
        moments.locals().map(|local| Ok(local?.map(|local| split(local).0))),
    )
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "from_unixtime",
        aliases: &["timestamp_seconds", "to_timestamp_seconds"],
        family: super::FAMILY,
        about: "The timestamp that is so many seconds after 1970-01-01, on the clock of UTC.",
        syntax: "from_unixtime(seconds)",
        example: "select from_unixtime(1709201472)",
        forms: &[&[Kind::Float], &[Kind::Stamp]],
        returns: |_| Ok(timestamp(false)),
        body: |args| match args.floats(0) {
            Ok(_) => seconds_since_epoch(args),
            Err(_) => Ok(args.array(0)?.clone()),
        },
        ..PLAIN
    },
    Definition {
        name: "timestamp_millis",
        aliases: &["to_timestamp_millis", "make_timestamp_ms"],
        family: super::FAMILY,
        about: "The timestamp that is so many milliseconds after 1970-01-01, on the clock of UTC.",
        syntax: "timestamp_millis(milliseconds)",
        example: "select timestamp_millis(1709201472500)",
        forms: &[&[Kind::Int]],
        returns: |_| Ok(timestamp(false)),
        body: |args| since_epoch(args, 1000),
        ..PLAIN
    },
    Definition {
        name: "timestamp_micros",
        aliases: &["to_timestamp_micros", "make_timestamp_us"],
        family: super::FAMILY,
        about: "The timestamp that is so many microseconds after 1970-01-01, on the clock of UTC.",
        syntax: "timestamp_micros(microseconds)",
        example: "select timestamp_micros(1709201472500000)",
        forms: &[&[Kind::Int]],
        returns: |_| Ok(timestamp(false)),
        body: |args| since_epoch(args, 1),
        ..PLAIN
    },
    Definition {
        name: "unix_timestamp",
        aliases: &["to_unixtime", "to_unix_timestamp"],
        family: super::FAMILY,
        about: "Whole seconds since 1970-01-01.",
        syntax: "unix_timestamp(at)",
        example: "select unix_timestamp(timestamp '2024-02-29 10:11:12')",
        forms: &[&[Kind::Moment]],
        returns: always!(DataType::Int64),
        body: unix_timestamp,
        ..PLAIN
    },
    Definition {
        name: "date_from_unix_date",
        family: super::FAMILY,
        about: "The date that is so many days after 1970-01-01.",
        syntax: "date_from_unix_date(days)",
        example: "select date_from_unix_date(19782)",
        forms: &[&[Kind::Int]],
        returns: always!(DataType::Date32),
        body: date_of_days,
        ..PLAIN
    },
    Definition {
        name: "unix_date",
        family: super::FAMILY,
        about: "Days since 1970-01-01.",
        syntax: "unix_date(at)",
        example: "select unix_date(date '2024-02-29')",
        forms: &[&[Kind::Moment]],
        returns: always!(DataType::Int64),
        body: days_of_date,
        ..PLAIN
    },
];
