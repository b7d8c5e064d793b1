//! Times of years that other readers of the lake cannot hold: they land, and the load says so.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::record_batch::RecordBatch;
use cordada_core::TableName;
use cordada_core::threads::locked;

/// Seconds since 1970 of the years that every reader holds: from 1 to 9999.
const HELD: Range<i64> = -62_135_596_800..253_402_300_800;

/// How many values of which column are of such years; a dot leads into records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FarTimes(BTreeMap<String, u64>);

impl FarTimes {
    /// Takes in those of others.
    pub(crate) fn merge(&mut self, others: &FarTimes) {
        for (column, values) in &others.0 {
            *self.0.entry(column.clone()).or_default() += values;
        }
    }

    /// Says which there are, if there are any.
    pub(crate) fn warn(&self, table: &TableName) {
        if self.0.is_empty() {
            return;
        }
        let columns = self.0.iter().map(|(column, values)| format!("{column} ({values})"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        tracing::warn!(
            %table,
            %columns,
            "times after the year 9999 or before the year 1 have landed: not all readers of the lake can hold them"
        );
    }

    fn count(&mut self, path: &str, values: &ArrayRef) {
        let far = match values.data_type() {
            DataType::Date32 => beyond::<Date32Type>(values, |day| i64::from(day) * 86_400),
            DataType::Date64 => beyond::<Date64Type>(values, |millis| millis.div_euclid(1000)),
            DataType::Timestamp(TimeUnit::Second, _) => beyond::<TimestampSecondType>(values, |seconds| seconds),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                beyond::<TimestampMillisecondType>(values, |millis| millis.div_euclid(1000))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                beyond::<TimestampMicrosecondType>(values, |micros| micros.div_euclid(1_000_000))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                beyond::<TimestampNanosecondType>(values, |nanos| nanos.div_euclid(1_000_000_000))
            }
            DataType::Struct(fields) => {
                for (field, values) in fields.iter().zip(values.as_struct().columns()) {
                    self.count(&format!("{path}.{}", field.name()), values);
                }
                0
            }
            DataType::List(_) => {
                let list = values.as_list::<i32>();
                let offsets = list.offsets();
                let (first, end) = (offsets[0] as usize, offsets[list.len()] as usize);
                self.count(path, &list.values().slice(first, end - first));
                0
            }
            DataType::Map(..) => {
                let map = values.as_map();
                let (first, end) = (map.offsets()[0] as usize, map.offsets()[map.len()] as usize);
                self.count(path, &(Arc::new(map.entries().slice(first, end - first)) as ArrayRef));
                0
            }
            _ => 0,
        };
        if far > 0 {
            *self.0.entry(path.to_owned()).or_default() += far;
        }
    }
}

/// [`FarTimes`] of rows on their way into a commit, from all partitions at once.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<Mutex<FarTimes>>);

impl Counter {
    /// Counts those of a batch.
    pub(crate) fn count(&self, batch: &RecordBatch) {
        let mut found = FarTimes::default();
        for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
            found.count(field.name(), values);
        }
        if !found.0.is_empty() {
            locked(&self.0).merge(&found);
        }
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> FarTimes {
        locked(&self.0).clone()
    }
}

fn beyond<T: ArrowPrimitiveType>(values: &ArrayRef, seconds: impl Fn(T::Native) -> i64) -> u64 {
    let values = values.as_primitive::<T>();
    let far = |value: T::Native| !HELD.contains(&seconds(value));
    let far = match values.null_count() {
        0 => values.values().iter().filter(|value| far(**value)).count(),
        _ => values.iter().flatten().filter(|value| far(*value)).count(),
    };
    far as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{Date32Array, StructArray, TimestampMicrosecondArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;
    use chrono::{NaiveDate, TimeDelta};

    use super::*;

    #[test]
    fn only_years_from_1_to_9999_are_near() {
        let day = |year, month, day| Date32Type::from_naive_date(NaiveDate::from_ymd_opt(year, month, day).unwrap());
        let days = [day(1, 1, 1), day(9999, 12, 31), day(0, 12, 31), day(10_000, 1, 1)];
        let last = NaiveDate::from_ymd_opt(9999, 12, 31)
            .unwrap()
            .and_hms_opt(23, 59, 59)
            .unwrap()
            .and_utc();
        let micros = [
            Some(last.timestamp_micros()),
            Some((last + TimeDelta::seconds(1)).timestamp_micros()),
            None,
            Some(i64::MIN),
        ];
        let days: ArrayRef = Arc::new(Date32Array::from(days.to_vec()));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros.to_vec()));
        let field = |name: &str, values: &ArrayRef| Arc::new(Field::new(name, values.data_type().clone(), true));
        let record: ArrayRef = Arc::new(StructArray::from(vec![(field("at", &times), times.clone())]));
        let item = field("element", &times);
        let list = arrow::array::ListArray::new(item, OffsetBuffer::from_lengths([1, 1, 0, 2]), times.clone(), None);
        let list: ArrayRef = Arc::new(list);
        let batch = RecordBatch::try_from_iter([("day", days), ("r", record), ("l", list)]).unwrap();
        let counter = Counter::default();
        counter.count(&batch);
        counter.count(&batch.slice(3, 1));
        let counted = counter.counted().0.into_iter();
        let counted: Vec<_> = counted.map(|(column, values)| format!("{column} {values}")).collect();
        assert_eq!(counted, ["day 3", "l 3", "r.at 3"]);
    }
}
