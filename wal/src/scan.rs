//! What a segment holds: its records, and between them what is damaged.
//!
//! Behind damage the next whole record is searched for, so that only what is damaged is lost, and all of it is told. The
//! exception is a record within which a file ends that was being written to: it was not acknowledged.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use cordada_core::{Context, Result};

use super::former;
use super::frame::{self, Entry, Frame};
use super::segment::{self, Format, HEADER, Header};
use super::window::Window;

/// What comes next in a segment.
pub enum Found {
    /// A whole record, with its number.
    Record(u64, Entry),
    /// Something else.
    Damage(Damage),
}

/// Bytes that are not what was written.
pub struct Damage {
    /// Where in the file; none if the file only lacks some.
    pub bytes: Range<u64>,
    /// The records that are lost with them.
    pub numbers: Range<u64>,
    /// Whether more may have been there: nothing tells where the log ended.
    pub is_open: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.bytes;
        let lost = self.numbers.end - self.numbers.start;
        if lost > 0 {
            let records = match (lost, self.is_open) {
                (_, true) => "or more records",
                (1, false) => "record",
                _ => "records",
            };
            write!(f, "{lost} {records} cannot be read: ")?;
        }
        match start == end {
            true => write!(f, "the log ends or goes on without them at byte {start}"),
            false => write!(f, "bytes {start} to {end} of the log are damaged"),
        }
    }
}

/// Reads a segment from its beginning to its end.
pub struct Scan {
    file: Window,
    path: PathBuf,
    format: Format,
    header: Header,
    at: u64,
    /// The number of the next record.
    next: u64,
    /// The number after the last one; `None` if nobody knows.
    end: Option<u64>,
    /// Whether `end` is only that of what has been found.
    is_open: bool,
    /// What is damaged, up to where it has been looked at.
    bad: Option<Bad>,
}

/// Where damage begins, and the number after the last record that is known to be in it.
struct Bad {
    from: u64,
    next: u64,
}

impl Scan {
    /// The scan of a segment that ends wherever it does; `None` if neither its header nor its name says what it is.
    ///
    /// # Errors
    /// Unavailable: a disk that cannot be read.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading {}", path.display());
        let mut file = Window::open(path).doing(doing)?;
        let bytes = file.bytes(0, HEADER).doing(doing)?;
        let (format, header) = match (segment::header(bytes), segment::header_of_name(path)) {
            (Some((format, header)), _) => (format, Some((header, None))),
            (None, Some(header)) => {
                let bad = Bad {
                    from: 0,
                    next: header.first,
                };
                (Format::of(bytes), Some((header, Some(bad))))
            }
            (None, None) => (Format::Current, None),
        };
        Ok(header.map(|(header, bad)| Self {
            at: file.len().min(HEADER as u64),
            file,
            path: path.to_owned(),
            format,
            header,
            next: header.first,
            end: None,
            is_open: true,
            bad,
        }))
    }

    /// The scan of one whose last record has the number before `end`; `is_open` says that it is only the last that was
    /// found.
    pub(super) fn until(self, end: u64, is_open: bool) -> Self {
        Self {
            end: Some(end),
            is_open,
            ..self
        }
    }

    /// What its header or its name says.
    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// The next record or damage; `None` at the end.
    ///
    /// # Errors
    /// Unavailable: a disk that cannot be read.
    pub fn advance(&mut self) -> Result<Option<Found>> {
        self.found().doing(|| format!("reading {}", self.path.display()))
    }

    fn found(&mut self) -> std::io::Result<Option<Found>> {
        while self.at < self.file.len() && self.end.is_none_or(|end| self.next < end) {
            match self.frame()? {
                Frame::Whole { number, entry, bytes } if self.expects(number) => {
                    if self.bad.is_some() || number > self.next {
                        return Ok(Some(self.damage(number)));
                    }
                    self.at += bytes;
                    self.next = number + 1;
                    return Ok(Some(Found::Record(number, entry)));
                }
                Frame::Broken { number, bytes } if self.expects(number) => {
                    self.spoil(number + 1);
                    self.at += bytes;
                }
                // Torn when it was written: it was not acknowledged.
                Frame::Cut if self.bad.is_none() && self.end.is_none() => return Ok(None),
                _ => {
                    self.spoil(self.next);
                    self.at = match self.format {
                        Format::Current => self.file.find(&frame::MARK, self.at + 1)?,
                        Format::Former => self.file.len(),
                    };
                }
            }
        }
        let end = match (&self.bad, self.end) {
            (Some(_), Some(end)) => end,
            // What is damaged at the end was a record, unless it is known for something else.
            (Some(bad), None) => bad.next.max(self.next + 1),
            (None, Some(end)) if self.next < end => end,
            (None, _) => return Ok(None),
        };
        Ok(Some(self.damage(end)))
    }

    fn frame(&mut self) -> std::io::Result<Frame> {
        match self.format {
            Format::Current => frame::read(&mut self.file, self.at, self.header.id),
            Format::Former => {
                let number = self.bad.as_ref().map_or(self.next, |bad| bad.next);
                former::read(&mut self.file, self.at, number)
            }
        }
    }

    fn expects(&self, number: u64) -> bool {
        number >= self.next && self.end.is_none_or(|end| number < end)
    }

    /// Takes what is here for damaged, with the records before `next`.
    fn spoil(&mut self, next: u64) {
        let bad = self.bad.get_or_insert(Bad { from: self.at, next });
        bad.next = bad.next.max(next);
    }

    /// The damage before what is here, which is record `number` or the end.
    fn damage(&mut self, number: u64) -> Found {
        let from = self.bad.take().map_or(self.at, |bad| bad.from);
        let numbers = self.next..number;
        self.next = number;
        Found::Damage(Damage {
            bytes: from..self.at,
            numbers,
            is_open: self.is_open && self.at == self.file.len(),
        })
    }
}
