//! Rows by their hash: which keys of the lake the source has no more, and whether rows are the same as before.
//!
//! A key is 16 bytes of memory: the first half of its SHA-256, by which two of 2^32 different keys are the same with
//! a probability of 2^-65.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, SortField};
use cordada_core::conform::conform;
use cordada_core::spelling::Former;
use cordada_core::{Context, Error, Result};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest as _, Sha256};

use crate::session::SessionRows;

/// The hashes of rows.
struct Hasher {
    /// The columns, by their numbers.
    schema: SchemaRef,
    rows: RowConverter,
}

impl Hasher {
    /// Of columns that become those types as they do when they land, so that the same value of two systems has the same
    /// bytes: `1.50` is the text that the lake has of it.
    fn new(types: Vec<DataType>) -> Result<Self> {
        let fields = types.iter().cloned().map(SortField::new).collect();
        let rows = RowConverter::new(fields).doing(|| "comparing keys")?;
        let fields = types.into_iter().enumerate();
        let fields = fields.map(|(number, data_type)| Field::new(number.to_string(), data_type, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { schema, rows })
    }

    /// A hash a row, given to `each`.
    fn hash(&mut self, columns: &[ArrayRef], mut each: impl FnMut(u128)) -> Result<()> {
        let fields = self.schema.fields().iter().zip(columns);
        let fields = fields.map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()));
        let own = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(columns.first().map_or(0, |column| column.len())));
        let rows = RecordBatch::try_new_with_options(own, columns.to_vec(), &options).doing(|| "comparing keys")?;
        let rows = conform(&rows, &self.schema, &Former::default())?;
        let rows = self.rows.convert_columns(rows.columns()).doing(|| "comparing keys")?;
        for row in &rows {
            let hash = Sha256::digest(row.data());
            let half = hash.first_chunk::<16>().copied().unwrap_or_default();
            each(u128::from_be_bytes(half));
        }
        Ok(())
    }
}

/// The columns of rows, without that of the misfits behind them.
fn own(rows: &SessionRows) -> &[FieldRef] {
    rows.schema.fields().split_last().map_or(&[], |(_, fields)| fields)
}

/// What rows are, whatever their order: the sum of their hashes, and their number. Columns that are `hidden` (by the
/// source's own names) do not count, nor what is said of values that do not fit, for it repeats them.
pub(crate) async fn digest(rows: SessionRows, hidden: &[String]) -> Result<String> {
    let fields = own(&rows).iter().enumerate();
    let shown: Vec<_> = fields.filter(|(_, field)| !hidden.contains(field.name())).collect();
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

/// The keys that `existing` has and `source` has not, whose columns `existing` calls as `lake` says, as rows with a true
/// `deleted` column; `None` if there are none.
///
/// # Errors
/// Those of either.
pub(crate) async fn missing(
    source: SessionRows,
    existing: SendableRecordBatchStream,
    lake: &[String],
    deleted: &str,
) -> Result<Option<(SchemaRef, SendableRecordBatchStream)>> {
    let names: Vec<String> = own(&source).iter().map(|field| field.name().clone()).collect();
    let order = lake.iter().map(|name| {
        let place = existing.schema().index_of(name);
        place.doing(|| "comparing keys with the lake's")
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
    use arrow::array::{AsArray, Decimal128Array, Int32Array, Int64Array, StringArray, StringViewArray};
    use arrow::datatypes::Int64Type;
    use cordada_ingest_source::misfits::{self, Misfit, Misfits};

    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>) -> SessionRows {
        rows_with(columns, Misfits::default())
    }

    fn rows_with(columns: Vec<(&str, ArrayRef)>, mut misfits: Misfits) -> SessionRows {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let misfits = misfits.finish(batch.num_rows()).unwrap();
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
        let names = ["id".to_owned(), "zone".to_owned()];
        let gone = missing(source(), lake(vec![3, 2, 1], vec!["b", "b", "a"]), &names, "_deleted")
            .await
            .unwrap();
        let (schema, gone) = gone.unwrap();
        assert_eq!(schema.field(0).name(), "ID");
        let batches: Vec<RecordBatch> = gone.try_collect().await.unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().values(), &[2]);
        assert!(batches[0].column(2).as_boolean().value(0));
        assert!(
            missing(source(), lake(vec![1], vec!["a"]), &names, "_deleted")
                .await
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_key_that_became_text_in_the_lake_is_not_gone() {
        let decimals = Decimal128Array::from(vec![150, 200])
            .with_precision_and_scale(9, 2)
            .unwrap();
        let source = rows(vec![("id", Arc::new(decimals) as ArrayRef)]);
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["1.5", "2"]));
        let lake = rows(vec![("id", texts)]).partitions.remove(0);
        let gone = missing(source, lake, &["id".to_owned()], "_deleted").await.unwrap();
        assert!(gone.is_none());
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
            async move { digest(rows(columns), &["E-mail".to_owned()]).await.unwrap() }
        };
        assert_eq!(of(1, "ana@example.org").await, of(1, "bo@example.org").await);
        assert_ne!(of(1, "ana@example.org").await, of(2, "ana@example.org").await);
        let misfit = |value: &str| {
            let mut misfits = Misfits::default();
            let (column, reason, value) = (1, "it is no name".to_owned(), value.to_owned());
            misfits.add(0, Misfit { column, reason, value });
            let id = Int32Array::from(vec![1]);
            let columns = vec![("id", Arc::new(id) as ArrayRef)];
            async move { digest(rows_with(columns, misfits), &[]).await.unwrap() }
        };
        assert_eq!(misfit("ana@example.org").await, misfit("bo@example.org").await);
    }
}
