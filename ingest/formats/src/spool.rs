//! A temporary file of JSON records: what a source yields without types waits here until all of it has been seen.
//!
//! What the records look like is noted while they are written, beside it on a thread, so that nothing has to be read
//! again to know their types.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use cordada_core::scratch::ScratchFile;
use cordada_core::{Context, Error, Result};

use crate::json::{self, Json, newlines};
use crate::local::Local;
use crate::piece::Piece;
use crate::reading::Reading;
use crate::rejected::Rejected;
use crate::scanned::{self, ScannedFile};
use crate::shape::{Object, Shape};

/// Bytes written, looked at and later read at a time.
const BLOCK: usize = 1 << 20;

/// Blocks that wait to be looked at.
const WAITING: usize = 2;

/// Records on their way: one JSON object a line, in a file that is gone when it is no longer used.
pub struct Spool {
    name: String,
    reading: Reading,
    json: Arc<Json>,
    file: ScratchFile,
    /// Lines that are not in the file yet.
    block: Vec<u8>,
    survey: Option<Surveyor>,
    /// Lines of the source before the first of its own.
    before: u64,
    rows: u64,
    bytes: u64,
    rejected: Vec<Rejected>,
}

/// What is known of the records that were looked at.
struct Survey {
    shape: Shape,
    pieces: Vec<Piece>,
    /// Their bytes and lines.
    bytes: u64,
    lines: u64,
}

/// A thread that looks at blocks while others are filled.
struct Surveyor {
    blocks: SyncSender<Vec<u8>>,
    thread: JoinHandle<Survey>,
}

impl Spool {
    /// An empty one, for records that are read as `reading` says; `name` is what `_origin` calls it, before the number
    /// of the record.
    ///
    /// # Errors
    /// A temporary folder that cannot be written.
    pub fn new(name: &str, reading: &Reading) -> Result<Self> {
        let doing = || format!("creating a temporary file in {}", ScratchFile::folder().display());
        Ok(Self {
            name: name.to_owned(),
            reading: reading.clone(),
            json: Arc::new(Json::lines(reading)),
            file: ScratchFile::new().doing(doing)?,
            block: Vec::new(),
            survey: None,
            before: 0,
            rows: 0,
            bytes: 0,
            rejected: Vec::new(),
        })
    }

    /// The same, for lines of a source of which `before` have been read: `_origin` goes on after them. What is a line
    /// of the source and no record has to be told with [`Spool::pass`].
    ///
    /// # Errors
    /// A temporary folder that cannot be written.
    pub fn of_lines(name: &str, reading: &Reading, before: u64) -> Result<Self> {
        Ok(Self {
            before,
            ..Self::new(name, reading)?
        })
    }

    /// Passes over a line of the source that is not a record.
    ///
    /// # Errors
    /// A full disk.
    pub fn pass(&mut self) -> Result<()> {
        self.bytes += 1;
        self.block.push(b'\n');
        self.write_if_full()
    }

    /// Adds a record: the text of one JSON object. Line breaks between its tokens become spaces.
    ///
    /// # Errors
    /// A full disk.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        // Within strings JSON has no line breaks.
        let mut rest = record;
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            self.block.extend_from_slice(&rest[..at]);
            self.block.push(b' ');
            rest = &rest[at + 1..];
        }
        self.block.extend_from_slice(rest);
        self.block.push(b'\n');
        self.rows += 1;
        self.bytes += record.len() as u64 + 1;
        self.write_if_full()
    }

    /// Takes down a record that cannot land, with its number in the source and the reason.
    pub fn reject(&mut self, line: u64, reason: String, record: String) {
        self.rejected.push(Rejected { line, reason, record });
    }

    /// Records so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether there is nothing in it, not even a record that was rejected.
    pub fn is_empty(&self) -> bool {
        self.rows == 0 && self.rejected.is_empty()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its records, one a line.
    ///
    /// # Errors
    /// A full disk.
    pub fn text(mut self) -> Result<String> {
        self.write()?;
        let text = self.file.open().and_then(std::io::read_to_string);
        text.doing(|| format!("reading from {}", ScratchFile::folder().display()))
    }

    /// Its records with their types, and those that were rejected before.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(mut self) -> Result<(ScannedFile, Vec<Rejected>)> {
        self.write()?;
        let last = std::mem::take(&mut self.block);
        let mut survey = match self.survey {
            Some(surveyor) => surveyor.finish()?,
            None => Survey::after(self.before),
        };
        survey.add(&self.json, &last);
        let local = Local::temporary(self.file, &self.name)?;
        let plan = |originals| Ok(scanned::plan(originals, &self.reading.declared));
        let scanned = json::scanned(survey.shape, survey.pieces, plan)?;
        let json = Arc::unwrap_or_clone(self.json);
        Ok((ScannedFile::of_records(local, json, scanned), self.rejected))
    }

    /// Writes the block, and lets it be looked at, once it is large enough.
    fn write_if_full(&mut self) -> Result<()> {
        if self.block.len() < BLOCK {
            return Ok(());
        }
        self.write()?;
        let surveyor = match &mut self.survey {
            Some(surveyor) => surveyor,
            none => none.insert(Surveyor::start(self.json.clone(), Survey::after(self.before))?),
        };
        surveyor.take(std::mem::take(&mut self.block))
    }

    fn write(&mut self) -> Result<()> {
        let doing = || format!("writing into {}", ScratchFile::folder().display());
        self.file.file().write_all(&self.block).doing(doing)
    }
}

