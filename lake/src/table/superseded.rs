//! Rows that go because the file that they came from is landed anew.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::datatypes::{Schema, TimestampMicrosecondType};
use cordada_core::Result;
use cordada_core::conform::conform;
use cordada_core::names::{LOADED_AT, ORIGIN};
use datafusion::common::ScalarValue;
use futures::StreamExt;

use super::mode::Superseded;
use super::outcome::Outcome;
use super::snapshot::DataFile;
use super::stage::Folder;
use crate::table::data_file;

/// The columns that tell where a row came from, and when.
pub(crate) const COLUMNS: [&str; 2] = [ORIGIN, LOADED_AT];

/// Which rows go.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// When those that go came, in microseconds UTC, by the files that they came from.
    times: HashMap<String, Vec<Range<i64>>>,
    /// The first of these times.
    first: Option<i64>,
}

impl Gone {
    /// All of those.
    pub(crate) fn new(superseded: &[Superseded]) -> Self {
        let mut times: HashMap<_, Vec<_>> = HashMap::with_capacity(superseded.len());
        for gone in superseded {
            let until = gone.until.unwrap_or(i64::MAX);
            times.entry(gone.file.clone()).or_default().push(gone.since..until);
        }
        Self {
            first: superseded.iter().map(|gone| gone.since).min(),
            times,
        }
    }

    /// Whether no row goes.
    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Which rows of a batch stay.
    pub(crate) fn stay(&self, batch: &RecordBatch) -> BooleanArray {
        let column = |name: &str| batch.column_by_name(name);
        let origins = column(ORIGIN).and_then(|column| column.as_string_opt::<i32>());
        let times = column(LOADED_AT).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(origins), Some(times)) = (origins, times) else {
            return BooleanArray::from(vec![true; batch.num_rows()]);
        };
        let goes = |row: usize| {
            let gone = || self.times.get(file_of(origins.value(row))?);
            let time = times.value(row);
            let is_gone = |gone: &Vec<Range<i64>>| gone.iter().any(|times| times.contains(&time));
            origins.is_valid(row) && times.is_valid(row) && gone().is_some_and(is_gone)
        };
        (0..batch.num_rows()).map(|row| Some(!goes(row))).collect()
    }

    /// Whether a file of a table with columns of `schema` may have such rows, as far as its statistics tell.
    pub(crate) fn may_be_in(&self, schema: &Schema, file: &DataFile) -> bool {
        let Some(first) = self.first else {
            return false;
        };
        let column = schema.index_of(LOADED_AT).ok();
        let newest = column.and_then(|column| file.column(column)?.max_value.get_value().cloned());
        match newest {
            Some(ScalarValue::TimestampMicrosecond(Some(newest), _)) => newest >= first,
            _ => true,
        }
    }

    /// Writes the files of `base` again that have such rows, without them.
    pub(crate) async fn take_out(&self, place: &Folder, base: &[Arc<DataFile>], outcome: &mut Outcome) -> Result<()> {
        let fields = COLUMNS
            .iter()
            .filter_map(|name| place.schema.field_with_name(name).ok().cloned());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = COLUMNS.map(str::to_owned);
        let files = base.iter().enumerate();
        for (index, file) in files.filter(|(_, file)| self.may_be_in(&place.schema, file)) {
            let size = u64::try_from(file.add.size).unwrap_or_default();
            let mut batches = data_file::read(place.lake.object_store(), &file.location, size, Some(&columns)).await?;
            let mut keep = BooleanBufferBuilder::new(0);
            while let Some(batch) = batches.next().await {
                let stay = self.stay(&conform(&batch?, &schema, &place.former)?);
                keep.append_buffer(stay.values());
            }
            let keep = keep.finish();
            let gone = keep.len() - keep.count_set_bits();
            if gone > 0 {
                outcome.added.extend(place.keep_rows(file, &keep).await?);
                outcome.replaced.push(index);
                outcome.rows_removed += gone as u64;
            }
        }
        Ok(())
    }
}

/// The file of whose lines `origin` is one.
fn file_of(origin: &str) -> Option<&str> {
    let (file, line) = origin.rsplit_once(':')?;
    let is_line = !line.is_empty() && line.bytes().all(|digit| digit.is_ascii_digit());
    is_line.then_some(file)
}
