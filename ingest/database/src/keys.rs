//! Rows by their hash: which keys of the lake the source has no more, and whether rows are the same as before.
//!
//! A key is 16 bytes of memory: the first half of its SHA-256, by which two of 2^32 different keys are the same with
//! a probability of 2^-65.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use cordada_core::names::snake_case;
use cordada_core::{Context, Error, Result};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest as _, Sha256};

use crate::session::SessionRows;

/// The hashes of rows.
struct Hasher {
    types: Vec<DataType>,
    rows: RowConverter,
}

impl Hasher {
    /// Of columns that are cast to those types, which makes the same value of two systems the same bytes.
    fn new(types: Vec<DataType>) -> Result<Self> {
        let fields = types.iter().cloned().map(SortField::new).collect();
        let rows = RowConverter::new(fields).doing(|| "comparing keys")?;
        Ok(Self { types, rows })
    }

    /// A hash a row, given to `each`.
    fn hash(&mut self, columns: &[ArrayRef], mut each: impl FnMut(u128)) -> Result<()> {
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let columns = columns
            .iter()
            .zip(&self.types)
            .map(|(column, to)| cast_with_options(column, to, &strict));
        let columns = columns.collect::<Result<Vec<_>, _>>().doing(|| "comparing keys")?;
        let rows = self.rows.convert_columns(&columns).doing(|| "comparing keys")?;
        for row in &rows {
            let hash = Sha256::digest(row.data());
            let half = hash.first_chunk::<16>().copied().unwrap_or_default();
            each(u128::from_be_bytes(half));
        }
        Ok(())
    }
}

/// What rows are, whatever their order: the sum of their hashes, and their number. Columns that are `hidden` (by their
/// names in the lake) do not count.
pub(crate) async fn digest(rows: SessionRows, hidden: &[String]) -> Result<String> {
    let fields = rows.schema.fields().iter().enumerate();
    let shown: Vec<_> = fields
        .filter(|(_, field)| !hidden.contains(&snake_case(field.name())))
        .collect();
    let types = shown.iter().map(|(_, field)| field.data_type().clone()).collect();
    let columns: Vec<usize> = shown.iter().map(|(at, _)| *at).collect();
    let mut hasher = Hasher::new(types)?;
    let (mut sum, mut count) = (0u128, 0u64);
    for mut partition in rows.partitions {
        while let Some(batch) = partition.next().await {
            let batch = batch.doing(|| "reading the rows at the cursor")?;
            let shown: Vec<_> = columns.iter().map(|at| batch.column(*at).clone()).collect();
            hasher.hash(&shown, |hash| sum = sum.wrapping_add(hash))?;
            count += batch.num_rows() as u64;
        }
    }
    Ok(format!("{sum:032x}:{count}"))
}

/// The keys that `existing` has and `source` has not, as rows with a true `deleted` column; `None` if there are none.
///
/// # Errors
/// Those of either.
pub(crate) async fn missing(
    source: SessionRows,
    existing: SendableRecordBatchStream,
    deleted: &str,
) -> Result<Option<(SchemaRef, SendableRecordBatchStream)>> {
    // Behind the key's columns is that of the misfits.
    let fields = source
        .schema
        .fields()
        .split_last()
        .map_or(&[][..], |(_, fields)| fields);
    let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let order = names.iter().map(|name| {
        let lake = snake_case(name);
        existing
            .schema()
            .index_of(&lake)
            .doing(|| "comparing keys with the lake's")
    });
    let order = order.collect::<Result<Vec<_>>>()?;
    let types: Vec<_> = order
        .iter()
        .map(|at| plain(existing.schema().field(*at).data_type()))
        .collect();
    let mut hasher = Hasher::new(types.clone())?;

    let mut keys = Vec::new();
    for mut partition in source.partitions {
        while let Some(batch) = partition.next().await {
            let batch = batch.doing(|| "reading the keys of the source")?;
            hasher.hash(&batch.columns()[..names.len()], |hash| keys.push(hash))?;
        }
    }
    keys.sort_unstable();

    let fields = names
        .iter()
        .zip(&types)
        .map(|(name, data_type)| Field::new(name, data_type.clone(), true));
    let fields = fields.chain([Field::new(deleted, DataType::Boolean, false)]);
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let out = schema.clone();
    let mut gone = existing.map_err(Error::from_stream).try_filter_map(move |batch| {
        let found = gone_of(&batch, &order, &mut hasher, &keys, &out);
        futures::future::ready(found)
    });
    // Looks for the first of them: mostly there is none, and then there is nothing to commit.
    let Some(first) = gone.next().await else {
        return Ok(None);
    };
    let gone = futures::stream::iter([first]).chain(gone).map_err(Into::into);
    Ok(Some((
        schema.clone(),
        Box::pin(RecordBatchStreamAdapter::new(schema, gone)),
    )))
}

