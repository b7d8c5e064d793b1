//! A temporary file of JSON records: what a source yields without types waits here until all of it has been seen.

use std::io::{BufWriter, Write};

use crate::reading::Reading;
use cordada_core::{Context, Result};
use tempfile::{NamedTempFile, TempPath};
use tokio_util::sync::CancellationToken;

use crate::local::Local;
use crate::rejected::Rejected;
use crate::scanned::ScannedFile;

/// Bytes written at a time.
const BUFFER: usize = 256 * 1024;

/// Records on their way: one JSON object a line, in a file that is removed when it is no longer used.
pub struct Spool {
    name: String,
    file: BufWriter<std::fs::File>,
    path: TempPath,
    /// Lines of the source before the first of its own.
    before: u64,
    rows: u64,
    bytes: u64,
    rejected: Vec<Rejected>,
}

impl Spool {
    /// An empty one; `name` is what `_origin` calls it, before the number of the record.
    ///
    /// # Errors
    /// A temporary folder that cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let doing = || format!("creating a temporary file in {}", std::env::temp_dir().display());
        let (file, path) = NamedTempFile::new().doing(doing)?.into_parts();
        Ok(Self {
            name: name.to_owned(),
            file: BufWriter::with_capacity(BUFFER, file),
            path,
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
    pub fn of_lines(name: &str, before: u64) -> Result<Self> {
        Ok(Self {
            before,
            ..Self::new(name)?
        })
    }

    /// Passes over a line of the source that is not a record.
    ///
    /// # Errors
    /// A full disk.
    pub fn pass(&mut self) -> Result<()> {
        self.bytes += 1;
        self.file
            .write_all(b"\n")
            .doing(|| format!("writing into {}", std::env::temp_dir().display()))
    }

    /// Adds a record: the text of one JSON object. Line breaks between its tokens become spaces.
    ///
    /// # Errors
    /// A full disk.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        let doing = || format!("writing into {}", std::env::temp_dir().display());
        // Within strings JSON has no line breaks.
        let mut rest = record;
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            self.file.write_all(&rest[..at]).doing(doing)?;
            self.file.write_all(b" ").doing(doing)?;
            rest = &rest[at + 1..];
        }
        self.file.write_all(rest).doing(doing)?;
        self.file.write_all(b"\n").doing(doing)?;
        self.rows += 1;
        self.bytes += record.len() as u64 + 1;
        Ok(())
    }

    /// Takes down a record that cannot land, with its number in the source and the reason.
    pub fn reject(&mut self, line: u64, reason: String, record: String) {
        self.rejected.push(Rejected { line, reason, record });
    }

    /// Records so far.
    pub fn rows(&self) -> u64 {
        self.rows
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
        let doing = || format!("reading from {}", std::env::temp_dir().display());
        self.file.flush().doing(doing)?;
        std::fs::read_to_string(&self.path).doing(doing)
    }

    /// Its records with their types, which are read once on `workers` threads as `reading` says, and those that were
    /// rejected before.
    ///
    /// # Errors
    /// A full disk; those of [`ScannedFile::scan`].
    pub fn scan(
        self,
        reading: &Reading,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<(ScannedFile, Vec<Rejected>)> {
        let doing = || format!("writing into {}", std::env::temp_dir().display());
        self.file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .doing(doing)?;
        let local = Local::temporary(self.path, &self.name)?;
        let mut scanned = ScannedFile::scan(local, reading, workers, cancel)?;
        for piece in &mut scanned.scanned.pieces {
            piece.first += self.before;
        }
        Ok((scanned, self.rejected))
    }
}
