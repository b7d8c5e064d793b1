//! How a record is written: a head, then the body.
//!
//! A head is known for one wherever a search comes upon it. It begins with bytes that JSON cannot hold, so that nothing
//! that a visitor sends looks like one, and its checksum covers the segment's identifier and the record's number too,
//! so that bytes of another place or of an earlier use of the disk's blocks are not taken for it.

use flate2::Crc;
use uuid::Uuid;

use super::window::Window;

/// Bytes before a body: mark, length, number, checksum of the body, checksum of all these.
pub(super) const HEAD: usize = 4 + 4 + 8 + 4 + 4;

/// What every head begins with.
pub(super) const MARK: [u8; 4] = [0xff, 0x00, b'r', 0xff];

const RECORD: u8 = b'+';
const REJECTED: u8 = b'-';

/// What a log holds: JSON of a record that is to land, or of one that is not, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A JSON object.
    Record(Vec<u8>),
    /// `{"reason": …, "record": …}`, both text.
    Rejected(Vec<u8>),
}

/// What is at a place of a segment.
pub(super) enum Frame {
    /// A record.
    Whole { number: u64, entry: Entry, bytes: u64 },
    /// A record whose head is as it was, and whose body is not.
    Broken { number: u64, bytes: u64 },
    /// The beginning of a record, within which the file ends.
    Cut,
    /// Something else.
    Nothing,
}

impl Entry {
    /// Bytes that it takes up.
    pub(super) fn size(&self) -> usize {
        let (Entry::Record(json) | Entry::Rejected(json)) = self;
        HEAD + 1 + json.len()
    }

    /// Adds it to what is to be written, as that record of the process called `id`.
    pub(super) fn write(&self, id: Uuid, number: u64, buffer: &mut Vec<u8>) {
        let (kind, json) = match self {
            Entry::Record(json) => (RECORD, json),
            Entry::Rejected(json) => (REJECTED, json),
        };
        let start = buffer.len();
        buffer.extend_from_slice(&MARK);
        buffer.extend_from_slice(&((json.len() + 1) as u32).to_le_bytes());
        buffer.extend_from_slice(&number.to_le_bytes());
        buffer.extend_from_slice(&checksum(&[&[kind], json]).to_le_bytes());
        let head = checksum(&[id.as_bytes(), &buffer[start..]]);
        buffer.extend_from_slice(&head.to_le_bytes());
        buffer.push(kind);
        buffer.extend_from_slice(json);
    }

    /// What a body says; `None` if it is none.
    pub(super) fn of_body(body: &[u8]) -> Option<Entry> {
        match body.split_first()? {
            (&RECORD, json) => Some(Entry::Record(json.to_vec())),
            (&REJECTED, json) => Some(Entry::Rejected(json.to_vec())),
            _ => None,
        }
    }
}

/// What is at that byte of a segment of the process called `id`.
///
/// # Errors
/// The disk's.
pub(super) fn read(file: &mut Window, at: u64, id: Uuid) -> std::io::Result<Frame> {
    let Some(head) = file.bytes(at, HEAD)?.first_chunk::<HEAD>().copied() else {
        let rest = file.bytes(at, MARK.len())?;
        return Ok(match MARK.starts_with(rest) {
            true => Frame::Cut,
            false => Frame::Nothing,
        });
    };
    let (covered, sum) = head.split_at(HEAD - 4);
    if !head.starts_with(&MARK) || checksum(&[id.as_bytes(), covered]).to_le_bytes() != sum {
        return Ok(Frame::Nothing);
    }
    let [_, _, _, _, l0, l1, l2, l3, number @ .., b0, b1, b2, b3, _, _, _, _] = head;
    let (length, number) = (u32::from_le_bytes([l0, l1, l2, l3]), u64::from_le_bytes(number));
    let body = file.bytes(at + HEAD as u64, length as usize)?;
    if body.len() < length as usize {
        return Ok(Frame::Cut);
    }
    let is_whole = checksum(&[body]).to_le_bytes() == [b0, b1, b2, b3];
    let bytes = HEAD as u64 + u64::from(length);
    Ok(match Entry::of_body(body).filter(|_| is_whole) {
        Some(entry) => Frame::Whole { number, entry, bytes },
        None => Frame::Broken { number, bytes },
    })
}

/// The checksum of all parts, one after the other.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    for part in parts {
        crc.update(part);
    }
    crc.sum()
}
