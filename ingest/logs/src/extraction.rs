//! Logs as an extraction: what each file has that has not been read, as chunks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cordada_core::batches::CHUNK_BYTES;
use cordada_core::threads::blocking;
use cordada_core::{Context, Error, Result, hex};
use cordada_ingest_discovery::discover::{self, FoundFile};
use cordada_ingest_formats::local::{Local, hash_file};
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_formats::text::{Plain, is_compressed};
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows};
use cordada_ingest_source::seen::Identity;
use cordada_ingest_source::transform::Transforms;
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::config::{LogOptions, LogStream, LogsSource};
use super::lines::Next;
use super::places::{LogHead, LogPlace, LogPlaces, LogTask};
use super::reader::{LineOutcome, Log};
use super::record::Policy;

/// Lines that may be rejected in a chunk: they wait in memory.
const REJECTS: usize = 10_000;

/// Files that are fetched ahead.
const AHEAD: usize = 16;

/// How long nobody has to have written to a log for its last line to be whole without a line break.
const QUIET: TimeDelta = TimeDelta::hours(1);

/// The new lines of a stream.
pub(crate) struct Logs<'a> {
    request: Request<'a>,
    identity: (&'a str, &'a str),
    context: Arc<LogContext>,
    places: LogPlaces,
    /// Files that may grow, on a local disk.
    live: VecDeque<FoundFile>,
    /// Those that are compressed, or elsewhere.
    others: VecDeque<FoundFile>,
    /// Of those, the ones that have been fetched.
    fetched: VecDeque<FetchedFile>,
    /// Names of everything that was found.
    listed: HashSet<String>,
    current: Option<OpenLog>,
    /// By which what has been read to its end is known; they go with the next chunk.
    transactions: Vec<(String, i64)>,
    skipped: usize,
}

/// What all files of a stream are read with.
struct LogContext {
    options: LogOptions,
    policy: Policy,
    transforms: Arc<Transforms>,
    records: Arc<Reading>,
    now: DateTime<Utc>,
    cancel: CancellationToken,
}

/// A file of which all is here.
struct FetchedFile {
    found: FoundFile,
    local: Local,
    transactions: Vec<(String, i64)>,
}

/// A log that is being read.
struct OpenLog {
    log: Log,
    /// What is to be known of it when all of it has been read, if it cannot grow.
    transactions: Vec<(String, i64)>,
    /// The place of the log that this is a compressed copy of, and which may still be there.
    original: Option<LogPlace>,
    /// Keeps the decompressed file.
    _plain: Option<Plain>,
}

/// What a reading brought.
struct LogChunk {
    open: OpenLog,
    spool: Spool,
    rejected: usize,
    bytes: u64,
    ended: bool,
}

impl<'a> Logs<'a> {
    /// Looks for the files of `stream` and sets aside those that have been read.
    ///
    /// # Errors
    /// Config for a path that matches nothing.
    pub(crate) async fn start(request: Request<'a>, source: &'a LogsSource, stream: &'a LogStream) -> Result<Self> {
        let found = discover::find(request.project, &stream.path, &source.storage).await?;
        let listed: HashSet<_> = found.iter().map(|file| file.name.clone()).collect();
        let places = LogPlaces::of_state(request.state.as_ref(), |path| listed.contains(path), request.load_at)?;
        let context = LogContext {
            options: stream.log_options(),
            policy: stream.policy(source.timezone.0),
            transforms: request.transforms.clone(),
            records: request.records.clone(),
            now: request.load_at,
            cancel: request.cancel.clone(),
        };
        let mut logs = Self {
            identity: (request.source, request.stream),
            request,
            context: Arc::new(context),
            places,
            live: VecDeque::new(),
            others: VecDeque::new(),
            fetched: VecDeque::new(),
            listed,
            current: None,
            transactions: Vec::new(),
            skipped: 0,
        };
        logs.sort(found).await?;
        Ok(logs)
    }

    /// Puts the files that have something new where they belong.
    async fn sort(&mut self, found: Vec<FoundFile>) -> Result<()> {
        let mut others = Vec::new();
        for file in found {
            if self.places.is_read(&file.name, &file.state, file.size) {
                self.skipped += 1;
            } else if file.on_disk().is_some_and(|(path, _)| is_plain(path)) {
                self.live.push_back(file);
            } else {
                others.push(file);
            }
        }
        let known = self
            .known(others.iter().map(|file| self.by_state(file)).collect())
            .await?;
        let total = others.len();
        self.others = others
            .into_iter()
            .filter(|file| !known.contains(&self.by_state(file)))
            .collect();
        self.skipped += total - self.others.len();
        Ok(())
    }

    /// The transaction by which a file is known without being read.
    fn by_state(&self, file: &FoundFile) -> (String, i64) {
        Identity::of_file(self.identity.0, self.identity.1, &file.name).state(&file.state)
    }

