//! Texts as sets of words.

use super::strings::{resemble, within};

/// How the words of two texts agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    /// The words of the text that has fewer.
    pub fewer: usize,
    /// The words of the other.
    pub more: usize,
    /// How many of `fewer` the other has.
    pub equal: usize,
    /// How many more of them it has with a slip.
    pub alike: usize,
}

impl Shared {
    /// Whether each word of the shorter text is in the longer one, but for slips.
    pub(super) fn is_nearly_part(self) -> bool {
        self.fewer > 0 && self.equal + self.alike == self.fewer
    }
}

/// The most words of a text that are looked at.
const MOST: usize = 16;

/// Pairs the words of two texts: equal ones first, then those that are alike.
pub(super) fn shared(a: &str, b: &str, is_alike: impl Fn(&str, &str) -> bool) -> Shared {
    if !a.contains(' ') && !b.contains(' ') && !a.is_empty() && !b.is_empty() {
        let (equal, alike) = if a == b {
            (1, 0)
        } else {
            (0, usize::from(is_alike(a, b)))
        };
        return Shared {
            fewer: 1,
            more: 1,
            equal,
            alike,
        };
    }
    let (mut from, mut to) = ([""; MOST], [""; MOST]);
    let (mut count, mut other) = (split(a, &mut from), split(b, &mut to));
    if (count, a) > (other, b) {
        (from, to) = (to, from);
        (count, other) = (other, count);
    }
    let (mut paired, mut taken) = (0u16, 0u16);
    let mut pair = |is_pair: &dyn Fn(&str, &str) -> bool| {
        let (mut pairs, mut found) = (0, 0u16);
        for (at, word) in from
            .iter()
            .enumerate()
            .take(count)
            .filter(|(at, _)| paired & 1 << at == 0)
        {
            if let Some(to_at) = (0..other).find(|to_at| taken & 1 << to_at == 0 && is_pair(word, to[*to_at])) {
                taken |= 1 << to_at;
                found |= 1 << at;
                pairs += 1;
            }
        }
        paired |= found;
        pairs
    };
    let equal = pair(&|a, b| a == b);
    let alike = if equal < count { pair(&is_alike) } else { 0 };
    Shared {
        fewer: count,
        more: other,
        equal,
        alike,
    }
}

fn split<'a>(text: &'a str, words: &mut [&'a str; MOST]) -> usize {
    let mut count = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()).take(MOST) {
        words[count] = word;
        count += 1;
    }
    count
}

/// Whether two words are one with a slip of the fingers.
pub(super) fn is_slip(a: &str, b: &str) -> bool {
    a.len().min(b.len()) >= 4 && (within(a, b, 1) || resemble(a, b, 0.93))
}

/// Whether two words are one with a slip, or one is the initial of the other.
pub(super) fn is_slip_or_initial(a: &str, b: &str) -> bool {
    is_slip(a, b) || a.len().min(b.len()) == 1 && a.as_bytes()[0] == b.as_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_paired_once() {
        let of = |a, b| shared(a, b, is_slip);
        assert_eq!(
            of("garcia", "garcia lopez"),
            Shared {
                fewer: 1,
                more: 2,
                equal: 1,
                alike: 0
            }
        );
        assert_eq!(
            of("garcia garcia", "lopez garcia"),
            Shared {
                fewer: 2,
                more: 2,
                equal: 1,
                alike: 0
            }
        );
        assert_eq!(of("gonzalez lopez", "lopez gonzlaez").alike, 1);
        assert!(of("", "a").fewer == 0 && !of("", "a").is_nearly_part());
    }

    proptest! {
        #[test]
        fn either_way_is_the_same(a in "[ab]{1,5}( [ab]{1,5}){0,3}", b in "[ab]{1,5}( [ab]{1,5}){0,3}") {
            prop_assert_eq!(shared(&a, &b, is_slip), shared(&b, &a, is_slip));
        }
    }
}
