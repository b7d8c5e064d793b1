//! Rows that go because the file that they came from is landed anew.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, TimestampMicrosecondType};
use cordada_core::conform::conform;
use cordada_core::names::{LOADED_AT, ORIGIN};
use cordada_core::{Context, Result};
use futures::StreamExt;

use super::mode::Superseded;
use super::outcome::Outcome;
use super::snapshot::DataFile;
use super::stage::Folder;
use crate::table::data_file;

/// The columns that tell where a row came from, and when.
pub(crate) const COLUMNS: [&str; 2] = [ORIGIN, LOADED_AT];

/// Which rows of a batch stay.
pub(crate) fn stay(batch: &RecordBatch, superseded: &[Superseded]) -> BooleanArray {
    let column = |name: &str| batch.column_by_name(name);
    let origins = column(ORIGIN).and_then(|column| column.as_string_opt::<i32>());
    let times = column(LOADED_AT).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let (Some(origins), Some(times)) = (origins, times) else {
        return BooleanArray::from(vec![true; batch.num_rows()]);
    };
    let goes = |row: usize| {
        origins.is_valid(row)
            && times.is_valid(row)
            && superseded
                .iter()
                .any(|gone| times.value(row) >= gone.since && is_of(origins.value(row), &gone.file))
    };
    (0..batch.num_rows()).map(|row| Some(!goes(row))).collect()
}

/// Whether `origin` is a line of the file.
fn is_of(origin: &str, file: &str) -> bool {
    let line = origin.strip_prefix(file).and_then(|rest| rest.strip_prefix(':'));
    line.is_some_and(|line| !line.is_empty() && line.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Writes the files of `base` again that have such rows, without them.
pub(crate) async fn take_out(
    place: &Folder,
    superseded: &[Superseded],
    base: &[Arc<DataFile>],
    outcome: &mut Outcome,
) -> Result<()> {
    let fields = COLUMNS
        .iter()
        .filter_map(|name| place.schema.field_with_name(name).ok().cloned());
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = COLUMNS.map(str::to_owned);
    for (index, file) in base.iter().enumerate() {
        let size = u64::try_from(file.add.size).unwrap_or_default();
        let mut batches = data_file::read(place.lake.object_store(), &file.location, size, Some(&columns)).await?;
        let mut gone = 0;
        while let Some(batch) = batches.next().await {
            gone += stay(&conform(&batch?, &schema, &place.former)?, superseded).false_count() as u64;
        }
        if gone == 0 {
            continue;
        }
        let rewritten = place.rewrite(file, |_, batch| {
            let stay = stay(&batch, superseded);
            filter_record_batch(&batch, &stay).doing(|| format!("rewriting {}", file.location))
        });
        outcome.added.extend(rewritten.await?);
        outcome.replaced.push(index);
        outcome.rows_removed += gone;
    }
    Ok(())
}
