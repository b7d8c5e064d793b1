//! Columns of times as whole numbers of one unit, and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, DurationMicrosecondArray, IntervalMonthDayNanoArray, StringArray,
    Time64NanosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_datafusion_err, internal_err};

use super::calendar::{DAY, split};
use super::zones::Zone;

/// A time is out of what can be stored.
pub(in crate::query) fn out_of_range() -> datafusion::common::DataFusionError {
    exec_datafusion_err!("the date or timestamp is out of range")
}

/// Dates, timestamps or times of day, in microseconds of the clock on the wall of their zone.
pub(in crate::query) struct Moments<'a> {
    values: Values<'a>,
    zone: Zone,
}

enum Values<'a> {
    Days(&'a Date32Array),
    Micros(&'a TimestampMicrosecondArray),
    Time(&'a Time64NanosecondArray),
}

impl<'a> Moments<'a> {
    pub fn of(array: &'a ArrayRef) -> Result<Self> {
        let mut zone = Zone::UTC;
        let values = match array.data_type() {
            DataType::Date32 => Values::Days(array.as_primitive::<Date32Type>()),
            DataType::Time64(TimeUnit::Nanosecond) => Values::Time(array.as_primitive::<Time64NanosecondType>()),
            DataType::Timestamp(TimeUnit::Microsecond, of) => {
                if let Some(name) = of {
                    zone = Zone::of_type(name)?;
                }
                Values::Micros(array.as_primitive::<TimestampMicrosecondType>())
            }
            other => return internal_err!("{other} is not a time"),
        };
        Ok(Self { values, zone })
    }

    pub fn len(&self) -> usize {
        match &self.values {
            Values::Days(array) => array.len(),
            Values::Micros(array) => array.len(),
            Values::Time(array) => array.len(),
        }
    }

    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// What the clock on the wall shows.
    pub fn local(&self, row: usize) -> Result<Option<i64>> {
        match self.instant(row)? {
            Some(instant) => self.zone.to_local(instant).map(Some),
            None => Ok(None),
        }
    }

    /// Microseconds since 1970-01-01 UTC.
    pub fn instant(&self, row: usize) -> Result<Option<i64>> {
        Ok(match &self.values {
            Values::Days(array) if array.is_valid(row) => {
                Some(i64::from(array.value(row)).checked_mul(DAY).ok_or_else(out_of_range)?)
            }
            Values::Micros(array) if array.is_valid(row) => Some(array.value(row)),
            Values::Time(array) if array.is_valid(row) => Some(array.value(row).div_euclid(1000)),
            _ => None,
        })
    }

    /// What the clock on the wall shows, row for row.
    pub fn locals(&self) -> impl Iterator<Item = Result<Option<i64>>> + '_ {
        (0..self.len()).map(|row| self.local(row))
    }
}

/// A column of the type, of microseconds of the clock on the wall: dates lose their time, timestamps with a zone are put
/// into it. Of whole numbers where the type is one.
///
/// # Errors
/// One of the rows is an error, or out of the type's range.
pub(in crate::query) fn collect(
    data_type: &DataType,
    rows: impl Iterator<Item = Result<Option<i64>>>,
) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Date32 => {
            let day = |micros: i64| i32::try_from(split(micros).0).map_err(|_| out_of_range());
            let days = rows.map(|row| row?.map(day).transpose());
            Arc::new(days.collect::<Result<Date32Array>>()?)
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Arc::new(rows.collect::<Result<TimestampMicrosecondArray>>()?)
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(name)) => {
            let zone = Zone::of_type(name)?;
            let instants = rows.map(|row| row?.map(|local| zone.to_instant(local)).transpose());
            let array = instants.collect::<Result<TimestampMicrosecondArray>>()?;
            Arc::new(array.with_timezone(name.clone()))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let nanos = rows.map(|row| Ok(row?.map(|micros| micros * 1000)));
            Arc::new(nanos.collect::<Result<Time64NanosecondArray>>()?)
        }
        DataType::Int64 => Arc::new(rows.collect::<Result<arrow::array::PrimitiveArray<Int64Type>>>()?),
        DataType::Duration(TimeUnit::Microsecond) => Arc::new(rows.collect::<Result<DurationMicrosecondArray>>()?),
        other => return internal_err!("{other} is not made of microseconds"),
    })
}

