//! A file that is looked at from any byte on, and read in large pieces.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// An open file, as long as it was when it was opened.
pub(super) struct Window {
    file: File,
    len: u64,
    /// Where in the file `bytes` begin.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            len: file.metadata()?.len(),
            file,
            start: 0,
            bytes: Vec::new(),
        })
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from there on: as many as are wanted, or as there are.
    pub(super) fn bytes(&mut self, at: u64, wanted: usize) -> std::io::Result<&[u8]> {
        let at = at.min(self.len);
        let end = at.saturating_add(wanted as u64).min(self.len);
        if at < self.start || end > self.start + self.bytes.len() as u64 {
            self.bytes.clear();
            self.start = at;
            self.file.seek(SeekFrom::Start(at))?;
            let piece = (end - at).max(BUFFER as u64);
            self.file.by_ref().take(piece).read_to_end(&mut self.bytes)?;
        }
        let bytes = self.bytes.get((at - self.start) as usize..).unwrap_or_default();
        Ok(&bytes[..wanted.min(bytes.len())])
    }

    /// Where the mark is next, from there on; the end if it is nowhere.
    pub(super) fn find(&mut self, mark: &[u8], from: u64) -> std::io::Result<u64> {
        let mut at = from;
        while at < self.len {
            let bytes = self.bytes(at, BUFFER)?;
            if let Some(found) = bytes.windows(mark.len()).position(|window| window == mark) {
                return Ok(at + found as u64);
            }
            // It may begin in this piece and end in the next one.
            at += bytes.len().saturating_sub(mark.len() - 1).max(1) as u64;
        }
        Ok(self.len)
    }
}
