//! A segment: a file of records that follow each other, behind a header that says whose they are.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cordada_core::{Context, Result};
use uuid::Uuid;

use super::frame::{self, Entry};

/// What every segment begins with: the format and its version.
const MAGIC: [u8; 8] = *b"cordada1";

/// Bytes of a header: magic, identifier, number of the first record, checksum.
pub(super) const HEADER: usize = 8 + 16 + 8 + 4;

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// How the names of segments end.
pub(super) const EXTENSION: &str = "log";

/// A complete segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// Of the process that wrote it.
    pub(crate) id: Uuid,
    /// The number of its first record.
    pub(crate) first: u64,
    /// The number after its last record's.
    pub(crate) next: u64,
    pub(crate) bytes: u64,
}

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: Uuid,
    pub(super) first: u64,
}

/// Reads the records of a segment, in their order.
pub(crate) struct Records {
    input: BufReader<File>,
    path: PathBuf,
    next: u64,
    end: u64,
}

impl Segment {
    /// Its records; fewer than it should have if it is damaged.
    ///
    /// # Errors
    /// Unavailable: a disk that cannot be read.
    pub(crate) fn records(&self) -> Result<Records> {
        let doing = || format!("reading {}", self.path.display());
        let mut file = File::open(&self.path).doing(doing)?;
        file.seek(SeekFrom::Start(HEADER as u64)).doing(doing)?;
        Ok(Records {
            input: BufReader::with_capacity(BUFFER, file),
            path: self.path.clone(),
            next: self.first,
            end: self.next,
        })
    }

    /// Its name, which tells it from all others.
    pub(crate) fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Records {
    /// The next record with its number; `None` at the end of those that are whole.
    ///
    /// # Errors
    /// Unavailable: a disk that cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Entry)>> {
        if self.next >= self.end {
            return Ok(None);
        }
        let number = self.next;
        let entry = Entry::read(&mut self.input, number).doing(|| format!("reading {}", self.path.display()))?;
        self.next += u64::from(entry.is_some());
        Ok(entry.map(|entry| (number, entry)))
    }
}

/// Opens a segment whatever it holds; `None` if its header is not one.
pub(super) fn open(path: &Path) -> Result<Option<(Header, Records)>> {
    let doing = || format!("reading {}", path.display());
    let mut input = BufReader::with_capacity(BUFFER, File::open(path).doing(doing)?);
    let mut bytes = [0; HEADER];
    if !frame::fill(&mut input, &mut bytes).doing(doing)? {
        return Ok(None);
    }
    let (content, sum) = bytes.split_at(HEADER - 4);
    if sum != frame::checksum_of(content).to_le_bytes() || content[..8] != MAGIC {
        return Ok(None);
    }
    let (mut id, mut first) = ([0; 16], [0; 8]);
    id.copy_from_slice(&content[8..24]);
    first.copy_from_slice(&content[24..]);
    let header = Header {
        id: Uuid::from_bytes(id),
        first: u64::from_le_bytes(first),
    };
    let records = Records {
        input,
        path: path.to_owned(),
        next: header.first,
        end: u64::MAX,
    };
    Ok(Some((header, records)))
}

/// Begins a segment, so that it is there with its header or not at all.
///
/// # Errors
/// The disk's.
pub(super) fn create(dir: &Path, header: Header) -> std::io::Result<(PathBuf, File)> {
    let path = dir.join(format!("{}-{:012}.{EXTENSION}", header.id, header.first));
    let temporary = path.with_extension("new");
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(header.id.as_bytes());
    bytes.extend_from_slice(&header.first.to_le_bytes());
    bytes.extend_from_slice(&frame::checksum_of(&bytes).to_le_bytes());
    let mut file = File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, &path)?;
    File::open(dir)?.sync_all()?;
    Ok((path, file))
}
