//! Sums of distinct values in 128 bits.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::DataType;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Accumulator;

use super::exact::{in_type, overflow};

/// The values so far, of all rows or of a window that moves over them.
#[derive(Debug)]
pub(super) struct ExactDistinctSum<T: ArrowPrimitiveType> {
    /// How often each value is there.
    values: HashMap<T::Native, usize>,
    data_type: DataType,
}

impl<T> ExactDistinctSum<T>
where
    T: ArrowPrimitiveType<Native: Into<i128> + Eq + Hash>,
{
    pub fn new(data_type: &DataType) -> Self {
        Self {
            values: HashMap::new(),
            data_type: data_type.clone(),
        }
    }

    fn of(array: &dyn Array) -> Result<&PrimitiveArray<T>> {
        match array.as_primitive_opt::<T>() {
            Some(array) => Ok(array),
            None => internal_err!("sum has no argument of its type"),
        }
    }

    fn add(&mut self, array: &dyn Array) -> Result<()> {
        for value in Self::of(array)?.iter().flatten() {
            *self.values.entry(value).or_default() += 1;
        }
        Ok(())
    }
}

impl<T> Accumulator for ExactDistinctSum<T>
where
    T: ArrowPrimitiveType<Native: Into<i128> + Eq + Hash> + std::fmt::Debug,
{
    fn update_batch(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        arrays.iter().try_for_each(|array| self.add(array))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.iter().filter_map(|state| state.as_list_opt::<i32>());
        lists
            .flat_map(|list| list.iter().flatten())
            .try_for_each(|values| self.add(&values))
    }

    fn retract_batch(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        for array in arrays {
            for value in Self::of(array)?.iter().flatten() {
                if let Some(count) = self.values.get_mut(&value) {
                    *count -= 1;
                    if *count == 0 {
                        self.values.remove(&value);
                    }
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = PrimitiveArray::<T>::from_iter_values(self.values.keys().copied());
        let values = Arc::new(values.with_data_type(self.data_type.clone()));
        Ok(vec![SingleRowListArrayBuilder::new(values).build_list_scalar()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sum = None;
        for value in self.values.keys() {
            sum = match sum.unwrap_or(0_i128).checked_add((*value).into()) {
                Some(sum) => Some(sum),
                None => return overflow(&self.data_type),
            };
        }
        let sum = in_type(vec![sum].into(), &self.data_type)?;
        ScalarValue::try_from_array(&sum, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<(T::Native, usize)>()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn a_value_counts_while_one_of_it_is_there() {
        let mut sum = ExactDistinctSum::<Int64Type>::new(&DataType::Int64);
        let array = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        assert!(sum.evaluate().unwrap().is_null());
        sum.update_batch(&[array(vec![Some(2), Some(2), None, Some(5)])])
            .unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::from(7_i64));
        sum.retract_batch(&[array(vec![Some(2), Some(5)])]).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::from(2_i64));
        let mut other = ExactDistinctSum::<Int64Type>::new(&DataType::Int64);
        other.update_batch(&[array(vec![Some(i64::MAX), Some(2)])]).unwrap();
        let state: Vec<_> = other
            .state()
            .unwrap()
            .iter()
            .map(|state| state.to_array().unwrap())
            .collect();
        sum.merge_batch(&state).unwrap();
        assert!(sum.evaluate().unwrap_err().to_string().contains("numeric overflow"));
    }
}
