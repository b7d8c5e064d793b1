//! Columns of metadata: a table of them is written once, and says its schema when it has no rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::DataType;
use datafusion::error::Result;

/// A column's name and its values.
pub(super) type Column = (&'static str, ArrayRef);

/// Texts, some of which may be missing.
pub(super) fn texts<S: AsRef<str>>(values: impl IntoIterator<Item = Option<S>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// Texts.
pub(super) fn text<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Whole numbers, some of which may be missing.
pub(super) fn numbers(values: impl IntoIterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int32Array>())
}

/// Whole numbers.
pub(super) fn number(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

/// Object identifiers, some of which may be missing.
pub(super) fn oids(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

/// Object identifiers.
pub(super) fn oid(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// True or false.
pub(super) fn flag(values: impl IntoIterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from_iter(values.into_iter().map(Some)))
}

/// The same value in all rows, or null in all of them.
#[derive(Clone, Copy)]
pub(super) struct All(pub usize);

impl All {
    pub(super) fn text(self, value: &str) -> ArrayRef {
        text(std::iter::repeat_n(value, self.0))
    }

    pub(super) fn number(self, value: i32) -> ArrayRef {
        number(std::iter::repeat_n(value, self.0))
    }

    pub(super) fn oid(self, value: i64) -> ArrayRef {
        oid(std::iter::repeat_n(value, self.0))
    }

    pub(super) fn flag(self, value: bool) -> ArrayRef {
        flag(std::iter::repeat_n(value, self.0))
    }

    pub(super) fn no_text(self) -> ArrayRef {
        new_null_array(&DataType::Utf8, self.0)
    }

    pub(super) fn no_number(self) -> ArrayRef {
        new_null_array(&DataType::Int32, self.0)
    }
}

/// `YES` or `NO`, the standard's words.
pub(super) fn yes_or_no(yes: bool) -> &'static str {
    if yes { "YES" } else { "NO" }
}

/// The rows; every column may be null, so that the schema is the same whatever is in it.
pub(super) fn batch(columns: Vec<Column>) -> Result<RecordBatch> {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}
