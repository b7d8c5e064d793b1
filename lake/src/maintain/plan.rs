//! Which files of a table are put together.

/// A file of this size or more stays as it is.
const LARGE: u64 = 64 << 20;

/// Bytes of the files that become one.
pub(super) const GROUP: u64 = 128 << 20;

/// Small files that a table may have before it needs compaction: what they cost a query is not noticed below.
const NEED: usize = 32;

/// Whether a table is compacted when somebody asks, or when it needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// All files that are not large become as few as they can be.
    Full,
    /// Only if there are many, and only those that are small beside the others: a row is written again about as often as
    /// the table doubles, however often this runs.
    Needed,
}

/// Groups of files, by their place in `sizes` (bytes, oldest first), each of which becomes one file or a few large ones.
/// Files of a group are in their order.
pub(super) fn groups(sizes: &[u64], effort: Effort) -> Vec<Vec<usize>> {
    let mut small: Vec<usize> = (0..sizes.len()).filter(|&at| sizes[at] < LARGE).collect();
    if effort == Effort::Needed {
        small.sort_by_key(|&at| sizes[at]);
        let mut total: u64 = small.iter().map(|&at| sizes[at]).sum();
        // A file becomes part of one that is at least twice as large.
        while let Some(&largest) = small.last()
            && sizes[largest] > total - sizes[largest]
        {
            total -= sizes[largest];
            small.pop();
        }
        if small.len() < NEED {
            return Vec::new();
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
    fn a_large_file_waits_for_as_much_beside_it() {
        // Thirty-two flushes do not make a file of fifty times a flush be written again.
        let mut sizes = vec![50 * MB];
        sizes.extend([MB; 32]);
        let only: Vec<usize> = (1..=32).collect();
        assert_eq!(groups(&sizes, Effort::Needed), [only]);
        sizes.extend([MB; 30]);
        assert_eq!(groups(&sizes, Effort::Needed), [(0..=62).collect::<Vec<_>>()]);
        // One that is smaller than all others does not stop them.
        sizes = vec![1];
        sizes.extend([2 * MB; 32]);
        assert_eq!(groups(&sizes, Effort::Needed), [(0..=32).collect::<Vec<_>>()]);
    }

    #[test]
    fn a_row_is_written_again_as_often_as_the_table_doubles() {
        let (mut sizes, mut written) = (Vec::new(), 0_u64);
        for _ in 0..10_000 {
            sizes.push(MB / 4);
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
        let total: u64 = sizes.iter().sum();
        assert!(written < 4 * total, "{written} bytes written for {total}");
        assert!(sizes.len() < 120, "{} files", sizes.len());
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
