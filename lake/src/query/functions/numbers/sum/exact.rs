//! Sums in 128 bits.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::NullState;

use crate::query::arithmetic::{DIGITS, fits};

/// The type in which a sum of that type is passed on. None: it is not summed exactly.
pub(super) fn state(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int64 | DataType::UInt64 => Some(DataType::Decimal128(DIGITS, 0)),
        DataType::Decimal128(_, scale) => Some(DataType::Decimal128(DIGITS, *scale)),
        _ => None,
    }
}

/// Sums in the type that they are asked in.
///
/// # Errors
/// One is out of its range.
pub(super) fn in_type(sums: Decimal128Array, data_type: &DataType) -> Result<ArrayRef> {
    let array: Result<ArrayRef, ()> = match data_type {
        DataType::Int64 => {
            let narrow = sums.try_unary(|sum| i64::try_from(sum).map_err(drop));
            narrow.map(|sums: Int64Array| Arc::new(sums) as ArrayRef)
        }
        DataType::UInt64 => {
            let narrow = sums.try_unary(|sum| u64::try_from(sum).map_err(drop));
            narrow.map(|sums: UInt64Array| Arc::new(sums) as ArrayRef)
        }
        other => match fits(&sums) {
            Ok(()) => Ok(Arc::new(sums.with_data_type(other.clone())) as ArrayRef),
            Err(_) => Err(()),
        },
    };
    match array {
        Ok(array) => Ok(array),
        Err(()) => exec_err!("numeric overflow: a sum is out of the range of {data_type}"),
    }
}

/// That a sum is out of range.
pub(super) fn overflow<T>(data_type: &DataType) -> Result<T> {
    exec_err!("numeric overflow: a sum is out of the range of {data_type}")
}

/// One sum, of all rows or of a window that moves over them.
#[derive(Debug)]
pub(super) struct ExactSum<T> {
    sum: i128,
    /// How many values are in it.
    values: usize,
    data_type: DataType,
    of: PhantomData<fn() -> T>,
}

impl<T> ExactSum<T>
where
    T: ArrowPrimitiveType<Native: Into<i128>>,
{
    pub fn new(data_type: &DataType) -> Self {
        Self {
            sum: 0,
            values: 0,
            data_type: data_type.clone(),
            of: PhantomData,
        }
    }

    /// The sum of an array. None: it has more than 128 bits.
    fn total<V>(array: &dyn Array) -> Option<i128>
    where
        V: ArrowPrimitiveType<Native: Into<i128>>,
    {
        let array = array.as_primitive_opt::<V>()?;
        match array.null_count() {
            0 => (array.values().iter()).try_fold(0_i128, |sum, value| sum.checked_add((*value).into())),
            _ => (array.iter().flatten()).try_fold(0_i128, |sum, value| sum.checked_add(value.into())),
        }
    }

    fn add<V>(&mut self, arrays: &[ArrayRef]) -> Result<()>
    where
        V: ArrowPrimitiveType<Native: Into<i128>>,
    {
        let Some(array) = arrays.first() else {
            return internal_err!("sum has no argument");
        };
        match Self::total::<V>(array).and_then(|total| self.sum.checked_add(total)) {
            Some(sum) => {
                self.sum = sum;
                self.values += array.len() - array.null_count();
                Ok(())
            }
            None => overflow(&self.data_type),
        }
    }

    fn array(&self) -> Decimal128Array {
        Decimal128Array::from(vec![(self.values > 0).then_some(self.sum)])
    }
}

impl<T> Accumulator for ExactSum<T>
where
    T: ArrowPrimitiveType<Native: Into<i128>> + std::fmt::Debug,
{
    fn update_batch(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        self.add::<T>(arrays)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.add::<Decimal128Type>(states)
    }

    fn retract_batch(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let Some(array) = arrays.first() else {
            return internal_err!("sum has no argument");
        };
        match Self::total::<T>(array).and_then(|total| self.sum.checked_sub(total)) {
            Some(sum) => {
                self.sum = sum;
                self.values -= array.len() - array.null_count();
                Ok(())
            }
            None => overflow(&self.data_type),
        }
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Some(data_type) = state(&self.data_type) else {
            return internal_err!("{} is not summed exactly", self.data_type);
        };
        let state = in_type(self.array(), &data_type)?;
        Ok(vec![ScalarValue::try_from_array(&state, 0)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = in_type(self.array(), &self.data_type)?;
        ScalarValue::try_from_array(&sum, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// A sum of each group.
#[derive(Debug)]
pub(super) struct ExactSums<T> {
    sums: Vec<i128>,
    seen: NullState,
    data_type: DataType,
    of: PhantomData<fn() -> T>,
}

impl<T> ExactSums<T>
where
    T: ArrowPrimitiveType<Native: Into<i128>> + Send,
{
    pub fn new(data_type: &DataType) -> Self {
        Self {
            sums: Vec::new(),
            seen: NullState::new(),
            data_type: data_type.clone(),
            of: PhantomData,
        }
    }

    fn add<V>(
        &mut self,
        arrays: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()>
    where
        V: ArrowPrimitiveType<Native: Into<i128>> + Send,
    {
        let Some(values) = arrays.first().and_then(|array| array.as_primitive_opt::<V>()) else {
            return internal_err!("sum has no argument of its type");
        };
        self.sums.resize(count, 0);
        let mut overflows = false;
        let sums = &mut self.sums;
        self.seen.accumulate(groups, values, filter, count, |group, value| {
            if let Some(sum) = sums.get_mut(group) {
                let (total, over) = sum.overflowing_add(value.into());
                *sum = total;
                overflows |= over;
            }
        });
        match overflows {
            true => overflow(&self.data_type),
            false => Ok(()),
        }
    }

    fn take(&mut self, emit: EmitTo) -> Decimal128Array {
        let sums = emit.take_needed(&mut self.sums);
        Decimal128Array::new(sums.into(), self.seen.build(emit))
    }
}

impl<T> GroupsAccumulator for ExactSums<T>
where
    T: ArrowPrimitiveType<Native: Into<i128>> + std::fmt::Debug + Send,
{
    fn update_batch(
        &mut self,
        arrays: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.add::<T>(arrays, groups, filter, count)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.add::<Decimal128Type>(states, groups, None, count)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let sums = self.take(emit);
        in_type(sums, &self.data_type)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let Some(data_type) = state(&self.data_type) else {
            return internal_err!("{} is not summed exactly", self.data_type);
        };
        let sums = self.take(emit);
        Ok(vec![in_type(sums, &data_type)?])
    }

    fn convert_to_state(&self, arrays: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let (Some(values), Some(data_type)) = (
            arrays.first().and_then(|array| array.as_primitive_opt::<T>()),
            state(&self.data_type),
        ) else {
            return internal_err!("sum has no argument of its type");
        };
        let kept = filter.map(|filter| match filter.nulls() {
            Some(nulls) => NullBuffer::new(filter.values() & nulls.inner()),
            None => NullBuffer::new(filter.values().clone()),
        });
        let sums = values
            .values()
            .iter()
            .map(|value| (*value).into())
            .collect::<Vec<i128>>();
        let sums = Decimal128Array::new(sums.into(), NullBuffer::union(values.nulls(), kept.as_ref()));
        Ok(vec![Arc::new(sums.with_data_type(data_type))])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.seen.size()
    }
}
