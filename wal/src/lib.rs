//! A write-ahead log: what comes is acknowledged when it is here, synchronised with the disk, and it stays until it is in
//! the lake. Why and how: `docs/adr/0008-events-write-ahead.md`.
//!
//! The log is a folder of segments. Each process that writes to it gives its records an identifier of its own and
//! numbers them from 0, so that nothing of what an earlier one left is ever written to again. One thread writes: it
//! takes whatever has arrived, writes it at once, synchronises once, and acknowledges all of it.

mod former;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used)]
pub mod fuzzing;
mod recover;
mod scan;
mod segment;
mod window;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;

use cordada_core::threads::locked;
use cordada_core::{Context, Error, Result, private};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, mpsc, oneshot};
use uuid::Uuid;

pub use self::frame::Entry;
pub use self::scan::{Damage, Found, Scan};
pub use self::segment::Segment;
use self::writer::Writer;

/// The file that only one process at a time has locked.
const LOCK: &str = "lock";

/// What a log is, and how much it may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What it is, for errors: `the log of events`.
    pub what: &'static str,
    /// Bytes of a segment, after which the next one begins.
    pub segment: u64,
    /// Bytes of all segments; beyond that nothing is accepted.
    pub backlog: u64,
}

/// Logs that are open: whoever writes one and whoever lands it share it.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<BTreeMap<PathBuf, Weak<Log>>>>);

/// An open log. There is one a folder, whatever the number of processes and others that want it.
pub struct Log {
    what: &'static str,
    dir: PathBuf,
    /// The list that it is in.
    open: Arc<Mutex<BTreeMap<PathBuf, Weak<Log>>>>,
    shared: Arc<SharedLog>,
    queue: Option<mpsc::UnboundedSender<Command>>,
    writer: Option<JoinHandle<()>>,
    reading: Arc<tokio::sync::Mutex<()>>,
    lock: File,
}

/// What the writer and those who land share.
#[derive(Default)]
struct SharedLog {
    /// Segments that are complete and not in the lake yet, in their order.
    sealed: Mutex<VecDeque<Segment>>,
    /// Bytes of all segments.
    bytes: AtomicU64,
    /// Records in the segment that is being written.
    unsealed: AtomicU64,
    /// Bytes of all segments beyond which nothing is accepted.
    backlog: AtomicU64,
}

impl SharedLog {
    fn sealed(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        locked(&self.sealed)
    }
}

enum Command {
    Append {
        entries: Vec<Entry>,
        /// The part of the queue that they take up, given back when they are written.
        room: Option<OwnedSemaphorePermit>,
        done: oneshot::Sender<Result<()>>,
    },
    Seal(oneshot::Sender<()>),
}

impl Logs {
    /// The log in a folder, which is made if it is not there; `None` if somebody else has it: another process, or others
    /// in this one.
    ///
    /// # Errors
    /// Unavailable: a disk that cannot be read or written.
    pub fn open(&self, dir: &Path, limits: Limits) -> Result<Option<Arc<Log>>> {
        let doing = || format!("opening {} in {}", limits.what, dir.display());
        private::folder(dir).doing(doing)?;
        let dir = dir.canonicalize().doing(doing)?;
        let mut open = locked(&self.0);
        if let Some(log) = open.get(&dir).and_then(Weak::upgrade) {
            return Ok(Some(log));
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK))
            .doing(doing)?;
        match lock.try_lock() {
            Ok(()) => {}
            // It is being closed on another thread, which is a matter of what is in the queue.
            Err(TryLockError::WouldBlock) if open.contains_key(&dir) => lock.lock().doing(doing)?,
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).doing(doing),
        }
        let segments = recover::segments(&dir)?;
        let shared = Arc::new(SharedLog {
            bytes: segments.iter().map(|segment| segment.bytes).sum::<u64>().into(),
            sealed: Mutex::new(segments.into()),
            unsealed: AtomicU64::new(0),
            backlog: limits.backlog.into(),
        });
        let (queue, commands) = mpsc::unbounded_channel();
        let writer = Writer::new(dir.clone(), Uuid::now_v7(), limits, shared.clone());
        let writer = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run(commands))
            .doing(doing)?;
        let log = Arc::new(Log {
            what: limits.what,
            dir: dir.clone(),
            open: self.0.clone(),
            shared,
            queue: Some(queue),
            writer: Some(writer),
            reading: Arc::default(),
            lock,
        });
        open.insert(dir, Arc::downgrade(&log));
        Ok(Some(log))
    }
}

impl Log {
    /// Writes the entries and returns when the disk has them. They stay together and in order.
    ///
    /// # Errors
    /// Unavailable: the disk is full or broken, or the log holds as much as it may. The entries are not in it then, or
    /// nobody knows; whoever sent them should send them again.
    pub async fn append(&self, entries: Vec<Entry>, room: Option<OwnedSemaphorePermit>) -> Result<()> {
        self.hand_over(entries, room).await
    }

    /// Has the entries written behind what was handed over before; what is given is done when the disk has them, and need
    /// not be waited for.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn hand_over(
        &self,
        entries: Vec<Entry>,
        room: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let (done, written) = oneshot::channel();
        let sent = self.send(Command::Append { entries, room, done });
        let stopped = self.stopped();
        async move {
            sent?;
            written.await.map_err(|_| stopped)?
        }
    }

    /// Ends the segment that is being written, so that what is in it can land.
    ///
    /// # Errors
    /// Failed when the writer is gone.
    pub async fn seal(&self) -> Result<()> {
        let (done, sealed) = oneshot::channel();
        self.send(Command::Seal(done))?;
        sealed.await.map_err(|_| self.stopped())
    }

    /// The right to land what is in the log, which one at a time has; `None` if somebody else has it.
    pub fn try_read(&self) -> Option<OwnedMutexGuard<()>> {
        self.reading.clone().try_lock_owned().ok()
    }

    /// The complete segments, oldest first.
    pub fn sealed(&self) -> Vec<Segment> {
        self.shared.sealed().iter().cloned().collect()
    }

    /// Whether anything waits to land.
    pub fn has_pending(&self) -> bool {
        self.shared.unsealed.load(Ordering::Acquire) > 0 || !self.shared.sealed().is_empty()
    }

    /// Forgets a segment that has landed. One that is damaged is kept, where [`Segment::aside`] says.
    ///
    /// # Errors
    /// Unavailable: a disk that cannot be written.
    pub fn remove(&self, segment: &Segment, damaged: bool) -> Result<()> {
        let doing = || format!("removing {}", segment.path.display());
        match damaged {
            true => recover::put_aside(&segment.path)?,
            false => std::fs::remove_file(&segment.path).doing(doing)?,
        }
        self.shared.sealed().retain(|other| other.path != segment.path);
        self.shared.bytes.fetch_sub(segment.bytes, Ordering::AcqRel);
        Ok(())
    }

    fn send(&self, command: Command) -> Result<()> {
        let sent = self.queue.as_ref().map(|queue| queue.send(command));
        sent.and_then(std::result::Result::ok).ok_or_else(|| self.stopped())
    }

    fn stopped(&self) -> Error {
        Error::failed(writer::doing(self.what, &self.dir), "its writer has ended")
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // It ends when it has written what is in the queue; a panic of its own it has reported.
            let _ = writer.join();
        }
        // First the lock, for which somebody may wait who holds the list.
        let _ = self.lock.unlock();
        let mut open = locked(&self.open);
        open.retain(|_, log| log.strong_count() > 0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
