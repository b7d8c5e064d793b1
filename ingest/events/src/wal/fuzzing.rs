//! What holds for the recovery of a log whatever bytes a segment has; fuzzing and the unit tests call it.

use std::path::Path;

use uuid::Uuid;

use super::frame::Entry;
use super::recover;
use super::segment::{self, HEADER, Header};

/// The number of the first record.
const FIRST: u64 = 7;

/// A segment that was written and then damaged: what comes back are records that the file begins with, at least those
/// before the damage, and twice the same. A file without a header is kept, under another name.
///
/// The first byte says how many records there were, the next one of each its length; then come two bytes for the place
/// of the damage and one that says whether the file ends behind it; the rest is written there.
pub fn wal(input: &[u8]) {
    let Some((written, damage)) = segment_of(input) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let header = Header {
        id: Uuid::nil(),
        first: FIRST,
    };
    let (path, file) = segment::create(dir.path(), header).unwrap();
    drop(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let mut ends = Vec::new();
    for (number, entry) in &written {
        entry.write(*number, &mut bytes);
        ends.push(bytes.len());
    }
    let intact = damage.apply(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();

    let found = recovered(dir.path());
    let whole = ends.iter().filter(|end| **end <= intact).count();
    let whole = if intact < HEADER { 0 } else { whole };
    assert!(
        found.len() >= whole && found[..whole] == written[..whole],
        "records before the damage are lost"
    );
    if found.is_empty() {
        let aside = std::fs::read(path.with_extension("damaged"));
        assert!(
            aside.is_ok_and(|aside| aside == bytes) || bytes.len() >= HEADER,
            "the file is lost"
        );
        return;
    }
    assert_is_prefix(&found, &bytes);
    assert_eq!(recovered(dir.path()), found, "the second recovery finds something else");
}

/// Bytes that replace others, and whether the file ends behind them.
struct Damage<'a> {
    at: usize,
    ends: bool,
    bytes: &'a [u8],
}

impl Damage<'_> {
    /// Does it; says how many bytes are as they were.
    fn apply(&self, file: &mut Vec<u8>) -> usize {
        let before = file.clone();
        let at = self.at % (file.len() + 1);
        let end = (at + self.bytes.len()).min(file.len());
        file.splice(at..end, self.bytes.iter().copied());
        if self.ends {
            file.truncate(at + self.bytes.len());
        }
        before
            .iter()
            .zip(file.iter())
            .take_while(|(before, after)| before == after)
            .count()
    }
}

/// What was written, and what happened to it.
fn segment_of(input: &[u8]) -> Option<(Vec<(u64, Entry)>, Damage<'_>)> {
    let (count, rest) = input.split_first()?;
    let (sizes, rest) = rest.split_at_checked(usize::from(*count % 8))?;
    let entry = |size: &u8| {
        let json = vec![b'x'; usize::from(*size)];
        if size.is_multiple_of(5) {
            Entry::Rejected(json)
        } else {
            Entry::Record(json)
        }
    };
    let [high, low, ends, bytes @ ..] = rest else {
        return None;
    };
    let damage = Damage {
        at: usize::from(u16::from_be_bytes([*high, *low])),
        ends: ends % 2 == 1,
        bytes,
    };
    Some(((FIRST..).zip(sizes.iter().map(entry)).collect(), damage))
}

fn recovered(dir: &Path) -> Vec<(u64, Entry)> {
    let mut found = Vec::new();
    for segment in recover::segments(dir).unwrap() {
        let mut records = segment.records().unwrap();
        let before = found.len();
        while let Some(record) = records.next().unwrap() {
            found.push(record);
        }
        assert_eq!((found.len() - before) as u64, segment.next - segment.first);
    }
    found
}

/// Written again with their numbers, the records are what the file holds after its header.
fn assert_is_prefix(found: &[(u64, Entry)], file: &[u8]) {
    let mut bytes = Vec::new();
    for (number, entry) in found {
        entry.write(*number, &mut bytes);
    }
    assert!(
        file[HEADER..].starts_with(&bytes),
        "records that the file does not hold"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_give_a_prefix_of_the_records(
            sizes in prop::collection::vec(any::<u8>(), 0..8),
            place: [u8; 2],
            ends: bool,
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            wal(&[&[sizes.len() as u8], &sizes[..], &place, &[ends.into()], &bytes].concat());
        }
    }
}
