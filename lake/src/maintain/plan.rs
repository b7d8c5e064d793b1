//! Which files of a table are put together.

/// A file of this size or more stays as it is.
const LARGE: u64 = 64 << 20;

/// Bytes of the files that become one.
pub(super) const GROUP: u64 = 128 << 20;

/// How many times its size a file becomes part of: a row is written again about as often as the table grows by this
/// factor, and there are less than this many files of each such size. A query opens them all, and what it does with the
/// rows costs more than that as long as they are few.
const FACTOR: u64 = 8;

/// Whether a table is compacted when somebody asks, or when it needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// All files that are not large become as few as they can be.
    Full,
    /// Only those that together are much larger than each of them: what is small is put together often, what is large
    /// rarely, however often this runs.
    Needed,
}

/// Groups of files, by their place in `sizes` (bytes, oldest first), each of which becomes one file or a few large ones.
/// Files of a group are in their order.
pub(super) fn groups(sizes: &[u64], effort: Effort) -> Vec<Vec<usize>> {
    let mut small: Vec<usize> = (0..sizes.len()).filter(|&at| sizes[at] < LARGE).collect();
    if effort == Effort::Needed {
        small.sort_by_key(|&at| sizes[at]);
        let mut total: u64 = small.iter().map(|&at| sizes[at]).sum();
        while let Some(&largest) = small.last()
            && sizes[largest].saturating_mul(FACTOR) > total
        {
            total -= sizes[largest];
            small.pop();
        }
        small.sort_unstable();
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut bytes = u64::MAX;
    for at in small {
        if bytes.saturating_add(sizes[at]) > GROUP {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += sizes[at];
        if let Some(group) = groups.last_mut() {
            group.push(at);
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn small_files_are_put_together_in_their_order() {
        let sizes = [MB, 200 * MB, 2 * MB, 3 * MB];
        assert_eq!(groups(&sizes, Effort::Full), [[0, 2, 3]]);
        assert!(groups(&sizes, Effort::Needed).is_empty());
        assert!(groups(&[MB, 64 * MB], Effort::Full).is_empty());
    }

    #[test]
    fn a_large_file_waits_for_much_more_beside_it() {
        // Eight flushes do not make a file of twenty times a flush be written again.
        let mut sizes = vec![20 * MB];
        sizes.extend([MB; 7]);
        assert!(groups(&sizes, Effort::Needed).is_empty());
        sizes.push(MB);
        let only: Vec<usize> = (1..=8).collect();
        assert_eq!(groups(&sizes, Effort::Needed), [only]);
        sizes.extend([10 * MB; 12]);
        sizes.push(20 * MB);
        assert_eq!(groups(&sizes, Effort::Needed)[0][..3], [0, 1, 2]);
        // One that is smaller than all others does not stop them.
        sizes = vec![1];
        sizes.extend([2 * MB; 8]);
        assert_eq!(groups(&sizes, Effort::Needed), [(0..=8).collect::<Vec<_>>()]);
    }

    /// What becomes of a table to which `flush` adds its files, compacted after every `each` of them: bytes that were
    /// written again for each byte, and the most files that there were.
    fn grown(flushes: usize, each: usize, flush: impl Fn(usize) -> u64) -> (f64, usize) {
        let (mut sizes, mut written, mut most) = (Vec::new(), 0_u64, 0);
        for number in 0..flushes {
            sizes.push(flush(number));
            most = most.max(sizes.len());
            if number % each != 0 {
                continue;
            }
            for group in groups(&sizes, Effort::Needed).into_iter().rev() {
                let merged: u64 = group.iter().map(|&at| sizes[at]).sum();
                written += merged;
                let mut at = 0;
                sizes.retain(|_| {
                    at += 1;
                    !group.contains(&(at - 1))
                });
                sizes.push(merged);
            }
        }
        (written as f64 / sizes.iter().sum::<u64>() as f64, most)
    }

    #[test]
    fn a_row_is_written_again_as_often_as_the_table_grows_by_the_factor() {
        // An hour of flushes of five seconds, looked at once a minute; a day of them after every one.
        let (again, files) = grown(720, 12, |_| MB / 4);
        assert!(again < 2.5 && files < 40, "{again} times, {files} files");
        let uneven = |number: usize| MB / 8 * (1 + number as u64 * 7 % 5);
        for flush in [&|_| MB / 4, &uneven as &dyn Fn(usize) -> u64] {
            let (again, files) = grown(10_000, 1, flush);
            assert!(again < 3.5, "{again} times");
            assert!(files < 120, "{files} files");
        }
    }

    proptest! {
        #[test]
        fn a_file_is_in_one_group_at_most(sizes in prop::collection::vec(1..200 * MB, 0..200), full: bool) {
            let effort = if full { Effort::Full } else { Effort::Needed };
            let groups = groups(&sizes, effort);
            let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
            prop_assert!(groups.iter().all(|group| group.len() > 1 && group.is_sorted()));
            prop_assert!(all.iter().all(|&at| sizes[at] < LARGE));
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            prop_assert_eq!(count, all.len());
        }
    }
}
