//! `ops.rejected_rows`: the records that could not land, whole, with the reason.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use cordada_core::scratch::ScratchFile;
use cordada_core::threads::locked;
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::rejected::Rejected;
use cordada_ingest_source::provenance::Load;
use cordada_lake::JournalType::{Integer, Personal, Text, Time};
use cordada_lake::{Journal, Lake, Mode, Write};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;

/// One row a record that could not be landed.
pub(crate) const REJECTED_ROWS: Journal = Journal::new(
    "rejected_rows",
    &[
        ("load_id", Text),
        ("rejected_at", Time),
        ("source", Text),
        ("stream", Text),
        ("file", Text),
        ("line", Integer),
        ("reason", Personal),
        ("record", Personal),
    ],
);

/// The rejected records of one chunk, gathered while its rows are written, in a temporary file.
pub(crate) struct Rejects {
    load: Load,
    source: String,
    stream: String,
    /// Whether records stay out of it that could not be read, because nobody can take the personal data out of them.
    withhold: bool,
    gathered: Mutex<RejectsFile>,
}

#[derive(Default)]
struct RejectsFile {
    file: Option<(StreamWriter<File>, ScratchFile)>,
    rows: u64,
    first_reason: Option<String>,
}

impl Rejects {
    /// None so far.
    pub(crate) fn new(load: Load, source: &str, stream: &str, withhold: bool) -> Self {
        Self {
            load,
            source: source.to_owned(),
            stream: stream.to_owned(),
            withhold,
            gathered: Mutex::default(),
        }
    }

    /// Takes down records of `file` that could not be read.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn unreadable(&self, file: &str, rejected: &[Rejected]) -> Result<()> {
        if !self.withhold || rejected.is_empty() {
            return self.add(file, rejected);
        }
        let withheld = rejected.iter().map(|rejected| Rejected {
            record: "withheld: the stream has columns with a transform".to_owned(),
            ..rejected.clone()
        });
        self.add(file, &withheld.collect::<Vec<_>>())
    }

    /// Takes down records of `file`, which hold nothing that must not be written.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn add(&self, file: &str, rejected: &[Rejected]) -> Result<()> {
        if rejected.is_empty() {
            return Ok(());
        }
        let doing = || format!("writing rejected rows into {}", ScratchFile::folder().display());
        let batch = self.batch(file, rejected)?;
        let mut gathered = locked(&self.gathered);
        gathered.rows += rejected.len() as u64;
        gathered.first_reason.get_or_insert_with(|| rejected[0].reason.clone());
        if gathered.file.is_none() {
            let file = ScratchFile::new().doing(doing)?;
            let target = file.file().try_clone().doing(doing)?;
            let writer = StreamWriter::try_new(target, &REJECTED_ROWS.schema()).doing(doing)?;
            gathered.file = Some((writer, file));
        }
        match &mut gathered.file {
            Some((writer, _)) => writer.write(&batch).doing(doing),
            None => Ok(()),
        }
    }

    /// How many there are.
    pub(crate) fn rows(&self) -> u64 {
        locked(&self.gathered).rows
    }

    /// Why the first of them cannot land.
    pub(crate) fn first_reason(&self) -> Option<String> {
        let gathered = locked(&self.gathered);
        gathered.first_reason.clone()
    }

    /// Writes them to the journal; to be done before the rows themselves are committed, so that a crash in between
    /// loses nothing. `contents` says by which transaction each file is known, which keeps the next attempt from
    /// writing it twice; `others` stands for all that have none.
    ///
    /// # Errors
    /// As [`Lake::write`].
    pub(crate) async fn journal(
        &self,
        lake: &Lake,
        contents: &HashMap<String, (String, i64)>,
        others: &(String, i64),
    ) -> Result<()> {
        let doing = || "recording rejected rows";
        let finished = {
            let mut gathered = locked(&self.gathered);
            gathered.file.take()
        };
        let Some((mut writer, gathered)) = finished else {
            return Ok(());
        };
        writer.finish().doing(doing)?;
        drop(writer);
        let table = REJECTED_ROWS.table()?;
        let mut transactions: Vec<_> = contents.values().cloned().collect();
        transactions.push(others.clone());
        let ids: Vec<_> = transactions.iter().map(|(id, _)| id.clone()).collect();
        let known = lake.transactions(&table, &ids).await?;
        let is_known = |(id, content): &(String, i64)| known.get(id) == Some(content);
        let new_by_file: HashMap<String, bool> = contents
            .iter()
            .map(|(file, content)| (file.clone(), !is_known(content)))
            .collect();
        let new_otherwise = !is_known(others);
        let is_new = move |file: &str| new_by_file.get(file).copied().unwrap_or(new_otherwise);

        let mut write = Write::new(Mode::Append, REJECTED_ROWS.schema());
        write.transactions = transactions.into_iter().filter(|content| !is_known(content)).collect();
        if write.transactions.is_empty() {
            return Ok(());
        }
        let mut rows = RecordBatchReceiverStream::builder(REJECTED_ROWS.schema(), 2);
        let sender = rows.tx();
        rows.spawn_blocking(move || {
            let file = gathered.open().doing(doing)?;
            for batch in StreamReader::try_new(BufReader::new(file), None).doing(doing)? {
                let batch = batch.doing(doing)?;
                let files = batch
                    .column_by_name("file")
                    .map(|column| column.as_string::<i32>().clone());
                let wanted: BooleanArray = files
                    .iter()
                    .flat_map(|files| files.iter())
                    .map(|file| Some(is_new(file.unwrap_or_default())))
                    .collect();
                let batch = filter_record_batch(&batch, &wanted).doing(doing)?;
                let gone = |_| Error::cancelled(doing());
                sender.blocking_send(Ok(batch)).map_err(gone)?;
            }
            Ok(())
        });
        lake.write(&table, write, vec![rows.build()]).await.map(|_| ())
    }

    fn batch(&self, file: &str, rejected: &[Rejected]) -> Result<RecordBatch> {
        let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rejected.iter().map(|_| text))) };
        let at = TimestampMicrosecondArray::from_value(self.load.at.timestamp_micros(), rejected.len());
        let lines = rejected
            .iter()
            .map(|record| i64::try_from(record.line).unwrap_or(i64::MAX));
        let columns: Vec<ArrayRef> = vec![
            same(&self.load.id),
            Arc::new(at.with_timezone("UTC")),
            same(&self.source),
            same(&self.stream),
            same(file),
            Arc::new(Int64Array::from_iter_values(lines)),
            Arc::new(StringArray::from_iter_values(
                rejected.iter().map(|record| &record.reason),
            )),
            Arc::new(StringArray::from_iter_values(
                rejected.iter().map(|record| &record.record),
            )),
        ];
        RecordBatch::try_new(REJECTED_ROWS.schema(), columns).doing(|| "recording rejected rows")
    }
}
