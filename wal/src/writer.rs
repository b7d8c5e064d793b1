//! The thread that writes a log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cordada_core::{Context, Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::frame::Entry;
use super::segment::{self, HEADER, Header, Segment};
use super::{Command, Limits, SharedLog};

/// Bytes after which a batch is written, whatever else waits.
const BATCH: usize = 8 << 20;

/// Who waits for the batch.
type Waiters = Vec<oneshot::Sender<Result<()>>>;

pub(super) struct Writer {
    dir: PathBuf,
    id: Uuid,
    limits: Limits,
    shared: Arc<SharedLog>,
    active: Option<Active>,
    /// The number of the next record.
    next: u64,
    buffer: Vec<u8>,
}

/// The segment that is being written.
struct Active {
    file: File,
    path: PathBuf,
    first: u64,
    bytes: u64,
}

impl Writer {
    pub(super) fn new(dir: PathBuf, id: Uuid, limits: Limits, shared: Arc<SharedLog>) -> Self {
        Self {
            dir,
            id,
            limits,
            shared,
            active: None,
            next: 0,
            buffer: Vec::new(),
        }
    }

    /// Writes what comes until nobody can send any more.
    pub(super) fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        let mut held = None;
        while let Some(command) = held.take().or_else(|| commands.blocking_recv()) {
            match command {
                Command::Seal(done) => {
                    self.seal();
                    let _ = done.send(());
                }
                Command::Append { entries, room, done } => {
                    let (mut batch, mut rooms, mut waiting) = (entries, vec![room], vec![done]);
                    let mut bytes: usize = batch.iter().map(Entry::size).sum();
                    while bytes < BATCH {
                        match commands.try_recv() {
                            Ok(Command::Append { entries, room, done }) => {
                                bytes += entries.iter().map(Entry::size).sum::<usize>();
                                batch.extend(entries);
                                rooms.push(room);
                                waiting.push(done);
                            }
                            Ok(other) => {
                                held = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    let result = self.commit(&batch);
                    // Whoever hears that it is written may count on the room.
                    drop(rooms);
                    self.acknowledge(&result, waiting);
                }
            }
        }
        self.seal();
    }

    /// Writes a batch and synchronises it with the disk.
    fn commit(&mut self, batch: &[Entry]) -> Result<()> {
        self.buffer.clear();
        for (number, entry) in (self.next..).zip(batch) {
            entry.write(self.id, number, &mut self.buffer);
        }
        let size = self.buffer.len() as u64;
        let backlog = self.shared.backlog.load(Ordering::Relaxed);
        if self.shared.bytes.load(Ordering::Acquire) + size > backlog {
            return Err(
                Error::unavailable(doing(self.limits.what, &self.dir), "it holds as much as it may")
                    .hint("see why what is in it does not land in the lake"),
            );
        }
        if self
            .active
            .as_ref()
            .is_some_and(|active| active.bytes >= self.limits.segment)
        {
            self.seal();
        }
        if self.active.is_none() {
            self.active = Some(self.begin()?);
        }
        let written = match &mut self.active {
            Some(active) => active
                .file
                .write_all(&self.buffer)
                .and_then(|()| active.file.sync_data()),
            None => Ok(()),
        };
        if let Err(error) = written {
            // What the disk has of this batch nobody knows, so nothing is ever written behind it.
            self.seal();
            return Err(error).doing(|| doing(self.limits.what, &self.dir));
        }
        self.next += batch.len() as u64;
        if let Some(active) = &mut self.active {
            active.bytes += size;
        }
        self.shared.bytes.fetch_add(size, Ordering::AcqRel);
        self.shared.unsealed.fetch_add(batch.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    fn begin(&self) -> Result<Active> {
        let doing = || format!("beginning a segment in {}", self.dir.display());
        let header = Header {
            id: self.id,
            first: self.next,
        };
        let (path, file) = segment::create(&self.dir, header).doing(doing)?;
        self.shared.bytes.fetch_add(HEADER as u64, Ordering::AcqRel);
        Ok(Active {
            file,
            path,
            first: self.next,
            bytes: HEADER as u64,
        })
    }

    /// Ends the segment that is being written, if there is one; one without records leaves nothing.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else {
            return;
        };
        if active.first == self.next {
            // The next one has the same name: whether this one can be removed does not matter.
            let _ = std::fs::remove_file(&active.path);
            self.shared.bytes.fetch_sub(active.bytes, Ordering::AcqRel);
            return;
        }
        let mut sealed = self.shared.sealed();
        sealed.push_back(Segment {
            path: active.path,
            id: self.id,
            first: active.first,
            next: self.next,
            is_open: false,
            bytes: active.bytes,
        });
        self.shared.unsealed.store(0, Ordering::Release);
    }

    /// Tells everybody how it went. Whoever has gone away meanwhile is not missed.
    fn acknowledge(&self, result: &Result<()>, waiting: Waiters) {
        if let Err(error) = result {
            tracing::error!(%error, "what comes is refused");
        }
        for done in waiting {
            let _ = done.send(match result {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::unavailable(doing(self.limits.what, &self.dir), error.why())),
            });
        }
    }
}

/// What is being done when the disk fails.
pub(super) fn doing(what: &str, dir: &Path) -> String {
    format!("writing {what} in {}", dir.display())
}
