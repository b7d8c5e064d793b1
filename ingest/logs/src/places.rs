//! How far each log has been read, and which file is which log: rotation renames logs, copies them, compresses them.
//!
//! A log is known by its content: by its beginning, and by what is before the place that has been read to. Both have
//! to be there for a file to be the log, wherever it is and however it is called; no inode has to survive.

use std::io::{Read, Seek, SeekFrom};

use chrono::{DateTime, TimeDelta, Utc};
use cordada_core::{Context, Error, Result, hex};
use cordada_ingest_source::extract::State;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::format::Format;
use super::w3c::Header;

/// Bytes at the beginning, and before the place, that a log is known by. Enough to hold the first requests, and with
/// them their times, behind the longest of headers.
const PRINT: u64 = 4096;

/// How long a log is remembered that is not there: it may be on its way to another name.
const MEMORY: TimeDelta = TimeDelta::days(30);

/// A log and the place in it that has been read to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogPlace {
    /// Where the log was last.
    pub(crate) path: String,
    /// Bytes that have been taken, decompressed.
    pub(crate) offset: u64,
    /// Lines that have been taken.
    pub(crate) line: u64,
    /// A hash of the first bytes.
    head: String,
    /// A hash of the bytes before the place.
    tail: String,
    pub(crate) format: Format,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(crate) header: Header,
    /// Size and time of the file when it was read, by which it is known without being opened.
    pub(crate) state: String,
    /// Since when it has not been there. None of the times of a load while it is: what a load leaves depends on the
    /// logs alone, so that its chunks are known again whenever it is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<DateTime<Utc>>,
    /// Whether all of it has landed and is known by a transaction: it need not be remembered after this load.
    #[serde(skip)]
    pub(crate) done: bool,
}

fn is_empty(header: &Header) -> bool {
    *header == Header::default()
}

/// What a file is to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// Another log.
    Other,
    /// The log, as long as it was or longer.
    Same,
    /// The beginning of the log: a copy that is being made.
    Beginning,
    /// It begins like the log and goes on differently: somebody has changed it.
    Changed,
}

/// Where all logs of a stream are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LogPlaces {
    files: Vec<LogPlace>,
}

/// What has to be done with a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LogTask {
    /// It is a log that has not been seen.
    Begin,
    /// It is a log that has been read to here.
    Continue(LogPlace),
    /// It is a part of a log that has been read.
    Nothing,
}

/// The beginning of a file.
pub(crate) struct LogHead {
    bytes: Vec<u8>,
    size: u64,
}

impl LogHead {
    /// Reads it.
    pub(crate) fn read(file: &mut (impl Read + Seek), name: &str) -> Result<Self> {
        let doing = || format!("reading {name}");
        let size = file.seek(SeekFrom::End(0)).doing(doing)?;
        let bytes = read_range(file, 0, size.min(PRINT)).doing(doing)?;
        Ok(Self { bytes, size })
    }

    /// Whether the file still begins like this.
    ///
    /// # Errors
    /// Conflict if it does not: it was cut or written anew.
    pub(crate) fn check(&self, file: &mut (impl Read + Seek), offset: u64, name: &str) -> Result<()> {
        let doing = || format!("reading {name}");
        let size = file.seek(SeekFrom::End(0)).doing(doing)?;
        let bytes = read_range(file, 0, self.bytes.len() as u64).doing(doing)?;
        if size >= offset && bytes == self.bytes {
            return Ok(());
        }
        Err(Error::conflict(doing(), "the log was rotated meanwhile").hint("run again: nothing of it was landed"))
    }
}

impl LogPlace {
    /// A place at the beginning of a log.
    pub(crate) fn beginning(path: &str, format: Format, header: Header, state: &str) -> Self {
        Self {
            path: path.to_owned(),
            offset: 0,
            line: 0,
            head: String::new(),
            tail: String::new(),
            format,
            header,
            state: state.to_owned(),
            gone: None,
            done: false,
        }
    }

    /// The same place in a log that is elsewhere now.
    pub(crate) fn moved(mut self, path: &str, state: &str, format: Format) -> Self {
        (self.path, self.state) = (path.to_owned(), state.to_owned());
        (self.gone, self.format) = (None, format);
        self
    }