/// The rows of `batch`, whose key columns are at `order`, that are not among the sorted `keys`.
fn gone_of(
    batch: &RecordBatch,
    order: &[usize],
    hasher: &mut Hasher,
    keys: &[u128],
    schema: &SchemaRef,
) -> Result<Option<RecordBatch>> {
    let columns: Vec<_> = order.iter().map(|at| batch.column(*at).clone()).collect();
    let (mut row, mut missing) = (0u64, Vec::new());
    hasher.hash(&columns, |hash| {
        if keys.binary_search(&hash).is_err() {
            missing.push(row);
        }
        row += 1;
    })?;
    if missing.is_empty() {
        return Ok(None);
    }
    let missing = UInt64Array::from(missing);
    let taken = columns.iter().zip(schema.fields()).map(|(column, field)| {
        let taken = take(column, &missing, None)?;
        arrow::compute::cast(&taken, field.data_type())
    });
    let mut taken = taken.collect::<Result<Vec<ArrayRef>, _>>().doing(|| "comparing keys")?;
    taken.push(Arc::new(BooleanArray::from(vec![true; missing.len()])));
    RecordBatch::try_new(schema.clone(), taken)
        .map(Some)
        .doing(|| "comparing keys")
}

/// The type without the view that sessions read text as.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
}

/// The engine's error as ours.
trait FromStream {
    fn from_stream(error: datafusion_common::error::DataFusionError) -> Error;
}

impl FromStream for Error {
    fn from_stream(error: datafusion_common::error::DataFusionError) -> Error {
        cordada_core::Classify::classify(error, "reading the keys of the lake".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{AsArray, Int32Array, Int64Array, StringArray, StringViewArray};
    use arrow::datatypes::Int64Type;
    use cordada_ingest_source::misfits::{self, Misfits};

    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>) -> SessionRows {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let misfits = Misfits::default().finish(batch.num_rows()).unwrap();
        let schema = misfits::schema(&batch.schema());
        let columns = batch.columns().iter().cloned().chain([misfits]).collect();
        let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
        let stream = futures::stream::iter([Ok(batch)]);
        let partition: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), stream));
        SessionRows {
            schema,
            partitions: vec![partition],
        }
    }

    #[tokio::test]
    async fn keys_are_compared_whatever_their_types_are() {
        let text = |values: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let source = || {
            rows(vec![
                ("ID", Arc::new(Int32Array::from(vec![1, 3])) as ArrayRef),
                ("Zone", text(["a", "b"])),
            ])
        };
        let lake = |ids: Vec<i64>, zones: Vec<&str>| {
            let zones: ArrayRef = Arc::new(StringViewArray::from(zones));
            rows(vec![
                ("zone", zones),
                ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
            ])
            .partitions
            .remove(0)
        };
        let gone = missing(source(), lake(vec![3, 2, 1], vec!["b", "b", "a"]), "_deleted")
            .await
            .unwrap();
        let (schema, gone) = gone.unwrap();
        assert_eq!(schema.field(0).name(), "ID");
        let batches: Vec<RecordBatch> = gone.try_collect().await.unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().values(), &[2]);
        assert!(batches[0].column(2).as_boolean().value(0));
        assert!(
            missing(source(), lake(vec![1], vec!["a"]), "_deleted")
                .await
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_digest_does_not_depend_on_the_order() {
        let of = |values: Vec<i32>| digest(rows(vec![("a", Arc::new(Int32Array::from(values)) as ArrayRef)]), &[]);
        assert_eq!(of(vec![1, 2, 2]).await.unwrap(), of(vec![2, 1, 2]).await.unwrap());
        assert_ne!(of(vec![1, 2]).await.unwrap(), of(vec![1, 2, 2]).await.unwrap());
    }

    #[tokio::test]
    async fn a_digest_says_nothing_of_what_is_hidden() {
        let of = |id: i32, name: &str| {
            let (id, name) = (Int32Array::from(vec![id]), StringArray::from(vec![name]));
            let columns = vec![("id", Arc::new(id) as ArrayRef), ("E-mail", Arc::new(name) as ArrayRef)];
            async move { digest(rows(columns), &["e_mail".to_owned()]).await.unwrap() }
        };
        assert_eq!(of(1, "ana@example.org").await, of(1, "bo@example.org").await);
        assert_ne!(of(1, "ana@example.org").await, of(2, "ana@example.org").await);
    }
}
