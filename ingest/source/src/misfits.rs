//! Values that cannot land, on their way with the rows that they belong to.
//!
//! A row that has one comes with a null in its place. What is said of it stands in one more column behind the others,
//! which is null for all other rows, so that a row and what is wrong with it stay together whatever reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Error, Result};
use serde::{Deserialize, Serialize};

/// The last column's name: it has no other meaning, and the source may have one of the same name.
const NAME: &str = "_misfits";

/// A value that cannot land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// The column, by its position.
    pub column: usize,
    /// Why, without the value.
    pub reason: String,
    /// The value as text, as the source would write it.
    pub value: String,
}

/// The schema of rows that may have misfits.
pub fn schema(columns: &Schema) -> SchemaRef {
    let own = columns.fields().iter().cloned();
    let fields = own.chain([Arc::new(Field::new(NAME, DataType::Utf8, true))]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The misfits of the rows of one batch, while it is being filled.
#[derive(Debug, Default)]
pub struct Misfits(BTreeMap<usize, Vec<Misfit>>);

impl Misfits {
    /// Takes down one of a row.
    pub fn add(&mut self, row: usize, misfit: Misfit) {
        self.0.entry(row).or_default().push(misfit);
    }

    /// The last column of a batch of so many rows, after which there are none.
    ///
    /// # Errors
    /// None that is known.
    pub fn finish(&mut self, rows: usize) -> Result<ArrayRef> {
        let mut misfits = std::mem::take(&mut self.0);
        if misfits.is_empty() {
            return Ok(new_null_array(&DataType::Utf8, rows));
        }
        let texts = (0..rows).map(|row| {
            let misfits = misfits.remove(&row)?;
            Some(serde_json::to_string(&misfits).map_err(|error| Error::failed("taking down a value", error)))
        });
        let texts = texts.map(Option::transpose).collect::<Result<StringArray>>()?;
        Ok(Arc::new(texts))
    }
}

/// The batch without its last column, and the misfits of the rows that have some.
///
/// # Errors
/// None that is known.
pub fn split(batch: &RecordBatch) -> Result<(RecordBatch, BTreeMap<usize, Vec<Misfit>>)> {
    let doing = || "reading rows";
    let columns = batch.num_columns().saturating_sub(1);
    let indexes: Vec<_> = (0..columns).collect();
    let rows = batch.project(&indexes).doing(doing)?;
    let texts = batch.columns().last().and_then(|texts| texts.as_string_opt::<i32>());
    let Some(texts) = texts.filter(|texts| texts.null_count() < texts.len()) else {
        return Ok((rows, BTreeMap::new()));
    };
    let found = texts.iter().enumerate().filter_map(|(row, text)| Some((row, text?)));
    let found = found.map(|(row, text)| {
        let misfits = serde_json::from_str(text).map_err(|error| Error::failed(doing(), error))?;
        Ok((row, misfits))
    });
    Ok((rows, found.collect::<Result<_>>()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::Int32Array;

    use super::*;

    #[test]
    fn misfits_stay_with_their_rows() {
        let columns = Schema::new(vec![Field::new("_misfits", DataType::Int32, true)]);
        let mut misfits = Misfits::default();
        let misfit = |reason: &str| Misfit {
            column: 0,
            reason: reason.to_owned(),
            value: "\"NaN\"".to_owned(),
        };
        misfits.add(2, misfit("a"));
        misfits.add(2, misfit("b"));
        let mut batch = || {
            let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
            let last = misfits.finish(4).unwrap();
            RecordBatch::try_new(schema(&columns), vec![values, last]).unwrap()
        };
        let (first, second) = (batch(), batch());
        let (rows, found) = split(&first.slice(1, 2)).unwrap();
        assert_eq!((rows.num_columns(), rows.num_rows()), (1, 2));
        assert_eq!(found, BTreeMap::from([(1, vec![misfit("a"), misfit("b")])]));
        assert!(split(&second).unwrap().1.is_empty());
    }
}
