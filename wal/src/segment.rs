//! A segment: a file of records that follow each other, behind a header that says whose they are. Its name says it too.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use cordada_core::{Error, Result, private};
use uuid::Uuid;

use super::frame;
use super::scan::{Found, Scan};

/// Bytes of a header: format, identifier, number of the first record, checksum.
pub(super) const HEADER: usize = 8 + 16 + 8 + 4;

/// How the names of segments end.
pub(super) const EXTENSION: &str = "log";

/// How the names of segments end that were damaged, and have landed as far as they could be read.
const DAMAGED: &str = "damaged";

/// A complete segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// Of the process that wrote it.
    pub id: Uuid,
    /// The number of its first record.
    pub first: u64,
    /// The number after its last record's.
    pub next: u64,
    /// Whether `next` is only the number after the last record that was found: its process was killed, or ended.
    pub is_open: bool,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: Uuid,
    pub(super) first: u64,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// With heads that can be searched for: [`frame`].
    Current,
    /// As before: [`super::former`].
    Former,
}

impl Format {
    /// What a segment begins with.
    const fn magic(self) -> [u8; 8] {
        match self {
            Format::Current => *b"cordada2",
            Format::Former => *b"cordada1",
        }
    }

    /// The format of a segment that begins like this, be it damaged.
    pub(super) fn of(bytes: &[u8]) -> Format {
        match bytes.starts_with(&Format::Former.magic()) {
            true => Format::Former,
            false => Format::Current,
        }
    }
}

impl Segment {
    /// What it holds.
    ///
    /// # Errors
    /// Unavailable: a disk that cannot be read.
    pub fn scan(&self) -> Result<Scan> {
        let unknown = || Error::failed(format!("reading {}", self.path.display()), "it is not a part of a log");
        let scan = Scan::open(&self.path)?.ok_or_else(unknown)?;
        Ok(scan.until(self.next, self.is_open))
    }

    /// Whether all that was written is there.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn is_whole(&self) -> Result<bool> {
        let mut scan = self.scan()?;
        while let Some(found) = scan.advance()? {
            if let Found::Damage(_) = found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Its name, which tells it from all others.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where it is kept when it is damaged and has landed.
    pub fn aside(&self) -> PathBuf {
        aside(&self.path)
    }
}

/// The name by which nobody takes a file for a segment.
pub(super) fn aside(path: &Path) -> PathBuf {
    path.with_extension(DAMAGED)
}

/// The header that these bytes are; `None` if they are none.
pub(super) fn header(bytes: &[u8]) -> Option<(Format, Header)> {
    let bytes = bytes.first_chunk::<HEADER>()?;
    let (content, sum) = bytes.split_at(HEADER - 4);
    let format = Format::of(content);
    if sum != frame::checksum(&[content]).to_le_bytes() || !content.starts_with(&format.magic()) {
        return None;
    }
    let (id, first) = (content[8..24].try_into().ok()?, content[24..].try_into().ok()?);
    let header = Header {
        id: Uuid::from_bytes(id),
        first: u64::from_le_bytes(first),
    };
    Some((format, header))
}

/// The header of the segment that has that name.
pub(super) fn header_of_name(path: &Path) -> Option<Header> {
    let (id, first) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    Some(Header {
        id: id.parse().ok()?,
        first: first.parse().ok()?,
    })
}

/// Begins a segment, so that it is there with its header or not at all.
///
/// # Errors
/// The disk's.
pub(super) fn create(dir: &Path, header: Header) -> std::io::Result<(PathBuf, File)> {
    let path = dir.join(format!("{}-{:012}.{EXTENSION}", header.id, header.first));
    let temporary = path.with_extension("new");
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(&Format::Current.magic());
    bytes.extend_from_slice(header.id.as_bytes());
    bytes.extend_from_slice(&header.first.to_le_bytes());
    bytes.extend_from_slice(&frame::checksum(&[&bytes]).to_le_bytes());
    let mut file = private::file(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, &path)?;
    File::open(dir)?.sync_all()?;
    Ok((path, file))
}