    /// The transaction by which a file is known whatever its name: rotation renames what is compressed as well.
    fn by_content(&self, hash: &[u8]) -> (String, i64) {
        Identity::of_file(self.identity.0, self.identity.1, &hex::encode(hash)).content(hash)
    }

    /// Those of the transactions that have been committed.
    async fn known(&self, transactions: Vec<(String, i64)>) -> Result<HashSet<(String, i64)>> {
        if self.request.replace || transactions.is_empty() {
            return Ok(HashSet::new());
        }
        let ids: Vec<_> = transactions.iter().map(|(id, _)| id.clone()).collect();
        let known: HashMap<String, i64> = self.request.landed.transactions(&ids).await?.into_iter().collect();
        let is_known = |(id, value): &(String, i64)| known.get(id) == Some(value);
        Ok(transactions.into_iter().filter(is_known).collect())
    }

    /// Fetches the next of the files that are compressed or elsewhere, and passes over those that are known.
    async fn fetch(&mut self) -> Result<()> {
        let next: Vec<_> = self.others.drain(..self.others.len().min(AHEAD)).collect();
        let cores = self.request.parallelism;
        let fetching = next.into_iter().map(|found| {
            let cancel = &self.request.cancel;
            async move {
                let local = found.fetch(cancel).await?;
                let cancel = cancel.clone();
                blocking("reading the logs", move || {
                    let hash = hash_file(&local, 1, &cancel)?;
                    Ok((found, local, hash))
                })
                .await
            }
        });
        let fetched: Vec<_> = futures::stream::iter(fetching).buffered(cores).try_collect().await?;
        let known = self
            .known(fetched.iter().map(|(.., hash)| self.by_content(hash)).collect())
            .await?;
        for (found, local, hash) in fetched {
            let (state, content) = (self.by_state(&found), self.by_content(&hash));
            if known.contains(&content) {
                self.skipped += 1;
                self.transactions.push(state);
                continue;
            }
            self.fetched.push_back(FetchedFile {
                found,
                local,
                transactions: vec![state, content],
            });
        }
        Ok(())
    }

    /// The next log that has something new.
    async fn open(&mut self) -> Result<Option<OpenLog>> {
        loop {
            if let Some(open) = self.current.take() {
                return Ok(Some(open));
            }
            let (file, name, state, complete, transactions, plain) = if let Some(found) = self.live.pop_front() {
                let Some((path, modified)) = found.on_disk() else {
                    continue;
                };
                let now = self.context.now;
                let quiet = modified.is_some_and(|time| now - DateTime::<Utc>::from(time) > QUIET);
                // It may have been rotated away since it was found.
                let file = match File::open(path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    file => file.doing(|| format!("reading {}", found.name))?,
                };
                (file, found.name.clone(), found.state, quiet, Vec::new(), None)
            } else {
                if self.fetched.is_empty() {
                    self.fetch().await?;
                }
                let Some(fetched) = self.fetched.pop_front() else {
                    if self.others.is_empty() {
                        return Ok(None);
                    }
                    continue;
                };
                let Some(opened) = self.decompress(fetched).await? else {
                    continue;
                };
                opened
            };
            let task = {
                let mut file = file.try_clone().doing(|| format!("reading {name}"))?;
                let head = LogHead::read(&mut file, &name)?;
                self.places.task(&name, &head, &mut file)?
            };
            let (context, remembered) = (self.context.clone(), transactions.clone());
            let original = match &task {
                LogTask::Continue(place) if place.path != name && !place.done && !transactions.is_empty() => {
                    Some(place.clone())
                }
                _ => None,
            };
            let opened = blocking("reading the logs", move || {
                let LogContext { options, policy, .. } = &*context;
                let log = match task {
                    LogTask::Nothing => None,
                    LogTask::Begin => Log::begin(file, &name, &state, complete, (options, policy))?,
                    LogTask::Continue(place) => Some(Log::resume(file, &name, &state, complete, (options, place))?),
                };
                Ok(log.map(|log| OpenLog {
                    log,
                    transactions,
                    original,
                    _plain: plain,
                }))
            })
            .await?;
            match opened {
                Some(open) => return Ok(Some(open)),
                None => {
                    self.skipped += 1;
                    self.transactions.extend(remembered);
                }
            }
        }
    }

