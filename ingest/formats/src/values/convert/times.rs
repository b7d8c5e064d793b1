//! Times as dates and as points in time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, TimestampMicrosecondArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use cordada_core::Result;

use super::super::time::{Clock, DAY};
use super::{Conversion, Converted, each};

/// A point in time: microseconds, and whether nanoseconds are left over.
struct Instants {
    micros: Box<dyn Fn(usize) -> Option<(i64, bool)>>,
    /// Whether it is a clock's time rather than UTC.
    is_local: bool,
}

impl Instants {
    fn of(array: &ArrayRef) -> Self {
        fn values<T: ArrowPrimitiveType<Native = i64>>(
            array: &ArrayRef,
            micros: impl Fn(i64) -> Option<(i64, bool)> + 'static,
        ) -> Box<dyn Fn(usize) -> Option<(i64, bool)>> {
            let values = array.as_primitive::<T>().clone();
            Box::new(move |row| micros(values.value(row)))
        }
        let times = |factor: i64| move |value: i64| Some((value.checked_mul(factor)?, false));
        let micros = match array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => values::<TimestampSecondType>(array, times(1_000_000)),
            DataType::Timestamp(TimeUnit::Millisecond, _) => values::<TimestampMillisecondType>(array, times(1_000)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => values::<TimestampMicrosecondType>(array, times(1)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => values::<TimestampNanosecondType>(array, |nanos| {
                Some((nanos.div_euclid(1_000), nanos.rem_euclid(1_000) != 0))
            }),
            DataType::Date64 => values::<Date64Type>(array, times(1_000)),
            _ => {
                let days = array.as_primitive::<Date32Type>().clone();
                Box::new(move |row| Some((i64::from(days.value(row)).checked_mul(DAY)?, false)))
            }
        };
        let is_local = !matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
        Self { micros, is_local }
    }
}

pub(super) fn timestamps(array: &ArrayRef, conversion: Conversion) -> Result<Converted> {
    let (instants, mut clock, mut cut) = (Instants::of(array), Clock::new(conversion.zone.tz), false);
    let (values, misfits) = each(array, |row| {
        let (micros, is_cut) = (instants.micros)(row)?;
        if is_cut && !conversion.cuts {
            return None;
        }
        cut |= is_cut;
        Some(if instants.is_local {
            clock.utc_of_local(micros)
        } else {
            micros
        })
    });
    let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"));
    Ok(Converted { array, misfits, cut })
}

/// Midnights.
pub(super) fn dates(array: &ArrayRef) -> Result<Converted> {
    let instants = Instants::of(array);
    let (values, misfits) = each(array, |row| {
        let (micros, is_cut) = (instants.micros)(row)?;
        let is_midnight = !is_cut && micros.rem_euclid(DAY) == 0;
        is_midnight.then(|| i32::try_from(micros.div_euclid(DAY)).ok())?
    });
    let array: ArrayRef = Arc::new(Date32Array::from(values));
    Ok(Converted {
        array,
        misfits,
        cut: false,
    })
}
