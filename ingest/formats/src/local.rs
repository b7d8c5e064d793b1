//! A file on a local disk, which must not change while it is read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cordada_core::scratch::ScratchFile;
use cordada_core::threads::in_order;
use cordada_core::{Context, Error, Result};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// Bytes hashed at a time.
const BLOCK: u64 = 1 << 20;

/// A file on a local disk.
#[derive(Debug)]
pub struct Local {
    place: Place,
    /// What it is called in messages and in `_origin`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written last.
    pub modified: Option<SystemTime>,
}

/// Where a file is.
#[derive(Debug)]
enum Place {
    Path(PathBuf),
    Scratch(ScratchFile),
}

impl Local {
    /// A file that is there, of a size and a time of its last change that were looked up before.
    pub fn found(path: &Path, name: &str, bytes: u64, modified: Option<SystemTime>) -> Local {
        Local {
            place: Place::Path(path.to_owned()),
            name: name.to_owned(),
            bytes,
            modified,
        }
    }

    /// A file of ours, which is gone when it is no longer used.
    pub fn temporary(file: ScratchFile, name: &str) -> Result<Local> {
        let metadata = file.file().metadata().doing(|| format!("reading {name}"))?;
        let (bytes, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Local {
            place: Place::Scratch(file),
            name: name.to_owned(),
            bytes,
            modified,
        })
    }

    /// A file of ours with that content.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn holding(content: &[u8], name: &str) -> Result<Local> {
        use std::io::Write;

        let file = ScratchFile::new().doing(|| format!("writing {name}"))?;
        file.file().write_all(content).doing(|| format!("writing {name}"))?;
        Local::temporary(file, name)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// Conflict if it is not what it was when it was found.
    pub fn open(&self) -> Result<File> {
        let doing = || format!("reading {}", self.name);
        let file = match &self.place {
            Place::Path(path) => File::open(path),
            Place::Scratch(file) => file.open(),
        };
        let file = file.doing(doing)?;
        let metadata = file.metadata().doing(doing)?;
        if metadata.len() == self.bytes && metadata.modified().ok() == self.modified {
            return Ok(file);
        }
        Err(Error::conflict(doing(), "the file changed meanwhile").hint("run again when whoever writes it is done"))
    }
}

impl Local {
    /// Its first bytes, `most` of them at most.
    ///
    /// # Errors
    /// As [`Local::open`].
    pub fn head(&self, most: usize) -> Result<Vec<u8>> {
        let mut head = Vec::with_capacity(most);
        let read = self.open()?.take(most as u64).read_to_end(&mut head);
        read.doing(|| format!("reading {}", self.name))?;
        Ok(head)
    }
}

/// A hash of a file's content: SHA-256 over the SHA-256 of each of its blocks, which can be had in parallel.
pub fn hash_file(file: &Local, workers: usize, cancel: &CancellationToken) -> Result<Vec<u8>> {
    hash_beginning(file, file.bytes, workers, cancel)
}

/// The hash that the file had when it had so many bytes, if it has only grown since.
pub fn hash_beginning(file: &Local, bytes: u64, workers: usize, cancel: &CancellationToken) -> Result<Vec<u8>> {
    let doing = || format!("reading {}", file.name);
    let blocks = usize::try_from(bytes.div_ceil(BLOCK)).unwrap_or(usize::MAX);
    let hash_block = |block: usize| {
        let mut file = file.open()?;
        let start = block as u64 * BLOCK;
        file.seek(SeekFrom::Start(start)).doing(doing)?;
        let mut data = Vec::with_capacity(BLOCK as usize);
        file.take(BLOCK.min(bytes - start))
            .read_to_end(&mut data)
            .doing(doing)?;
        Ok(Sha256::digest(&data))
    };
    let mut whole = Sha256::new();
    in_order(blocks, workers, cancel, hash_block, |_, hash| {
        whole.update(hash);
        Ok(())
    })?;
    Ok(whole.finalize().to_vec())
}

/// The same of a content that is no longer than one block.
pub fn hash_of_one_block(content: &[u8]) -> Vec<u8> {
    match content {
        [] => Sha256::digest([]).to_vec(),
        content => Sha256::digest(Sha256::digest(content)).to_vec(),
    }
}

/// How many lines end within the first `bytes` of a file, if the last of them ends there: with a line feed, which may
/// be the next byte. `None` if the file goes on in the middle of a line, or of a field in quotes, as an odd number of
/// `quote` says.
pub fn whole_lines(file: &Local, bytes: u64, quote: Option<u8>) -> Result<Option<u64>> {
    let doing = || format!("reading {}", file.name);
    let mut beginning = BufReader::with_capacity(BLOCK as usize, file.open()?);
    let (mut lines, mut quotes, mut left, mut last) = (0, 0, bytes, None);
    while left > 0 {
        let read = beginning.fill_buf().doing(doing)?;
        let read = &read[..read.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        let Some(byte) = read.last() else {
            return Ok(None);
        };
        last = Some(*byte);
        lines += memchr::memchr_iter(b'\n', read).count() as u64;
        quotes += quote.map_or(0, |quote| memchr::memchr_iter(quote, read).count());
        let read = read.len();
        beginning.consume(read);
        left -= read as u64;
    }
    if quotes % 2 == 1 {
        return Ok(None);
    }
    if last == Some(b'\n') {
        return Ok(Some(lines));
    }
    let mut next = [0; 2];
    let read = beginning.read(&mut next).doing(doing)?;
    let ends = next[..read].starts_with(b"\n") || next[..read] == *b"\r\n";
    Ok((ends && lines > 0).then_some(lines + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_grown_has_the_hash_that_it_had() {
        let cancel = CancellationToken::new();
        let content = vec![b'x'; 3 * BLOCK as usize];
        for length in [0, 1, BLOCK as usize, 2 * BLOCK as usize + 7] {
            let before = Local::holding(&content[..length], "x").unwrap();
            let after = Local::holding(&content, "x").unwrap();
            let now = hash_beginning(&after, length as u64, 2, &cancel).unwrap();
            assert_eq!(hash_file(&before, 1, &cancel).unwrap(), now, "{length}");
            if length <= BLOCK as usize {
                assert_eq!(hash_of_one_block(&content[..length]), now, "{length}");
            }
        }
    }

    #[test]
    fn lines_are_whole_if_they_end() {
        for (content, bytes, lines) in [
            ("a\nb\nc\n", 4, Some(2)),
            ("a\nb\nc\n", 3, Some(2)),
            ("a\r\nb\r\nc", 4, Some(2)),
            ("a\nbb\n", 3, None),
            ("a", 1, None),
            ("a\n\"b\"\n\"c\nd\"\n", 6, Some(2)),
            ("a\n\"b\"\n\"c\nd\"\n", 9, None),
            ("a\n\"b\"\n\"c\nd\"\n", 8, None),
        ] {
            let file = Local::holding(content.as_bytes(), "x").unwrap();
            assert_eq!(
                whole_lines(&file, bytes, Some(b'"')).unwrap(),
                lines,
                "{content:?} {bytes}"
            );
        }
    }
}