    /// The file as plain bytes; `None` for one that is still being compressed.
    async fn decompress(&self, fetched: FetchedFile) -> Result<Option<OpenedFile>> {
        let FetchedFile {
            found,
            local,
            transactions,
        } = fetched;
        let cancel = self.request.cancel.clone();
        let unpacked = blocking("reading the logs", move || {
            let mut head = [0; 4];
            let read = read_head(local.open()?, &mut head).doing(|| format!("reading {}", local.name))?;
            let compressed = is_compressed(&head[..read]);
            let plain = Plain::binary(local, &cancel)?;
            Ok((plain.open()?, plain, compressed))
        })
        .await;
        let (file, plain, compressed) = match unpacked {
            Ok(unpacked) => unpacked,
            Err(error) if self.is_being_compressed(&found.name) => {
                tracing::warn!(file = found.name, %error, "passed over a log that is being compressed");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // Objects are written once; what a server gives may be a log that grows.
        let growing = !compressed
            && ["http", "ftp", "sftp"]
                .iter()
                .any(|scheme| found.name.starts_with(scheme));
        let transactions = if growing { Vec::new() } else { transactions };
        Ok(Some((
            file,
            found.name.clone(),
            found.state,
            !growing,
            transactions,
            Some(plain),
        )))
    }

    fn is_being_compressed(&self, name: &str) -> bool {
        let original = name.rsplit_once('.').map(|(original, _)| original);
        original.is_some_and(|original| self.listed.contains(original))
    }

    /// Takes down how far a log has been read.
    fn read(&mut self, chunk: LogChunk) -> Spool {
        let LogChunk {
            mut open, spool, ended, ..
        } = chunk;
        if open.log.place.offset > 0 {
            let mut place = open.log.place.clone();
            match &open.original {
                Some(original) => place = place.back_to(original),
                None => place.done = ended && !open.transactions.is_empty(),
            }
            self.places.update(open.log.before.as_ref(), place.clone());
            open.log.before = Some(place);
        }
        if ended {
            self.transactions.append(&mut open.transactions);
        } else {
            self.current = Some(open);
        }
        spool
    }
}

/// A file that can be read: with its name, its state, whether it is complete, its transactions.
type OpenedFile = (File, String, String, bool, Vec<(String, i64)>, Option<Plain>);

#[async_trait]
impl Extraction for Logs<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        let mut spools: Vec<Spool> = Vec::new();
        let (mut size, mut rejected, mut bytes, mut files, mut last) = (0, 0, 0, 0, false);
        while size < CHUNK_BYTES && rejected < REJECTS {
            let Some(open) = self.open().await? else {
                last = true;
                break;
            };
            let (context, room) = (self.context.clone(), (CHUNK_BYTES - size, REJECTS - rejected));
            let chunk = blocking("reading the logs", move || fill(open, &context, room)).await?;
            self.request.task.advance(chunk.bytes);
            (bytes, files) = (bytes + chunk.bytes, files + usize::from(chunk.ended));
            let any = chunk.spool.rows() > 0 || chunk.rejected > 0;
            rejected += chunk.rejected;
            let spool = self.read(chunk);
            size += spool.bytes();
            if any {
                spools.push(spool);
            }
        }
        let mut transactions = std::mem::take(&mut self.transactions);
        if self.request.replace {
            // All of it is read each time.
            transactions.clear();
        }
        if spools.is_empty() && transactions.is_empty() {
            return Ok(None);
        }
        Ok(Some(Chunk {
            transactions,
            files,
            last,
            ..Chunk::new(Rows::Records(spools), Some(self.places.state()?), bytes)
        }))
    }

    fn skipped_files(&self) -> usize {
        self.skipped
    }
}

/// Reads lines until there is enough of them: `room` for bytes of records and for rejected lines.
fn fill(mut open: OpenLog, context: &LogContext, room: (u64, usize)) -> Result<LogChunk> {
    let before = (open.log.place.offset, open.log.place.line);
    let LogContext {
        options,
        policy,
        transforms,
        records,
        cancel,
        ..
    } = context;
    let mut spool = Spool::of_lines(&open.log.place.path, records, before.1)?;
    let mut rejected = 0;
    let ended = open.log.read(options, policy, cancel, |line, taken| {
        match taken {
            LineOutcome::Record(record) if transforms.is_empty() => spool.push(record)?,
            LineOutcome::Record(record) => {
                let broken = |error| Error::failed("reading a log's record", error);
                let mut value: serde_json::Value = serde_json::from_slice(record).map_err(broken)?;
                transforms.apply_json(&mut value)?;
                spool.push(&serde_json::to_vec(&value).map_err(broken)?)?;
            }
            LineOutcome::Rejected(reason, text) => {
                let text = if transforms.is_empty() { text } else { String::new() };
                spool.reject(line, reason, text);
                spool.pass()?;
                rejected += 1;
            }
            LineOutcome::Empty => spool.pass()?,
        }
        Ok(if spool.bytes() < room.0 && rejected < room.1 {
            Next::Line
        } else {
            Next::Stop
        })
    })?;
    let bytes = open.log.place.offset - before.0;
    Ok(LogChunk {
        open,
        spool,
        rejected,
        bytes,
        ended,
    })
}

fn read_head(file: File, head: &mut [u8; 4]) -> std::io::Result<usize> {
    let mut bytes = Vec::new();
    file.take(4).read_to_end(&mut bytes)?;
    head[..bytes.len()].copy_from_slice(&bytes);
    Ok(bytes.len())
}

/// Whether a file is not compressed; one that cannot be read says why when it is.
fn is_plain(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|file| read_head(file, &mut head));
    read.map_or(true, |read| !is_compressed(&head[..read]))
}
