//! Records as they were written before their heads had a checksum: length, checksum, body. They cannot be searched for;
//! what is damaged can be passed over as long as its length is right.

use super::frame::{Entry, Frame, checksum};
use super::window::Window;

/// Bytes before a body.
const HEAD: usize = 8;

/// The longest body; a greater length is not a length.
const LONGEST: u32 = 64 << 20;

/// What is at that byte of a segment, where record `number` should be.
///
/// # Errors
/// The disk's.
pub(super) fn read(file: &mut Window, at: u64, number: u64) -> std::io::Result<Frame> {
    let Some(head) = file.bytes(at, HEAD)?.first_chunk::<HEAD>() else {
        return Ok(Frame::Cut);
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if length == 0 || length > LONGEST {
        return Ok(Frame::Nothing);
    }
    let body = file.bytes(at + HEAD as u64, length as usize)?;
    if body.len() < length as usize {
        return Ok(Frame::Cut);
    }
    let sum = checksum(&[&number.to_le_bytes(), &length.to_le_bytes(), body]);
    let is_whole = sum.to_le_bytes() == [c0, c1, c2, c3];
    let bytes = HEAD as u64 + u64::from(length);
    Ok(match Entry::of_body(body).filter(|_| is_whole) {
        Some(entry) => Frame::Whole { number, entry, bytes },
        None => Frame::Broken { number, bytes },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;

    use super::super::recover;
    use super::super::scan::Found;
    use super::*;

    /// A log of one segment, as it was written.
    fn log(bodies: &[&str]) -> (tempfile::TempDir, Vec<u8>) {
        let mut bytes = b"cordada1".to_vec();
        bytes.extend_from_slice(&[0; 16 + 8]);
        bytes.extend_from_slice(&checksum(&[&bytes]).to_le_bytes());
        for (number, body) in (0_u64..).zip(bodies) {
            let length = body.len() as u32;
            let sum = checksum(&[&number.to_le_bytes(), &length.to_le_bytes(), body.as_bytes()]);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&sum.to_le_bytes());
            bytes.extend_from_slice(body.as_bytes());
        }
        (tempfile::tempdir().unwrap(), bytes)
    }

    /// The records that are whole, and the numbers of those that are not.
    fn read(dir: &std::path::Path, bytes: &[u8]) -> (Vec<u64>, Vec<u64>) {
        std::fs::write(dir.join(format!("{}-{:012}.log", Uuid::nil(), 0)), bytes).unwrap();
        let (mut whole, mut lost) = (Vec::new(), Vec::new());
        for segment in recover::segments(dir).unwrap() {
            let mut scan = segment.scan().unwrap();
            while let Some(found) = scan.advance().unwrap() {
                match found {
                    Found::Record(number, _) => whole.push(number),
                    Found::Damage(damage) => lost.extend(damage.numbers),
                }
            }
        }
        (whole, lost)
    }

    #[test]
    fn logs_of_before_are_read() {
        let (dir, bytes) = log(&["+{}", "-{\"reason\":\"r\",\"record\":\"\"}", "+{\"a\":1}"]);
        assert_eq!(read(dir.path(), &bytes), (vec![0, 1, 2], vec![]));
        assert_eq!(read(dir.path(), &bytes[..bytes.len() - 1]), (vec![0, 1], vec![]));
        let mut damaged = bytes.clone();
        damaged[36 + HEAD + 3 + HEAD + 5] ^= 4;
        assert_eq!(read(dir.path(), &damaged), (vec![0, 2], vec![1]));
        damaged[36 + HEAD + 3] = 0xff;
        damaged[36 + HEAD + 3 + 3] = 0xff;
        assert_eq!(read(dir.path(), &damaged), (vec![0], vec![1]), "or more");
    }
}
