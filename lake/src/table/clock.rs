//! Whether the clock that a history is written by can be right.
//!
//! A history written by a wrong clock is wrong for as long as it is kept. The clock of the store, which dates the files
//! that are written, is a second opinion where it is another machine's; the rows that are there are one everywhere, for
//! time does not go back.

use chrono::{DateTime, SecondsFormat, Utc};
use cordada_core::{Context, Error, Result, TableName};
use datafusion::common::ScalarValue;
use deltalake::kernel::Add;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::lake::Lake;
use crate::table::fate::Findings;
use crate::table::history::{VALID_FROM, VALID_TO};
use crate::table::snapshot::TableSnapshot;

/// Microseconds that a clock may be off: more than zones and daylight saving explain.
const TOLERANCE: i64 = 24 * 3600 * 1_000_000;

/// # Errors
/// Failed if `at`, in microseconds, is more than a day before the last change in the history.
pub(crate) fn check_history(table: &TableName, at: i64, history: &TableSnapshot) -> Result<()> {
    let Some(newest) = newest_change(history).filter(|newest| newest.saturating_sub(at) > TOLERANCE) else {
        return Ok(());
    };
    let why = format!(
        "the clock says {}, and the history has changes of {}: one of them is wrong",
        written(at),
        written(newest)
    );
    Err(Error::failed(doing(table), why).hint(
        "set the clock if it is behind; otherwise undo the load whose clock was ahead (`cordada releases`, `cordada \
         rollback`), or go on after those changes with `trust_clock: true` at the stream",
    ))
}

/// # Errors
/// Failed if the store dates the files that were written more than a day before or after our own clock.
pub(crate) async fn check_store(lake: &Lake, table: &TableName, path: &str, added: &[Add]) -> Result<()> {
    let Some(file) = added.last() else {
        return Ok(());
    };
    let location = Path::from(path).join(file.path.as_str());
    let stored = lake.object_store().head(&location).await;
    let stored = stored
        .doing(|| format!("looking at {location}"))?
        .last_modified
        .timestamp_micros();
    let ours = file.modification_time.saturating_mul(1000);
    if (ours - stored).abs() <= TOLERANCE {
        return Ok(());
    }
    let why = format!(
        "the clock of this machine says {}, that of the lake's store {}",
        written(ours),
        written(stored)
    );
    Err(Error::failed(doing(table), why)
        .hint("set the clock; if it is the store's that is wrong, say `trust_clock: true` at the stream"))
}

/// Says that rows begin when it is not yet, if they do.
pub(crate) fn say_if_ahead(table: &TableName, findings: &Findings) {
    let now = Utc::now().timestamp_micros();
    let ahead = findings.later.iter().filter(|(_, begin)| *begin > now);
    if let Some(newest) = ahead.clone().map(|(_, begin)| *begin).max() {
        tracing::warn!(
            %table,
            rows = ahead.count(),
            until = written(newest),
            "the history is ahead of the clock, so that new rows begin in the future; the clock was wrong, or is now"
        );
    }
}

fn newest_change(history: &TableSnapshot) -> Option<i64> {
    let columns = [VALID_FROM, VALID_TO].map(|name| history.schema().index_of(name).ok());
    let newest = columns.into_iter().flatten().flat_map(|column| {
        history.files().iter().filter_map(move |file| {
            let column = file.column(column)?;
            match column.max_value.get_value()? {
                ScalarValue::TimestampMicrosecond(micros, _) => *micros,
                _ => None,
            }
        })
    });
    newest.max()
}

fn doing(table: &TableName) -> String {
    format!("writing the history of {table}")
}

fn written(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(
        || format!("{micros} µs after 1970"),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}
