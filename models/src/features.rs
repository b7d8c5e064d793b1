//! The numeric features of rows, as estimators want them: a matrix of `f64`, one row a customer.

use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use cordada_core::{Context, Error, Result};

use cordada_core::suggest::did_you_mean;

/// Numbers row by row, all rows of the same length.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matrix {
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix without rows; `columns` is at least 1.
    pub(crate) fn new(columns: usize) -> Self {
        debug_assert!(columns > 0, "a matrix has columns");
        Self {
            columns,
            values: Vec::new(),
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.columns
    }

    pub(crate) fn push(&mut self, row: &[f64]) {
        debug_assert_eq!(row.len(), self.columns, "rows are of one length");
        self.values.extend_from_slice(row);
    }

    pub(crate) fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.columns..(at + 1) * self.columns]
    }

    pub(crate) fn row_mut(&mut self, at: usize) -> &mut [f64] {
        &mut self.values[at * self.columns..(at + 1) * self.columns]
    }

    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.columns)
    }

    pub(crate) fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f64]> {
        self.values.chunks_exact_mut(self.columns)
    }

    /// The numbers of all rows, one after the other.
    pub(crate) fn into_values(self) -> Vec<f64> {
        self.values
    }
}

/// The position of a column in `schema`, which the parameter `parameter` names.
pub(crate) fn find_column(schema: &Schema, parameter: &str, column: &str) -> Result<usize> {
    schema.index_of(column).map_err(|_| {
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        Error::config(
            format!("finding the columns of `{parameter}`"),
            format!("there is no column `{column}`"),
        )
        .hint(did_you_mean(column, "there are", columns))
    })
}

/// The position of a numeric column in `schema`, which the parameter `parameter` names.
pub(crate) fn find_feature(schema: &Schema, parameter: &str, column: &str) -> Result<usize> {
    let at = find_column(schema, parameter, column)?;
    match schema.field(at).data_type() {
        numeric if numeric.is_numeric() => Ok(at),
        other => {
            let why = format!("column `{column}` is not numeric but {other}");
            Err(Error::config(format!("finding the columns of `{parameter}`"), why)
                .hint("cast it in the SELECT, or leave it out"))
        }
    }
}

/// The columns at `positions` of one batch, ready to be read row by row.
#[derive(Debug)]
pub(crate) struct Features {
    columns: Vec<Float64Array>,
    rows: usize,
}

impl Features {
    /// Casts the columns of a batch; decimals and integers beyond 2^53 are rounded.
    pub(crate) fn of(batch: &RecordBatch, positions: &[usize]) -> Result<Self> {
        let columns = positions
            .iter()
            .map(|&at| {
                let column = cast(batch.column(at), &DataType::Float64)
                    .doing(|| format!("reading the feature `{}`", batch.schema_ref().field(at).name()))?;
                Ok(column.as_primitive::<Float64Type>().clone())
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            columns,
            rows: batch.num_rows(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Copies a row into `row`; false when a feature of it is null, infinite or not a number.
    pub(crate) fn read(&self, at: usize, row: &mut [f64]) -> bool {
        for (value, column) in row.iter_mut().zip(&self.columns) {
            // Adding zero makes -0.0 equal to 0.0 bit by bit.
            *value = column.value(at) + 0.0;
            if column.is_null(at) || !value.is_finite() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn batch() -> RecordBatch {
        let money = Decimal128Array::from(vec![Some(1050), Some(-25), Some(1)])
            .with_precision_and_scale(12, 2)
            .unwrap();
        RecordBatch::try_from_iter([
            ("name", Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef),
            ("orders", Arc::new(Int64Array::from(vec![Some(3), None, Some(0)]))),
            ("spent", Arc::new(money)),
            ("ratio", Arc::new(Float64Array::from(vec![0.5, 0.5, f64::NAN]))),
        ])
        .unwrap()
    }

    #[test]
    fn numbers_of_all_types_are_read_and_incomplete_rows_recognised() {
        let features = Features::of(&batch(), &[1, 2]).unwrap();
        let mut row = [0.0; 2];
        assert!(features.read(0, &mut row));
        assert_eq!(row, [3.0, 10.5]);
        assert!(!features.read(1, &mut row), "a null");
        assert!(
            !Features::of(&batch(), &[3]).unwrap().read(2, &mut row[..1]),
            "not a number"
        );
    }

    #[test]
    fn a_missing_or_textual_column_is_a_configuration_error() {
        let schema = batch().schema();
        let missing = find_feature(&schema, "features", "order").unwrap_err().to_string();
        assert!(
            missing.contains("there is no column `order`; did you mean `orders`?"),
            "{missing}"
        );
        let textual = find_feature(&schema, "features", "name").unwrap_err().to_string();
        assert!(textual.contains("column `name` is not numeric but Utf8"), "{textual}");
    }
}
