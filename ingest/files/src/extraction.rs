//! Files as an extraction: which of them are new, each read once for its types, all of them one chunk.

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::Result;
use cordada_core::progress::Task;
use cordada_core::threads::blocking;
use cordada_ingest_discovery::discover::{self, FoundFile};
use cordada_ingest_formats::local::{Local, hash_file};
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows};
use cordada_ingest_source::seen::Identity;
use futures::{StreamExt, TryStreamExt};

use super::config::{FileStream, FilesSource};

/// A file that may be new, on a local disk, with the hash of its content.
struct Candidate {
    found: FoundFile,
    local: Local,
    hash: Vec<u8>,
}

/// The files to land, and the transactions that say so afterwards.
struct Arrival {
    candidates: Vec<Candidate>,
    transactions: Vec<(String, i64)>,
    skipped: usize,
}

/// The new files of a stream.
pub(crate) struct Files<'a> {
    request: Request<'a>,
    source: &'a FilesSource,
    stream: &'a FileStream,
    skipped: usize,
    done: bool,
}

impl<'a> Files<'a> {
    /// The files of `stream`, of which none has been looked for yet.
    pub(crate) fn new(request: Request<'a>, source: &'a FilesSource, stream: &'a FileStream) -> Self {
        Self {
            request,
            source,
            stream,
            skipped: 0,
            done: false,
        }
    }

    fn zone(&self) -> Tz {
        self.source.timezone.0
    }

    fn file_identity(&self, file: &FoundFile) -> Identity {
        Identity::of_file(self.request.source, self.request.stream, &file.name)
    }

    /// What of the files found is new to the table.
    async fn arrival(&self, found: Vec<FoundFile>) -> Result<Arrival> {
        if self.request.replace {
            return self.whole_arrival(found).await;
        }
        let ids: Vec<_> = found.iter().flat_map(|file| self.file_identity(file).ids()).collect();
        let known = self.request.landed.transactions(&ids).await?;
        let is_known = |(id, value): &(String, i64)| known.get(id) == Some(value);
        let total = found.len();
        let new_state = |file: &FoundFile| !is_known(&self.file_identity(file).state(&file.state));
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
    async fn whole_arrival(&self, found: Vec<FoundFile>) -> Result<Arrival> {
        let identity = Identity::of_stream(self.request.source, self.request.stream);
        let known = self.request.landed.transactions(&identity.ids()).await?;
        let is_known = |(id, value): &(String, i64)| known.get(id) == Some(value);
        let reading = format!("{:?} {}", self.stream, self.zone());
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
        let cores = self.request.parallelism;
        let concurrent = files.clamp(1, cores);
        (concurrent, cores.div_ceil(concurrent))
    }

    async fn fetch(&self, found: Vec<FoundFile>) -> Result<Vec<Candidate>> {
        let (concurrent, workers) = self.concurrency(found.len());
        let files = found.into_iter().map(|found| async move {
            let local = found.fetch(&self.request.cancel).await?;
            let cancel = self.request.cancel.clone();
            blocking("reading the files", move || {
                let hash = hash_file(&local, workers, &cancel)?;
                Ok(Candidate { found, local, hash })
            })
            .await
        });
        futures::stream::iter(files).buffered(concurrent).try_collect().await
    }

    async fn scan(&self, candidates: Vec<Candidate>, task: &Arc<dyn Task>) -> Result<Vec<ScannedFile>> {
        let (concurrent, workers) = self.concurrency(candidates.len());
        let reading = self.stream.reading(self.source.timezone);
        let files = candidates.into_iter().map(|candidate| {
            let (reading, cancel) = (reading.clone(), self.request.cancel.clone());
            let content = self.file_identity(&candidate.found).content(&candidate.hash);
            let task = task.clone();
            blocking("reading the files", move || {
                let bytes = candidate.local.bytes;
                let mut scanned = ScannedFile::scan(candidate.local, &reading, workers, &cancel)?;
                scanned.content_id = Some(content);
                task.advance(bytes);
                Ok(scanned)
            })
        });
        futures::stream::iter(files).buffered(concurrent).try_collect().await
    }
}

#[async_trait]
impl Extraction for Files<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let (source, stream) = (self.source, self.stream);
        let allow_outside = source.allow_outside || stream.allow_outside;
        let found = discover::find(self.request.project, &stream.path, allow_outside, &source.storage).await?;
        let arrival = self.arrival(found).await?;
        self.skipped = arrival.skipped;
        if arrival.candidates.is_empty() {
            return Ok(None);
        }
        let bytes = arrival.candidates.iter().map(|candidate| candidate.found.size).sum();
        // It was read once, to be known by its content; for its rows every byte is read twice more.
        let task = self
            .request
            .progress
            .start(&self.request.table.to_string(), Some(2 * bytes), "bytes");
        let task: Arc<dyn Task> = task.into();
        let files = self.scan(arrival.candidates, &task).await?;
        Ok(Some(Chunk {
            files: files.len(),
            transactions: arrival.transactions,
            task: Some(task),
            last: true,
            ..Chunk::new(Rows::Files(files), None, bytes)
        }))
    }

    fn skipped_files(&self) -> usize {
        self.skipped
    }
}
