//! What holds for the recovery of a log whatever bytes a segment has; fuzzing and the unit tests call it.

use std::ops::Range;
use std::path::Path;

use uuid::Uuid;

use super::frame::Entry;
use super::recover;
use super::scan::Found;
use super::segment::{self, Header};

/// The number of the first record.
const FIRST: u64 = 7;

/// A segment that was written and then damaged: the records that are as they were come back, each once, and no others;
/// the bytes of the others are told, unless the file ends before theirs do.
///
/// The first byte says how many records there were, the next one of each its length; then come two bytes for the place
/// of the damage and one that says whether the file ends behind it; the rest is written there.
pub fn wal(input: &[u8]) {
    let Some((written, damage)) = segment_of(input) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let id = Uuid::nil();
    let (path, file) = segment::create(dir.path(), Header { id, first: FIRST }).unwrap();
    drop(file);
    let mut before = std::fs::read(&path).unwrap();
    let mut places = Vec::new();
    for (number, entry) in &written {
        let start = before.len();
        entry.write(id, *number, &mut before);
        places.push(start..before.len());
    }
    let mut after = before.clone();
    damage.apply(&mut after);
    std::fs::write(&path, &after).unwrap();

    let (found, bad) = recovered(dir.path());
    let is_intact = |place: &&Range<usize>| after.get((*place).clone()) == before.get((*place).clone());
    let intact = written.iter().zip(&places).filter(|(_, place)| is_intact(place));
    assert!(
        intact.map(|(record, _)| record).eq(&found),
        "not the records that are intact"
    );
    for place in places
        .iter()
        .filter(|place| !is_intact(place) && place.end <= after.len())
    {
        let is_told = bad
            .iter()
            .any(|bad| bad.start < place.end as u64 && bad.end > place.start as u64);
        assert!(is_told, "a record is lost silently");
    }
    if !found.is_empty() {
        assert_eq!(
            recovered(dir.path()),
            (found, bad),
            "the second recovery finds something else"
        );
    }
}

/// Bytes that replace others, and whether the file ends behind them.
struct Damage<'a> {
    at: usize,
    ends: bool,
    bytes: &'a [u8],
}

impl Damage<'_> {
    fn apply(&self, file: &mut Vec<u8>) {
        let at = self.at % (file.len() + 1);
        let end = (at + self.bytes.len()).min(file.len());
        file.splice(at..end, self.bytes.iter().copied());
        if self.ends {
            file.truncate(at + self.bytes.len());
        }
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

/// The records that are found, and the bytes that are not.
fn recovered(dir: &Path) -> (Vec<(u64, Entry)>, Vec<Range<u64>>) {
    let (mut records, mut bad) = (Vec::new(), Vec::new());
    for segment in recover::segments(dir).unwrap() {
        let mut scan = segment.scan().unwrap();
        let mut next = segment.first;
        while let Some(found) = scan.advance().unwrap() {
            let numbers = match found {
                Found::Record(number, entry) => {
                    records.push((number, entry));
                    number..number + 1
                }
                Found::Damage(damage) => {
                    bad.push(damage.bytes);
                    damage.numbers
                }
            };
            assert_eq!(numbers.start, next, "a number is missing");
            next = numbers.end;
        }
        assert_eq!(next, segment.next);
    }
    (records, bad)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_leave_the_records_that_they_are_not_in(
            sizes in prop::collection::vec(any::<u8>(), 0..8),
            place: [u8; 2],
            ends: bool,
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            wal(&[&[sizes.len() as u8], &sizes[..], &place, &[ends.into()], &bytes].concat());
        }
    }
}
