//! Dates, timestamps, intervals and time zones: PostgreSQL's functions, and those of other products that it lacks.
//!
//! Everything is in microseconds, in which a calendar of 290,000 years has room.

pub(in crate::query) mod calendar;
mod difference;
mod epoch;
mod fields;
mod format;
pub(in crate::query) mod intervals;
mod make;
pub(in crate::query) mod names;
mod now;
mod parts;
pub(in crate::query) mod series;
mod shift;
mod slices;
mod trunc;
pub(in crate::query) mod units;
pub(in crate::query) mod values;
pub(in crate::query) mod zones;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use super::Functions;
use super::definition::{udf, udfs};

/// Where the page of functions has them.
const FAMILY: &str = "Dates and times";

/// The family.
pub(super) fn all() -> Functions {
    let defined = [
        difference::DEFINITIONS,
        epoch::DEFINITIONS,
        format::DEFINITIONS,
        intervals::DEFINITIONS,
        make::DEFINITIONS,
        names::DEFINITIONS,
        parts::DEFINITIONS,
        shift::DEFINITIONS,
        slices::DEFINITIONS,
        trunc::DEFINITIONS,
        zones::DEFINITIONS,
    ];
    Functions {
        scalar: defined.into_iter().flat_map(udfs).chain(now::all()).collect(),
        ..Functions::default()
    }
}

/// What operators on times become.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) enum Operation {
    DateAtTime,
    DatePlusDays,
    Extract,
    IntervalBy,
    IntervalOrder,
    IntervalTimes,
    TimeDifference,
    ToInterval,
}

/// The function of an operator.
pub(in crate::query) fn operation(which: Operation) -> Arc<ScalarUDF> {
    udf(match which {
        Operation::DateAtTime => &intervals::DATE_AT_TIME,
        Operation::DatePlusDays => &shift::DATE_PLUS_DAYS,
        Operation::Extract => &parts::EXTRACT,
        Operation::IntervalBy => &intervals::BY,
        Operation::IntervalOrder => &intervals::ORDER,
        Operation::IntervalTimes => &intervals::TIMES,
        Operation::TimeDifference => &intervals::TIME_DIFFERENCE,
        Operation::ToInterval => &intervals::TO_INTERVAL,
    })
}
