//! All changes of identifiers there ever were, carried from one release to the next.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use cordada_core::{Context, Result};
use cordada_lake::estimator::Rows;
use futures::TryStreamExt;
use uuid::Uuid;

use super::found::Numbered;
use super::ids::{Change, ChangeKind};
use super::outputs::{MERGE, SPLIT};

/// Those of the release before.
pub(super) async fn before(rows: Option<&Arc<dyn Rows>>) -> Result<Vec<Numbered>> {
    let doing = || "reading the changes of identifiers of the release before";
    let mut known = Vec::new();
    let Some(rows) = rows else {
        return Ok(known);
    };
    let mut batches = rows.read().await?;
    while let Some(batch) = batches.try_next().await.doing(doing)? {
        known.extend(read(&batch).doing(doing)?);
    }
    known.sort_unstable_by_key(|numbered| numbered.number);
    Ok(known)
}

/// The changes of a batch. A table of other columns has none.
fn read(batch: &RecordBatch) -> Result<Vec<Numbered>, arrow::error::ArrowError> {
    let column = |name: &str, data_type: DataType| {
        batch
            .column_by_name(name)
            .map(|column| cast(column, &data_type))
            .transpose()
    };
    let (Some(number), Some(change), Some(from), Some(to), Some(records)) = (
        column("number", DataType::Int64)?,
        column("change", DataType::Utf8)?,
        column("from_person_id", DataType::Utf8)?,
        column("to_person_id", DataType::Utf8)?,
        column("records", DataType::Int64)?,
    ) else {
        return Ok(Vec::new());
    };
    let (number, records) = (number.as_primitive::<Int64Type>(), records.as_primitive::<Int64Type>());
    let (change, from, to) = (
        change.as_string::<i32>(),
        from.as_string::<i32>(),
        to.as_string::<i32>(),
    );
    let of_row = |row: usize| {
        let id = |column: &arrow::array::StringArray| Uuid::parse_str(column.value(row)).ok();
        let kind = match change.value(row) {
            MERGE => ChangeKind::Merge,
            SPLIT => ChangeKind::Split,
            _ => return None,
        };
        Some(Numbered {
            number: number.value(row),
            change: Change {
                from: id(from)?,
                to: id(to)?,
                kind,
                records: u32::try_from(records.value(row)).ok()?,
            },
        })
    };
    let is_complete = |row: &usize| {
        [change.is_valid(*row), from.is_valid(*row), to.is_valid(*row)]
            .into_iter()
            .all(|is| is)
    };
    Ok((0..batch.num_rows()).filter(is_complete).filter_map(of_row).collect())
}

/// All changes, with the new ones at the end.
pub(super) fn with(mut known: Vec<Numbered>, new: Vec<Change>) -> Vec<Numbered> {
    let last = known.last().map_or(0, |numbered| numbered.number);
    known.extend(
        new.into_iter()
            .zip(last + 1..)
            .map(|(change, number)| Numbered { number, change }),
    );
    known
}
