//! Files as an extraction: which of them are new, each read once for its types, all of them one chunk.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::progress::Task;
use cordada_core::threads::blocking;
use cordada_core::{Result, hex};
use cordada_ingest_discovery::discover::{self, FoundFile};
use cordada_ingest_formats::local::{Local, hash_beginning, hash_file, whole_lines};
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_formats::text::unpacked;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows};
use cordada_ingest_source::options::Disposition;
use cordada_ingest_source::seen::{Arrival, Former, Identity, Seen, SeenFile};
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::config::{FileStream, FilesSource};

/// A file that may be new, on a local disk, decompressed, and what tells it from others.
struct Candidate {
    found: FoundFile,
    local: Local,
    hash: Vec<u8>,
    seen: SeenFile,
    /// Lines at its beginning that have landed.
    landed_lines: u64,
}

/// The files to land, and what their commit says of files.
#[derive(Default)]
struct FilesToLand {
    candidates: Vec<Candidate>,
    transactions: Vec<(String, i64)>,
    dated: Vec<String>,
    supersedes: Vec<(String, i64)>,
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

    /// What of the files found is new to the table.
    async fn new_files(&self, found: Vec<FoundFile>) -> Result<FilesToLand> {
        let reading = self.stream.settings(self.zone());
        if self.request.replace {
            return self.whole(found, &reading).await;
        }
        let (source, stream) = (self.request.source, self.request.stream);
        let known = self
            .request
            .landed
            .transactions_of(&Seen::prefix(source, stream))
            .await?;
        let mut seen = Seen::of(source, stream, known);
        let total = found.len();
        let is_new = |file: &FoundFile| !seen.has(&file.name, &file.state, &reading);
        let new: Vec<_> = found.into_iter().filter(is_new).collect();
        let mut landing = FilesToLand::default();
        for mut file in self.fetch(new).await? {
            let arrival = seen.arrival(&file.seen, &reading);
            let mut since = None;
            match arrival {
                Arrival::Landed => {
                    landing.transactions.extend(seen.meet(&file.seen));
                    continue;
                }
                Arrival::New => {}
                Arrival::ReadAnew { names, since } => {
                    landing.supersedes.extend(names.into_iter().map(|name| (name, since)));
                }
                Arrival::Changed(former) => {
                    (file, since) = self.grown(&former, file, &mut landing.supersedes).await?;
                }
            }
            if since.is_none() {
                landing.dated.push(file.seen.since(source, stream));
            }
            landing.transactions.extend(seen.land(&file.seen, &reading, since));
            landing.candidates.push(file);
        }
        landing.skipped = total - landing.candidates.len();
        Ok(landing)
    }

    /// Finds out whether a file that has changed has only grown: then what it had stays in the table, or goes if its
    /// last record was not whole. Since when its rows are there then; `None` if it holds something else.
    async fn grown(
        &self,
        former: &Former,
        mut file: Candidate,
        supersedes: &mut Vec<(String, i64)>,
    ) -> Result<(Candidate, Option<i64>)> {
        let appends = self.stream.options().disposition() == Disposition::Append;
        let (Some(length), Some(since), true) = (former.length, former.since, appends) else {
            return Ok((file, None));
        };
        if length >= file.local.bytes {
            return Ok((file, None));
        }
        let (local, former) = (file.local, former.clone());
        let (workers, cancel) = (self.request.parallelism, self.request.cancel.clone());
        let quote = self.stream.quote_in(&file.found.name);
        let (local, lines) = blocking("reading the files", move || {
            let grown = former.is(&hash_beginning(&local, length, workers, &cancel)?);
            let lines = grown.then(|| whole_lines(&local, length, quote)).transpose()?;
            Ok((local, lines))
        })
        .await?;
        file.local = local;
        match lines {
            None => return Ok((file, None)),
            Some(Some(lines)) => file.landed_lines = lines,
            Some(None) => supersedes.push((file.found.name.clone(), since)),
        }
        Ok((file, Some(since)))
    }