    /// The same place in a log that is still where `original` says.
    pub(crate) fn back_to(mut self, original: &LogPlace) -> Self {
        self.path.clone_from(&original.path);
        self.state.clone_from(&original.state);
        self.gone = original.gone;
        self
    }

    /// Takes down what the log is known by at its place.
    pub(crate) fn print(&mut self, file: &mut (impl Read + Seek), name: &str) -> Result<()> {
        let doing = || format!("reading {name}");
        let length = self.offset.min(PRINT);
        self.head = hash(&read_range(file, 0, length).doing(doing)?);
        self.tail = hash(&read_range(file, self.offset - length, length).doing(doing)?);
        Ok(())
    }

    fn likeness(&self, head: &LogHead, file: &mut (impl Read + Seek), name: &str) -> Result<Likeness> {
        let length = self.offset.min(PRINT);
        let beginning = usize::try_from(length).ok().and_then(|length| head.bytes.get(..length));
        if beginning.is_none_or(|beginning| hash(beginning) != self.head) {
            return Ok(Likeness::Other);
        }
        if head.size < self.offset {
            return Ok(Likeness::Beginning);
        }
        let before = read_range(file, self.offset - length, length).doing(|| format!("reading {name}"))?;
        Ok(if hash(&before) == self.tail {
            Likeness::Same
        } else {
            Likeness::Changed
        })
    }
}

impl LogPlaces {
    /// Those of a state; those of `listed` are there at `now`.
    ///
    /// # Errors
    /// A state that is none of ours.
    pub(crate) fn of_state(state: Option<&State>, listed: impl Fn(&str) -> bool, now: DateTime<Utc>) -> Result<Self> {
        let Some(state) = state else {
            return Ok(Self::default());
        };
        let mut places: LogPlaces = serde_json::from_value(state.clone())
            .map_err(|error| Error::failed("reading the state of the stream", error))?;
        for place in &mut places.files {
            place.gone = (!listed(&place.path)).then(|| place.gone.unwrap_or(now));
        }
        places
            .files
            .retain(|place| place.gone.is_none_or(|gone| now - gone < MEMORY));
        Ok(places)
    }

    /// What is to be remembered.
    ///
    /// # Errors
    /// None.
    pub(crate) fn state(&self) -> Result<State> {
        let files: Vec<_> = self.files.iter().filter(|place| !place.done).collect();
        serde_json::to_value(serde_json::json!({ "files": files }))
            .map_err(|error| Error::failed("writing the state of the stream", error))
    }

    /// Whether the file has been read to its end, told without opening it.
    pub(crate) fn is_read(&self, path: &str, state: &str, size: u64) -> bool {
        let same = |place: &&LogPlace| place.path == path && place.state == state && place.offset == size;
        self.files.iter().any(|place| same(&place))
    }

    /// What has to be done with a file.
    ///
    /// Two files can be one log: a copy and what it was made of. Whichever is read goes on from where the log has
    /// been read to, so that no line is taken twice.
    ///
    /// # Errors
    /// Config for a log that was changed where it had been read.
    pub(crate) fn task(&self, path: &str, head: &LogHead, file: &mut (impl Read + Seek)) -> Result<LogTask> {
        let mut places: Vec<&LogPlace> = self.files.iter().collect();
        places.sort_by_key(|place| (place.path != path, std::cmp::Reverse(place.offset)));
        for place in places {
            match place.likeness(head, file, path)? {
                Likeness::Other => {}
                Likeness::Same => return Ok(LogTask::Continue(place.clone())),
                Likeness::Beginning => return Ok(LogTask::Nothing),
                Likeness::Changed if place.path == path => {
                    let why = "it was changed before the place that it had been read to";
                    return Err(Error::config(format!("reading {path}"), why)
                        .hint("logs may only grow; move it out of `path:` if all of it has landed"));
                }
                Likeness::Changed => {}
            }
        }
        Ok(LogTask::Begin)
    }

    /// Replaces what was known of a log (its place `before`) by where it is now.
    pub(crate) fn update(&mut self, before: Option<&LogPlace>, now: LogPlace) {
        match before.and_then(|before| self.files.iter().position(|place| place == before)) {
            Some(at) => self.files[at] = now,
            None => self.files.push(now),
        }
    }
}

fn read_range(file: &mut (impl Read + Seek), start: u64, length: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first 16 bytes of a hash: logs do not meet by chance in so many.
fn hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}
