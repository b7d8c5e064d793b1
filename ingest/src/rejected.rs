//! `ops.rejected_rows`: the records that could not land, whole, with the reason.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use cordada_lake::{Context, Journal, Lake, Mode, Result, Write};

use crate::files::{Decoded, ScannedFile};
use crate::rows::RowReader;

/// Writes what the files of `rows` have rejected to the journal, before the rows themselves are committed: then a
/// crash in between loses nothing, and the transactions of the files keep the next load from writing it twice.
pub(crate) async fn journal(
    lake: &Lake,
    rows: &RowReader,
    source: &str,
    stream: &str,
    contents: &[(String, i64)],
) -> Result<()> {
    let table = Journal::RejectedRows.table()?;
    let rejecting = |file: usize| rows.files[file].scanned.pieces.iter().any(|piece| piece.rejected > 0);
    let transactions: Vec<_> = contents
        .iter()
        .enumerate()
        .filter(|(file, _)| rejecting(*file))
        .map(|(_, content)| content.clone())
        .collect();
    if transactions.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = transactions.iter().map(|(id, _)| id.clone()).collect();
    let known = lake.transactions(&table, &ids).await?;
    let is_new = |(id, content): &(String, i64)| known.get(id) != Some(content);
    let new: HashSet<usize> = contents
        .iter()
        .enumerate()
        .filter(|(_, content)| is_new(content))
        .map(|(file, _)| file)
        .collect();
    let mut places = rows.places(|piece| piece.rejected > 0);
    places.retain(|(file, _)| new.contains(file));
    if places.is_empty() {
        return Ok(());
    }
    let mut write = Write::new(Mode::Append, Journal::RejectedRows.schema());
    write.transactions = transactions.into_iter().filter(is_new).collect();
    let (source, stream) = (source.to_owned(), stream.to_owned());
    let make = move |rows: &RowReader, file: &ScannedFile, decoded| batch(rows, &source, &stream, file, decoded);
    // Reading them is no progress of the load.
    let reader = RowReader {
        task: Arc::new(cordada_lake::progress::Silent),
        ..rows.clone()
    };
    let records = reader.stream(places, Journal::RejectedRows.schema(), make);
    lake.write(&table, write, vec![records]).await.map(|_| ())
}

fn batch(rows: &RowReader, source: &str, stream: &str, file: &ScannedFile, decoded: Decoded) -> Result<RecordBatch> {
    let rejected = decoded.rejected;
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rejected.iter().map(|_| text))) };
    let at = TimestampMicrosecondArray::from_value(rows.load.at.timestamp_micros(), rejected.len());
    let lines = rejected
        .iter()
        .map(|record| i64::try_from(record.line).unwrap_or(i64::MAX));
    let columns: Vec<ArrayRef> = vec![
        same(&rows.load.id),
        Arc::new(at.with_timezone("UTC")),
        same(source),
        same(stream),
        same(file.name()),
        Arc::new(Int64Array::from_iter_values(lines)),
        Arc::new(StringArray::from_iter_values(
            rejected.iter().map(|record| &record.reason),
        )),
        Arc::new(StringArray::from_iter_values(
            rejected.iter().map(|record| &record.record),
        )),
    ];
    RecordBatch::try_new(Journal::RejectedRows.schema(), columns).doing(|| "recording rejected rows")
}
