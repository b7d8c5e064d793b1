//! Names of days and months: `dayname`, `monthname`, `datename`.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};

use super::calendar::{Date, split, weekday};
use super::fields;
use super::units::{Field, Unit};
use super::values::{Moments, collect_text};
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN, always};

/// From Sunday on.
pub(in crate::query) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// From January on.
pub(in crate::query) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The name of a day of the week, Sunday is 0.
pub(in crate::query) fn weekday_name(weekday: i64) -> &'static str {
    usize::try_from(weekday)
        .ok()
        .and_then(|at| WEEKDAYS.get(at))
        .copied()
        .unwrap_or_default()
}

/// The name of a month, January is 1.
pub(in crate::query) fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1)
        .ok()
        .and_then(|at| MONTHS.get(at))
        .copied()
        .unwrap_or_default()
}

/// The weekday whose name begins with the text, of at least two letters; Sunday is 0.
pub(super) fn weekday_named(text: &str) -> Result<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let begins = |name: &&str| lower.len() >= 2 && name.to_ascii_lowercase().starts_with(&lower);
    let place = WEEKDAYS.iter().position(begins);
    let place = place.and_then(|place| i64::try_from(place).ok());
    place.ok_or_else(|| exec_datafusion_err!("there is no weekday `{text}`"))
}

fn names(args: &Arguments, name: impl Fn(i64) -> &'static str) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(0)?)?;
    collect_text(
        moments
            .locals()
            .map(|local| Ok(local?.map(|local| name(split(local).0).to_owned()))),
    )
}

fn datename(args: &Arguments) -> Result<ArrayRef> {
    let moments = Moments::of(args.array(1)?)?;
    let fields = args.text(0)?;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let Some(local) = moments.local(row)? else {
            return Ok(None);
        };
        let days = split(local).0;
        Ok(Some(match fields::named(fields.value(row))? {
            Field::Of(Unit::Month) => month_name(Date::of(days).month).to_owned(),
            Field::Weekday | Field::WeekdayFromOne => weekday_name(weekday(days)).to_owned(),
            field => fields::whole_of(field, local, moments.zone())?.to_string(),
        }))
    });
    collect_text(rows)
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "dayname",
        family: super::FAMILY,
        about: "The English name of the weekday.",
        syntax: "dayname(at)",
        example: "select dayname(date '2024-01-31')",
        forms: &[&[Kind::Moment]],
        returns: always!(DataType::Utf8),
        body: |args| names(args, |days| weekday_name(weekday(days))),
        ..PLAIN
    },
    Definition {
        name: "monthname",
        family: super::FAMILY,
        about: "The English name of the month.",
        syntax: "monthname(at)",
        example: "select monthname(date '2024-01-31')",
        forms: &[&[Kind::Moment]],
        returns: always!(DataType::Utf8),
        body: |args| names(args, |days| month_name(Date::of(days).month)),
        ..PLAIN
    },
    Definition {
        name: "datename",
        family: super::FAMILY,
        about: "A field of a time as text; of the month and of the weekday its English name.",
        syntax: "datename(field, at)",
        example: "select datename(month, date '2024-01-31')",
        forms: &[&[Kind::Text, Kind::Moment]],
        returns: always!(DataType::Utf8),
        body: datename,
        ..PLAIN
    },
];
