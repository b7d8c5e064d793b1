//! Fields of times and intervals, exactly: what `extract` tells.

use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::calendar::{DAY, Date, HOUR, MINUTE, SECOND, iso_week, iso_weekday, split, weekday};
use super::units::{Field, Unit};
use super::values::Span;
use super::zones::Zone;

/// A part, exactly: a number of 10^-scale.
pub(super) struct Part {
    pub value: i128,
    pub scale: i8,
}

/// Digits after the point of a field.
pub(super) fn scale(field: Field) -> i8 {
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
pub(super) fn counted(year: i64) -> i64 {
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
pub(super) fn of_moment(field: Field, local: i64, zone: Zone) -> Result<Part> {
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
pub(super) fn of_time(field: Field, of_day: i64) -> Result<Part> {
    match field {
        Field::Of(unit) if unit <= Unit::Hour => of_moment(field, of_day, Zone::UTC),
        Field::Epoch | Field::EpochIn(_) => of_moment(field, of_day, Zone::UTC),
        _ => exec_err!("a time of day does not have that field"),
    }
}

/// The field of an interval.
pub(super) fn of_span(field: Field, span: Span) -> Result<Part> {
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
