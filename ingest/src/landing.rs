//! Landing one stream: what is new, its columns, its rows, one commit.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use cordada_lake::names::snake_case;
use cordada_lake::progress::{Progress, Task};
use cordada_lake::types::{COMMENT, PII};
use cordada_lake::{Error, Lake, Mode, Result, TableName, Write, yaml};
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::config::Source;
use crate::files::ScannedFile;
use crate::files::discover::{self, Found, Local};
use crate::identity::{Identity, hash_file};
use crate::provenance::Load;
use crate::rejected;
use crate::rows::{RowReader, with_provenance};
use crate::shape::Shape;
use crate::stream::{Disposition, Stream};

/// A stream to land, and what to land it with.
pub(crate) struct Landing<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) project: &'a Path,
    pub(crate) source: &'a Source,
    pub(crate) name: &'a str,
    pub(crate) stream: &'a Stream,
    pub(crate) table: &'a TableName,
    pub(crate) load: Load,
    pub(crate) cancel: CancellationToken,
}

/// What landed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) files: usize,
    pub(crate) skipped_files: usize,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) bytes: u64,
    pub(crate) version: Option<u64>,
}

/// A file that may be new, on a local disk, with the hash of its content.
struct Candidate {
    found: Found,
    local: Local,
    hash: Vec<u8>,
}

/// The files to land, and the transactions that say so afterwards.
struct Arrival {
    candidates: Vec<Candidate>,
    transactions: Vec<(String, i64)>,
    skipped: usize,
}

