//! Files as an extraction: which of them are new, each read once for its types, all of them one chunk.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::progress::Task;
use cordada_core::threads::blocking;
use cordada_core::{Result, hex};
use cordada_ingest_discovery::discover::FoundFile;
use cordada_ingest_formats::local::{Local, hash_beginning, hash_file, whole_lines};
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_formats::text::unpacked;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows, Superseded};
use cordada_ingest_source::options::Disposition;
use cordada_ingest_source::seen::{Arrival, Former, HEAD, Identity, Seen, SeenFile};
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::config::{FileStream, FilesSource};
use super::unfinished::{finished, is_recent};

/// A file that may be new, on a local disk, decompressed, and what tells it from others.
struct Candidate {
    found: FoundFile,
    local: Local,
    hash: Vec<u8>,
    seen: SeenFile,
    /// Lines at its beginning that have landed.
    landed_lines: u64,
}

/// What of a file that has changed is new.
enum Growth {
    /// All of it: it holds something else.
    None,
    /// What follows so many lines, which have landed.
    Lines(u64),
    /// All of it, in the place of what has landed.
    Whole,
}

/// The files to land, and what their commit says of files.
#[derive(Default)]
struct FilesToLand {
    candidates: Vec<Candidate>,
    transactions: Vec<(String, i64)>,
    dated: Vec<String>,
    supersedes: Vec<Superseded>,
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
        let of_all = seen.forget_all_as_one();
        let disposition = self.stream.options().disposition();
        let follows = matches!(disposition, Disposition::Merge | Disposition::Scd2);
        let total = found.len();
        let (same, new): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|file| seen.has(&file.name, &file.state, &reading));
        let new = self.fetch(new).await?;
        let here = same.iter().filter_map(|file| seen.content_of(&file.name));
        let here: HashSet<_> = here.chain(new.iter().map(|file| file.seen.content())).collect();
        let grown_from =
            |seen: &Seen, file: &SeenFile| seen.may_have_grown_from(file, &reading, |content| here.contains(content));
        let mut landing = FilesToLand::default();
        'files: for mut file in new {
            // Whoever writes a file anew empties it first. It holds nothing to land, and what it held before is still
            // what is known of it.
            if file.local.bytes == 0 {
                continue;
            }
            let formers = match seen.arrival(&file.seen, &reading, follows) {
                Arrival::Landed => {
                    landing.transactions.extend(seen.meet(&file.seen));
                    continue;
                }
                Arrival::ReadAnew(rows) => {
                    // Under its own name they come again.
                    let elsewhere: Vec<_> = rows
                        .iter()
                        .filter(|rows| rows.file != file.found.name)
                        .cloned()
                        .collect();
                    landing
                        .transactions
                        .extend(seen.forget(file.seen.content(), &elsewhere));
                    landing.supersedes.extend(rows);
                    Vec::new()
                }
                // By key all of it counts, and nothing of what it held before is in the way.
                Arrival::Changed(_) | Arrival::New if disposition != Disposition::Append => Vec::new(),
                Arrival::Changed(former) => {
                    let mut formers = grown_from(&seen, &file.seen);
                    formers.retain(|other| other.content() != former.content());
                    formers.push(former);
                    formers.sort_by_key(|former| Reverse(former.length));
                    formers
                }
                Arrival::New => grown_from(&seen, &file.seen),
            };
            let mut has_place = false;
            for former in formers {
                let growth;
                (file, growth) = self.grown(&former, file).await?;
                match growth {
                    Growth::None => continue,
                    Growth::Lines(lines) => {
                        file = match self.finished(file, &former).await? {
                            Some(file) => file,
                            None => continue 'files,
                        };
                        file.landed_lines = lines;
                        has_place = former.rows.iter().any(|rows| rows.file == file.found.name);
                        landing.transactions.extend(seen.grow(&former, &file.seen));
                    }
                    Growth::Whole => {
                        landing.transactions.extend(seen.forget(former.content(), &former.rows));
                        landing.supersedes.extend(former.rows);
                    }
                }
                break;
            }
            if !has_place {
                landing.dated.push(file.seen.rows(source, stream));
            }
            landing.transactions.extend(seen.land(&file.seen, &reading));
            landing.candidates.push(file);
        }
        landing.skipped = total - landing.candidates.len();
        landing.transactions.extend(of_all);
        Ok(landing)
    }

    /// Finds out whether a file has only grown since it had a former content.
    async fn grown(&self, former: &Former, mut file: Candidate) -> Result<(Candidate, Growth)> {
        let length = former.length.filter(|length| *length < file.local.bytes);
        let Some(length) = length.filter(|_| !former.rows.is_empty()) else {
            return Ok((file, Growth::None));
        };
        let is_between = former
            .rows
            .iter()
            .any(|rows| rows.file == file.found.name && rows.until.is_some());
        let (local, former) = (file.local, former.clone());
        let (workers, cancel) = (self.request.parallelism, self.request.cancel.clone());
        let (quote, escapes) = self.stream.quote_in(&file.found.name);
        let (local, growth) = blocking("reading the files", move || {
            let growth = if !former.is(&hash_beginning(&local, length, workers, &cancel)?) {
                Growth::None
            } else if escapes || !former.read_so || is_between {
                // Which quotes count is not told by their number; lines that were read another way have to go; and what
                // lands now comes after what the file held in between.
                Growth::Whole
            } else {
                whole_lines(&local, length, quote)?.map_or(Growth::Whole, Growth::Lines)
            };
            Ok((local, growth))
        })
        .await?;
        file.local = local;
        Ok((file, growth))
    }

    /// A file that has grown, without the record in whose middle it ends while it is being written; `None` if there is
    /// nothing else new.
    async fn finished(&self, file: Candidate, former: &Former) -> Result<Option<Candidate>> {
        let lines = self.stream.lines(&file.found.name);
        let Some(lines) = lines.filter(|_| is_recent(file.found.modified, self.request.load_at.into())) else {
            return Ok(Some(file));
        };
        let (workers, cancel) = (self.request.parallelism, self.request.cancel.clone());
        let landed = former.length.unwrap_or_default();
        blocking("reading the files", move || {
            let Some(finished) = finished(&file.local, lines)? else {
                return Ok(Some(file));
            };
            tracing::info!(
                file = file.found.name,
                "it ends in the middle of a record, which is left for when it is whole"
            );
            if finished.bytes <= landed {
                return Ok(None);
            }
            // The next load has to look at it again, although it may be as it is.
            let state = format!("{} unfinished", file.found.state);
            candidate((file.found, state), finished, true, workers, &cancel).map(Some)
        })
        .await
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
        let prefix = Seen::prefix(self.request.source, self.request.stream);
        let known = self.request.landed.transactions_of(&prefix).await?;
        let mut transactions = Seen::of(self.request.source, self.request.stream, known).forget_files();
        transactions.extend([state, content]);
        Ok(FilesToLand {
            skipped: total - candidates.len(),
            candidates,
            transactions,
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
                let state = found.state.clone();
                candidate((found, state), local, grows, workers, &cancel)
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

/// The file with its hash, decompressed, and the state by which it is known without being read.
fn candidate(
    (found, state): (FoundFile, String),
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
    let grows = match grows && packed.is_none() {
        true => Some((local.bytes, local.head(HEAD)?)),
        false => None,
    };
    let seen = SeenFile::new(&found.name, &state, &hash, packed.as_deref(), grows);
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
        let mut found = self.source.find(self.request.project, self.stream).await?;
        self.stream.order.sort(&mut found);
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