    /// All the files or none: the table is replaced when the set of files, one of them, or how they are read changes.
    async fn whole(&self, found: Vec<FoundFile>, reading: &str) -> Result<FilesToLand> {
        let identity = Identity::of_stream(self.request.source, self.request.stream);
        let known = self.request.landed.transactions(&identity.ids()).await?;
        let is_known = |(id, value): &(String, i64)| known.get(id) == Some(value);
        let state = found.iter().fold(reading.to_owned(), |all, file| {
            format!("{all}\n{} {}", file.name, file.state)
        });
        let (state, total) = (identity.state(&state), found.len());
        let unchanged = FilesToLand {
            skipped: total,
            ..FilesToLand::default()
        };
        if is_known(&state) {
            return Ok(unchanged);
        }
        let mut candidates = self.fetch(found).await?;
        let mut contents = HashSet::new();
        candidates.retain(|file| contents.insert(file.hash.clone()));
        let content = candidates.iter().fold(reading.to_owned(), |all, file| {
            format!("{all}\n{}", hex::encode(&file.hash))
        });
        let content = identity.content(content.as_bytes());
        if is_known(&content) {
            return Ok(unchanged);
        }
        Ok(FilesToLand {
            skipped: total - candidates.len(),
            candidates,
            transactions: vec![state, content],
            ..FilesToLand::default()
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
            let (cancel, grows) = (self.request.cancel.clone(), self.stream.grows(&found.name));
            blocking("reading the files", move || {
                candidate(found, local, grows, workers, &cancel)
            })
            .await
        });
        futures::stream::iter(files).buffered(concurrent).try_collect().await
    }

    async fn scan(&self, candidates: Vec<Candidate>, task: &Arc<dyn Task>) -> Result<Vec<ScannedFile>> {
        let (concurrent, workers) = self.concurrency(candidates.len());
        let declared = self.request.records.declared.clone();
        let reading = self.stream.reading(declared, self.source.timezone);
        let settings = self.stream.settings(self.zone());
        let files = candidates.into_iter().map(|candidate| {
            let (reading, cancel, task) = (reading.clone(), self.request.cancel.clone(), task.clone());
            let (source, stream) = (self.request.source, self.request.stream);
            let rejects = candidate.seen.rejects(source, stream, &settings);
            blocking("reading the files", move || {
                let bytes = candidate.found.size;
                let mut scanned = ScannedFile::scan(candidate.local, &reading, workers, &cancel)?;
                scanned.bytes = bytes;
                scanned.content_id = Some(rejects);
                scanned.landed_lines = candidate.landed_lines;
                task.advance(bytes);
                Ok(scanned)
            })
        });
        futures::stream::iter(files).buffered(concurrent).try_collect().await
    }
}

/// The file with its hash, decompressed.
fn candidate(
    found: FoundFile,
    local: Local,
    grows: bool,
    workers: usize,
    cancel: &CancellationToken,
) -> Result<Candidate> {
    let packed = hash_file(&local, workers, cancel)?;
    let (local, hash, packed) = match unpacked(&local, cancel)? {
        None => (local, packed, None),
        Some(plain) => {
            let hash = hash_file(&plain, workers, cancel)?;
            (plain, hash, Some(packed))
        }
    };
    let length = (grows && packed.is_none()).then_some(local.bytes);
    let seen = SeenFile::new(&found.name, &found.state, &hash, packed.as_deref(), length);
    Ok(Candidate {
        found,
        local,
        hash,
        seen,
        landed_lines: 0,
    })
}

#[async_trait]
impl Extraction for Files<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let (source, stream) = (self.source, self.stream);
        let allow_outside = source.allow_outside || stream.allow_outside;
        let mut found = discover::find(self.request.project, &stream.path, allow_outside, &source.storage).await?;
        stream.order.sort(&mut found);
        let landing = self.new_files(found).await?;
        self.skipped = landing.skipped;
        if landing.candidates.is_empty() {
            return Ok(None);
        }
        let bytes = landing.candidates.iter().map(|candidate| candidate.found.size).sum();
        // It was read once, to be known by its content; for its rows every byte is read twice more.
        let task = self
            .request
            .progress
            .start(&self.request.table.to_string(), Some(2 * bytes), "bytes");
        let task: Arc<dyn Task> = task.into();
        let files = self.scan(landing.candidates, &task).await?;
        Ok(Some(Chunk {
            files: files.len(),
            transactions: landing.transactions,
            dated: landing.dated,
            supersedes: landing.supersedes,
            task: Some(task),
            last: true,
            ..Chunk::new(Rows::Files(files), None, bytes)
        }))
    }

    fn skipped_files(&self) -> usize {
        self.skipped
    }
}
