//! The complete lines of a file from some place on, each given out once whatever the file's blocks are.

use std::io::Read;

use cordada_core::{Context, Error, Result};
use tokio_util::sync::CancellationToken;

/// Bytes read at a time.
const BLOCK: usize = 1 << 20;

/// Bytes that a line may have; no server writes as many.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Whether to go on after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Line,
    Stop,
}

/// A line as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundLine<'l> {
    /// Without its end.
    Line(&'l [u8]),
    /// Longer than [`MAX_LINE`]: its beginning.
    TooLong(&'l [u8]),
}

/// Reads lines and gives each to `take`; returns the bytes of those that were taken, their ends included.
///
/// What comes after the last line break is not a line yet, unless the file is `complete`.
pub(crate) fn read(
    mut file: impl Read,
    name: &str,
    complete: bool,
    cancel: &CancellationToken,
    mut take: impl FnMut(FoundLine<'_>) -> Result<Next>,
) -> Result<u64> {
    let mut data: Vec<u8> = Vec::with_capacity(BLOCK);
    let (mut taken, mut searched) = (0, 0);
    // Bytes of a line that is too long, and whose beginning has been kept.
    let mut overlong: Option<(Vec<u8>, u64)> = None;
    loop {
        if cancel.is_cancelled() {
            return Err(Error::cancelled(format!("reading {name}")));
        }
        let read = file
            .by_ref()
            .take(BLOCK as u64)
            .read_to_end(&mut data)
            .doing(|| format!("reading {name}"))?;
        let mut start = 0;
        while let Some(at) = memchr::memchr(b'\n', &data[searched..]) {
            let end = searched + at;
            searched = end + 1;
            let next = match overlong.take() {
                Some((beginning, before)) => {
                    taken += before;
                    take(FoundLine::TooLong(&beginning))?
                }
                None => take(FoundLine::Line(trim(&data[start..end])))?,
            };
            taken += (searched - start) as u64;
            start = searched;
            if next == Next::Stop {
                return Ok(taken);
            }
        }
        data.drain(..start);
        searched = data.len();
        if let Some((_, before)) = &mut overlong {
            *before += data.len() as u64;
            data.clear();
            searched = 0;
        } else if data.len() > MAX_LINE {
            overlong = Some((data[..1024].to_vec(), data.len() as u64));
            data.clear();
            searched = 0;
        }
        if read == 0 {
            break;
        }
    }
    if complete {
        if let Some((beginning, before)) = overlong {
            take(FoundLine::TooLong(&beginning))?;
            taken += before;
        } else if !data.is_empty() {
            take(FoundLine::Line(trim(&data)))?;
            taken += data.len() as u64;
        }
    }
    Ok(taken)
}

fn trim(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(data: &[u8], complete: bool) -> (Vec<Vec<u8>>, u64) {
        let mut lines = Vec::new();
        let taken = read(data, "x", complete, &CancellationToken::new(), |line| {
            match line {
                FoundLine::Line(line) => lines.push(line.to_vec()),
                FoundLine::TooLong(beginning) => lines.push([b"LONG:", beginning].concat()),
            }
            Ok(Next::Line)
        });
        (lines, taken.unwrap())
    }

    #[test]
    fn only_complete_lines_are_taken() {
        assert_eq!(
            lines(b"a\r\nb\n\nc", false),
            (vec![b"a".to_vec(), b"b".to_vec(), vec![]], 6)
        );
        assert_eq!(lines(b"a\nc", true).0, [b"a", b"c"]);
        assert_eq!(lines(b"", true), (vec![], 0));
    }

    #[test]
    fn lines_that_are_too_long_are_passed_over_without_being_kept() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let data = [b"a\n", &long[..], b"\nb\n"].concat();
        let (found, taken) = lines(&data, false);
        assert_eq!(taken, data.len() as u64);
        assert_eq!(found.len(), 3);
        assert_eq!((found[1].len(), &found[2][..]), (1024 + 5, &b"b"[..]));
        // One that has no end yet is not taken, for it would be taken again.
        assert_eq!(lines(&long, false), (vec![], 0));
        assert_eq!(lines(&long, true).1, long.len() as u64);
    }

    proptest! {
        #[test]
        fn wherever_reading_stops_each_line_is_taken_once(
            texts in proptest::collection::vec("[a-z]{0,12}", 0..40),
            cuts in proptest::collection::vec(0usize..600, 0..8),
        ) {
            let data = texts.iter().map(|text| format!("{text}\n")).collect::<String>().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(data.len())).collect();
            cuts.push(data.len());
            cuts.sort_unstable();
            let (mut all, mut offset) = (Vec::new(), 0);
            // The file grows to each cut, and is read from where the last reading ended.
            for cut in cuts {
                let (found, taken) = lines(&data[offset..cut], false);
                all.extend(found);
                offset += taken as usize;
            }
            let expected: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(all, expected);
        }
    }
}
