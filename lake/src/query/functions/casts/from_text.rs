//! What texts say, in the type of a cast.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, DurationMicrosecondArray, Float64Array, IntervalMonthDayNanoArray,
    StringArray, Time64NanosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, internal_err};

use super::arrays::{decimals, integers, misfit};
use super::{OnFailure, intervals, is_decimal, lists, numbers, times, type_name};
use crate::query::functions::dates::values::collect;
use crate::query::functions::dates::zones::Zone;

/// The values that the texts say.
///
/// # Errors
/// Execution: a text says no value of the type, unless that is to give null.
pub(super) fn of_text(texts: &StringArray, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef> {
    use DataType as T;
    let name = type_name(to);
    let syntax = format!("invalid input syntax for type {name}");
    macro_rules! each {
        ($array:ty, $parse:expr) => {{
            let rows = texts.iter().map(|text| match text.map($parse) {
                None => Ok(None),
                Some(Some(value)) => Ok(Some(value)),
                Some(None) => misfit(on_failure, to, &syntax),
            });
            Arc::new(rows.collect::<Result<$array>>()?)
        }};
    }
    Ok(match to {
        T::List(item) => lists::of_text(texts, item, on_failure)?,
        T::Boolean => each!(BooleanArray, numbers::boolean),
        T::Date32 | T::Date64 => {
            let rows = texts.iter().map(|text| match text.map(times::parse) {
                None => Ok(None),
                Some(Ok(time)) => Ok(Some(time.local)),
                Some(Err(why)) => misfit(on_failure, to, &why),
            });
            collect(&T::Date32, rows)?
        }
        T::Timestamp(_, zone) => {
            let own = zone.as_deref().map(Zone::of_type).transpose()?;
            let rows = texts.iter().map(|text| match text.map(times::parse) {
                None => Ok(None),
                // As in PostgreSQL, a timestamp without zone does not look at the text's.
                Some(Ok(time)) => match (own, time.zone) {
                    (None, _) | (Some(_), None) => Ok(Some(time.local)),
                    (Some(own), Some(zone)) => own.to_local(zone.to_instant(time.local)?).map(Some),
                },
                Some(Err(why)) => misfit(on_failure, to, &why),
            });
            collect(&T::Timestamp(TimeUnit::Microsecond, zone.clone()), rows)?
        }
        T::Time32(_) | T::Time64(_) => {
            each!(Time64NanosecondArray, |text| times::parse_time(text)
                .map(|micros| micros * 1000))
        }
        T::Interval(_) => {
            let rows = texts
                .iter()
                .map(|text| match text.map(|text| intervals::parse(text, None)) {
                    None => Ok(None),
                    Some(Some(span)) => span.to_engine().map(Some),
                    Some(None) => misfit(on_failure, to, &syntax),
                });
            Arc::new(rows.collect::<Result<IntervalMonthDayNanoArray>>()?)
        }
        T::Duration(_) => each!(DurationMicrosecondArray, |text| {
            i64::try_from(intervals::parse(text, None)?.total()).ok()
        }),
        T::Float16 | T::Float32 | T::Float64 => {
            let parse = match to {
                T::Float64 => numbers::float64,
                _ => numbers::float32,
            };
            let rows = texts.iter().map(|text| match text.map(parse) {
                None => Ok(None),
                Some(numbers::Float::Is(value)) => Ok(Some(value)),
                Some(numbers::Float::OutOfRange) => {
                    misfit(on_failure, to, &format!("the number is out of range for type {name}"))
                }
                Some(numbers::Float::IsNone) => misfit(on_failure, to, &syntax),
            });
            Arc::new(rows.collect::<Result<Float64Array>>()?)
        }
        T::Binary | T::BinaryView | T::LargeBinary => {
            let rows: Vec<_> = texts
                .iter()
                .map(|text| match text.map(numbers::bytes) {
                    None => Ok(None),
                    Some(Some(bytes)) => Ok(Some(bytes)),
                    Some(None) => misfit(on_failure, to, &syntax),
                })
                .collect::<Result<_>>()?;
            Arc::new(rows.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
        to if is_decimal(to) => decimals(texts.iter().map(|text| text.map(str::to_owned)), to, on_failure)?,
        to if to.is_integer() => integers(texts.iter().map(|text| text.map(numbers::integer)), to, on_failure)?,
        other => return internal_err!("the engine reads {other} from text"),
    })
}