impl Survey {
    fn after(lines: u64) -> Self {
        Self {
            shape: Shape::Object(Object::default()),
            pieces: Vec::new(),
            bytes: 0,
            lines,
        }
    }

    fn add(&mut self, json: &Json, block: &[u8]) {
        let (mut piece, shape) = json.survey(block, self.bytes);
        piece.first = self.lines + 1;
        self.shape.merge(shape);
        self.pieces.push(piece);
        self.bytes += block.len() as u64;
        self.lines += newlines(block);
    }
}

impl Surveyor {
    fn start(json: Arc<Json>, mut survey: Survey) -> Result<Self> {
        let (blocks, waiting) = sync_channel::<Vec<u8>>(WAITING);
        let work = move || {
            for block in waiting {
                survey.add(&json, &block);
            }
            survey
        };
        let thread = std::thread::Builder::new().name("survey".to_owned()).spawn(work);
        let thread = thread.doing(|| "starting a thread".to_owned())?;
        Ok(Self { blocks, thread })
    }

    fn take(&self, block: Vec<u8>) -> Result<()> {
        self.blocks.send(block).map_err(|_| broken())
    }

    fn finish(self) -> Result<Survey> {
        drop(self.blocks);
        self.thread.join().map_err(|_| broken())
    }
}

/// The thread ends before its time only if it panics.
fn broken() -> Error {
    Error::panicked("looking at the records")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cordada_core::Result;

    use super::*;
    use crate::reading::Declared;

    fn spool(before: u64) -> Spool {
        Spool::of_lines("web", &Reading::of_records(Declared::new(), chrono_tz::UTC), before).unwrap()
    }

    fn lines(file: &ScannedFile) -> Vec<u64> {
        let types = file.scanned.shapes.iter().map(|shape| shape.data_type(None));
        let types: Vec<_> = types.collect::<Result<_>>().unwrap();
        let mut lines = Vec::new();
        for piece in &file.scanned.pieces {
            file.decode(piece, &types, &mut |decoded| {
                lines.extend(decoded.lines);
                Ok(())
            })
            .unwrap();
        }
        lines
    }

    #[test]
    fn many_blocks_are_as_one() {
        let mut spool = spool(10);
        let long = "x".repeat(BLOCK / 3);
        for id in 0..10 {
            spool
                .push(format!("{{\"id\": {id},\r\n \"text\": \"{long}\"}}").as_bytes())
                .unwrap();
            spool.pass().unwrap();
        }
        spool.push(br#"{"id": 1.5}"#).unwrap();
        let (file, rejected) = spool.finish().unwrap();
        assert!(rejected.is_empty());
        assert!(file.scanned.pieces.len() > 3);
        assert_eq!(file.scanned.plan.names, ["id", "text"]);
        assert!(
            file.scanned.shapes[0].data_type(None).unwrap().is_decimal()
                || file.scanned.shapes[0].data_type(None).unwrap().is_floating()
        );
        let expected: Vec<u64> = (0..10).map(|row| 11 + 2 * row).chain([31]).collect();
        assert_eq!(lines(&file), expected);
    }

    #[test]
    fn one_that_is_empty_has_no_columns() {
        let (file, _) = spool(0).finish().unwrap();
        assert!(file.scanned.plan.names.is_empty());
        assert!(lines(&file).is_empty());
    }
}
