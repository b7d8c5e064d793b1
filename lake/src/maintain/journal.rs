//! The rows of `ops.maintenance`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Result};

use super::Done;
use crate::journal::Journal;
use crate::journal::JournalType::{Integer, Text, Time};
use crate::lake::Lake;

/// One row a table that maintenance changed something of.
pub const MAINTENANCE: Journal = Journal::new(
    "maintenance",
    &[
        ("maintained_at", Time),
        ("table", Text),
        // Where it is: environments have tables of the same name.
        ("path", Text),
        ("files_compacted", Integer),
        ("files_written", Integer),
        ("bytes_written", Integer),
        ("version", Integer),
        ("files_removed", Integer),
        ("bytes_removed", Integer),
        ("log_files_removed", Integer),
    ],
);

pub(super) async fn record(lake: &Lake, done: &[Done]) -> Result<()> {
    let number = |get: fn(&Done) -> Option<u64>| -> ArrayRef {
        let numbers = done
            .iter()
            .map(|done| get(done).and_then(|number| i64::try_from(number).ok()));
        Arc::new(numbers.collect::<Int64Array>())
    };
    let text = |get: fn(&Done) -> String| -> ArrayRef {
        Arc::new(done.iter().map(|done| Some(get(done))).collect::<StringArray>())
    };
    let times = done.iter().map(|done| Some(done.at.timestamp_micros()));
    let columns = vec![
        Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")) as ArrayRef,
        text(|done| done.table.to_string()),
        text(|done| done.path.clone()),
        number(|done| Some(done.compacted?.files)),
        number(|done| Some(done.compacted?.into)),
        number(|done| Some(done.compacted?.bytes)),
        number(|done| Some(done.compacted?.version)),
        number(|done| Some(done.cleaned.files)),
        number(|done| Some(done.cleaned.bytes)),
        number(|done| Some(done.cleaned.log_files)),
    ];
    let rows = RecordBatch::try_new(MAINTENANCE.schema(), columns).doing(|| "recording in ops.maintenance")?;
    lake.journal(MAINTENANCE, rows).await
}