impl Landing<'_> {
    /// Lands what is new, as one commit.
    pub(crate) async fn run(&self, progress: &dyn Progress) -> Result<Landed> {
        let found = discover::find(self.project, &self.stream.path, &self.source.storage).await?;
        let arrival = self.arrival(found).await?;
        let mut landed = Landed {
            files: arrival.candidates.len(),
            skipped_files: arrival.skipped,
            ..Landed::default()
        };
        if arrival.candidates.is_empty() {
            return Ok(landed);
        }
        let bytes = arrival.candidates.iter().map(|candidate| candidate.found.size).sum();
        // Every byte is read twice.
        let task: Arc<dyn Task> = progress.start(&self.table.to_string(), Some(2 * bytes), "bytes").into();
        let content = |file: &Candidate| self.file_identity(&file.found).content(&file.hash);
        let contents: Vec<_> = arrival.candidates.iter().map(content).collect();
        let files = self.scan(arrival.candidates, &task).await?;
        let pieces = || files.iter().flat_map(|file| &file.scanned.pieces);
        (landed.rows, landed.rejected) = (
            pieces().map(|piece| piece.rows).sum(),
            pieces().map(|piece| piece.rejected).sum(),
        );
        landed.bytes = bytes;

        let schema = self.columns(&files).await?;
        let (load, cancel) = (self.load.clone(), self.cancel.clone());
        let rows = RowReader {
            files: Arc::new(files),
            schema,
            load,
            task: task.clone(),
            cancel,
        };
        rejected::journal(self.lake, &rows, self.source.name(), self.name, &contents).await?;
        // A file without even a header says nothing about a table.
        if rows.files.iter().any(|file| !file.scanned.shapes.is_empty()) {
            landed.version = Some(self.write(&rows, arrival.transactions).await?);
        }
        task.finish(&format!("{} rows, {} rejected", landed.rows, landed.rejected));
        Ok(landed)
    }

    fn file_identity(&self, file: &Found) -> Identity {
        Identity::of_file(self.source.name(), self.name, &file.name)
    }

    /// What of the files found is new to the table.
    async fn arrival(&self, found: Vec<Found>) -> Result<Arrival> {
        if self.stream.disposition == Disposition::Replace {
            return self.whole_arrival(found).await;
        }
        let ids: Vec<_> = found.iter().flat_map(|file| self.file_identity(file).ids()).collect();
        let known = self.lake.transactions(self.table, &ids).await?;
        let is_known = |(id, value): &(String, i64)| known.get(id) == Some(value);
        let total = found.len();
        let new_state = |file: &Found| !is_known(&self.file_identity(file).state(&file.state));
        let mut candidates = self.fetch(found.into_iter().filter(new_state).collect()).await?;
        candidates.retain(|file| !is_known(&self.file_identity(&file.found).content(&file.hash)));
        let transactions = candidates.iter().flat_map(|file| {
            let identity = self.file_identity(&file.found);
            [identity.state(&file.found.state), identity.content(&file.hash)]
        });
        Ok(Arrival {
            transactions: transactions.collect(),
            skipped: total - candidates.len(),
            candidates,
        })
    }

    /// All the files or none: the table is replaced when the set of files, one of them, or how they are read changes.
    async fn whole_arrival(&self, found: Vec<Found>) -> Result<Arrival> {
        let identity = Identity::of_stream(self.source.name(), self.name);
        let known = self.lake.transactions(self.table, &identity.ids()).await?;
        let is_known = |(id, value): &(String, i64)| known.get(id) == Some(value);
        let reading = format!("{:?} {}", self.stream, self.source.timezone);
        let state = found.iter().fold(reading.clone(), |all, file| {
            format!("{all}\n{} {}", file.name, file.state)
        });
        let (state, skipped) = (identity.state(&state), found.len());
        let unchanged = Arrival {
            candidates: Vec::new(),
            transactions: Vec::new(),
            skipped,
        };
        if is_known(&state) {
            return Ok(unchanged);
        }
        let candidates = self.fetch(found).await?;
        let content = candidates.iter().fold(reading.into_bytes(), |mut all, file| {
            all.extend_from_slice(file.found.name.as_bytes());
            all.extend_from_slice(&file.hash);
            all
        });
        let content = identity.content(&content);
        if is_known(&content) {
            return Ok(unchanged);
        }
        Ok(Arrival {
            candidates,
            transactions: vec![state, content],
            skipped: 0,
        })
    }

    /// Files at a time, and the threads that each of them gets.
    fn concurrency(&self, files: usize) -> (usize, usize) {
        let cores = self.lake.parallelism();
        let concurrent = files.clamp(1, cores);
        (concurrent, cores.div_ceil(concurrent))
    }

    async fn fetch(&self, found: Vec<Found>) -> Result<Vec<Candidate>> {
        let (concurrent, workers) = self.concurrency(found.len());
        let files = found.into_iter().map(|found| async move {
            let local = found.fetch(&self.cancel).await?;
            let cancel = self.cancel.clone();
            blocking(move || {
                let hash = hash_file(&local, workers, &cancel)?;
                Ok(Candidate { found, local, hash })
            })
            .await
        });
        futures::stream::iter(files).buffered(concurrent).try_collect().await
    }

    async fn scan(&self, candidates: Vec<Candidate>, task: &Arc<dyn Task>) -> Result<Vec<ScannedFile>> {
        let (concurrent, workers) = self.concurrency(candidates.len());
        let files = candidates.into_iter().map(|candidate| {
            let (stream, zone, cancel) = (self.stream.clone(), self.source.timezone, self.cancel.clone());
            let task = task.clone();
            blocking(move || {
                let bytes = candidate.local.bytes;
                let scanned = ScannedFile::scan(candidate.local, &stream, zone, workers, &cancel)?;
                task.advance(bytes);
                Ok(scanned)
            })
        });
        futures::stream::iter(files).buffered(concurrent).try_collect().await
    }

    /// The columns of all files, of types that hold every value of theirs and of the table.
    async fn columns(&self, files: &[ScannedFile]) -> Result<SchemaRef> {
        let existing = self.existing_columns().await?;
        let mut columns: Vec<(&str, &str, Shape)> = Vec::new();
        let mut by_name = HashMap::new();
        for file in files {
            let plan = &file.scanned.plan;
            for ((name, original), shape) in plan.names.iter().zip(&plan.originals).zip(&file.scanned.shapes) {
                let at = *by_name.entry(name.as_str()).or_insert_with(|| {
                    columns.push((name, original, Shape::default()));
                    columns.len() - 1
                });
                columns[at].2.merge(shape.clone());
            }
        }
        let fields = columns.into_iter().map(|(name, original, shape)| {
            let data_type = shape.data_type(existing.get(name))?;
            let pii = self.stream.column(name).and_then(|column| column.pii.clone());
            let comment = (name != original).then(|| original.to_owned());
            let metadata = [(COMMENT, comment), (PII, pii)];
            let metadata = metadata
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?)));
            Ok(Field::new(name, data_type, true).with_metadata(metadata.collect()))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        self.check_names(
            fields
                .iter()
                .map(|field| field.name().as_str())
                .chain(existing.keys().map(String::as_str)),
        )?;
        Ok(with_provenance(fields))
    }

    /// The types of the table's columns, if there is one whose rows stay.
    async fn existing_columns(&self) -> Result<HashMap<String, DataType>> {
        let latest = match self.stream.disposition {
            Disposition::Replace => None,
            Disposition::Append | Disposition::Merge => self.lake.latest_version(self.table).await?,
        };
        let Some(version) = latest else {
            return Ok(HashMap::new());
        };
        let snapshot = self.lake.snapshot(&self.lake.path_of(self.table), version).await?;
        let columns = snapshot.schema().fields().iter();
        Ok(columns
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect())
    }

    /// Whether the columns that the configuration names are there.
    fn check_names<'n>(&self, columns: impl Iterator<Item = &'n str>) -> Result<()> {
        let columns: Vec<_> = columns.collect();
        let named = self.stream.columns.keys().chain(&self.stream.key);
        for name in named {
            let column = snake_case(name);
            if columns.is_empty() || columns.contains(&column.as_str()) {
                continue;
            }
            let hint = match yaml::nearest(&column, columns.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are: {}", columns.join(", ")),
            };
            let doing = format!("landing {}", self.table);
            return Err(Error::config(doing, format!("there is no column `{name}`")).hint(hint));
        }
        Ok(())
    }

    async fn write(&self, rows: &RowReader, transactions: Vec<(String, i64)>) -> Result<u64> {
        let mode = match self.stream.disposition {
            Disposition::Append => Mode::Append,
            Disposition::Replace => Mode::Overwrite,
            Disposition::Merge => Mode::Upsert {
                key: self.stream.key(),
                deleted: None,
            },
        };
        let write = Write {
            widen: true,
            transactions,
            ..Write::new(mode, rows.schema.clone())
        };
        let writing = self
            .lake
            .write(self.table, write, rows.partitions(self.lake.parallelism()));
        tokio::select! {
            written = writing => Ok(written?.version),
            () = self.cancel.cancelled() => Err(Error::cancelled(format!("landing {}", self.table))),
        }
    }
}

/// Runs blocking work beside the async tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::failed("reading the files", error))?
}