/// A column of text.
pub(in crate::query) fn collect_text(rows: impl Iterator<Item = Result<Option<String>>>) -> Result<ArrayRef> {
    Ok(Arc::new(rows.collect::<Result<StringArray>>()?))
}

/// An interval as PostgreSQL has it: months, days and microseconds, none made into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::query) struct Span {
    pub months: i64,
    pub days: i64,
    pub micros: i64,
}

impl Span {
    /// All of it in microseconds, a month of 30 days and a day of 24 hours: what intervals are compared by.
    pub fn total(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY) + i128::from(self.micros)
    }

    /// All of it in the other direction.
    pub fn negated(self) -> Self {
        Self {
            months: -self.months,
            days: -self.days,
            micros: -self.micros,
        }
    }

    /// The engine's interval.
    ///
    /// # Errors
    /// It is out of range: 2^31 months or days, 292 years of nanoseconds.
    pub fn to_engine(self) -> Result<IntervalMonthDayNano> {
        let narrow = || {
            let months = i32::try_from(self.months).ok()?;
            // What does not fit as nanoseconds goes into days, as far as it is whole ones.
            let (days, micros) = match self.micros.checked_mul(1000) {
                Some(_) => (self.days, self.micros),
                None => (self.days.checked_add(self.micros / DAY)?, self.micros % DAY),
            };
            let days = i32::try_from(days).ok()?;
            Some(IntervalMonthDayNano::new(months, days, micros.checked_mul(1000)?))
        };
        narrow().ok_or_else(|| exec_datafusion_err!("the interval is out of range"))
    }

    /// A duration, as PostgreSQL's difference of timestamps: whole days, and the rest.
    pub fn of_duration(micros: i64) -> Self {
        Self {
            months: 0,
            days: micros / DAY,
            micros: micros % DAY,
        }
    }
}

impl From<IntervalMonthDayNano> for Span {
    fn from(interval: IntervalMonthDayNano) -> Self {
        Self {
            months: interval.months.into(),
            days: interval.days.into(),
            micros: interval.nanoseconds.div_euclid(1000),
        }
    }
}

/// Intervals or durations of a column.
pub(in crate::query) enum Spans<'a> {
    Intervals(&'a IntervalMonthDayNanoArray),
    Durations(&'a DurationMicrosecondArray),
}

impl<'a> Spans<'a> {
    pub fn of(array: &'a ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Self::Intervals(array.as_primitive::<IntervalMonthDayNanoType>())
            }
            DataType::Duration(TimeUnit::Microsecond) => {
                Self::Durations(array.as_primitive::<DurationMicrosecondType>())
            }
            other => return internal_err!("{other} is not an interval"),
        })
    }

    pub fn get(&self, row: usize) -> Option<Span> {
        match self {
            Self::Intervals(array) => array.is_valid(row).then(|| array.value(row).into()),
            Self::Durations(array) => array.is_valid(row).then(|| Span::of_duration(array.value(row))),
        }
    }
}

/// A column of intervals.
pub(in crate::query) fn collect_spans(rows: impl Iterator<Item = Result<Option<Span>>>) -> Result<ArrayRef> {
    let intervals = rows.map(|row| row?.map(Span::to_engine).transpose());
    Ok(Arc::new(intervals.collect::<Result<IntervalMonthDayNanoArray>>()?))
}

/// A timestamp in microseconds; in UTC, if it has a zone.
pub(in crate::query) fn timestamp(with_zone: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, with_zone.then(|| "UTC".into()))
}

/// Months, days and nanoseconds.
pub(in crate::query) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The sum of a time on the wall and an interval: months first, then days, then the rest, as PostgreSQL adds them.
pub(in crate::query) fn add(local: i64, span: Span) -> Result<i64> {
    let sum = || {
        let (days, of_day) = split(local);
        let days = match span.months {
            0 => days,
            months => super::calendar::add_months(days, months)?,
        };
        super::calendar::join(days.checked_add(span.days)?, of_day)?.checked_add(span.micros)
    };
    sum().ok_or_else(out_of_range)
}
