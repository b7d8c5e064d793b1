//! How a record is written: length, checksum, body. The checksum covers the record's number too, so that bytes of
//! another place or of an earlier use of the disk's blocks are not taken for it.

use std::io::{ErrorKind, Read};

use flate2::Crc;

/// Bytes before a body.
pub(super) const HEAD: usize = 8;

/// The longest body; a greater length is not a length.
const LONGEST: usize = 64 << 20;

const RECORD: u8 = b'+';
const REJECTED: u8 = b'-';

/// What a log holds: JSON of a record that is to land, or of one that is not, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A JSON object.
    Record(Vec<u8>),
    /// `{"reason": …, "record": …}`, both text.
    Rejected(Vec<u8>),
}

impl Entry {
    /// Bytes that it takes up.
    pub(super) fn size(&self) -> usize {
        let (Entry::Record(json) | Entry::Rejected(json)) = self;
        HEAD + 1 + json.len()
    }

    /// Adds it to what is to be written, as record number `sequence`.
    pub(super) fn write(&self, sequence: u64, buffer: &mut Vec<u8>) {
        let (kind, json) = match self {
            Entry::Record(json) => (RECORD, json),
            Entry::Rejected(json) => (REJECTED, json),
        };
        let length = (json.len() + 1) as u32;
        buffer.extend_from_slice(&length.to_le_bytes());
        buffer.extend_from_slice(&checksum(sequence, length, &[&[kind], json]).to_le_bytes());
        buffer.push(kind);
        buffer.extend_from_slice(json);
    }

    /// Reads record number `sequence`; `None` at the end, which is also where something other than it is.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn read(input: &mut impl Read, sequence: u64) -> std::io::Result<Option<Entry>> {
        let mut head = [0; HEAD];
        if !fill(input, &mut head)? {
            return Ok(None);
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let (length, sum) = (
            u32::from_le_bytes([l0, l1, l2, l3]),
            u32::from_le_bytes([c0, c1, c2, c3]),
        );
        if length == 0 || length as usize > LONGEST {
            return Ok(None);
        }
        // The length is not to be believed before there are as many bytes.
        let mut body = Vec::new();
        input.take(u64::from(length)).read_to_end(&mut body)?;
        if body.len() != length as usize || checksum(sequence, length, &[&body]) != sum {
            return Ok(None);
        }
        let kind = body.remove(0);
        Ok(match kind {
            RECORD => Some(Entry::Record(body)),
            REJECTED => Some(Entry::Rejected(body)),
            _ => None,
        })
    }
}

fn checksum(sequence: u64, length: u32, parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&sequence.to_le_bytes());
    crc.update(&length.to_le_bytes());
    for part in parts {
        crc.update(part);
    }
    crc.sum()
}

/// The checksum of a segment's header.
pub(super) fn checksum_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Fills the buffer; false if there are fewer bytes.
pub(super) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
