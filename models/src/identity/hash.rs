//! Hashes that are the same on every machine and in every release of the compiler: blocks, samples and the order of what
//! is otherwise equal depend on them.

/// A multiplier with its bits well spread.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of two numbers.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    finish((a ^ SPREAD).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31) ^ b.wrapping_mul(SPREAD))
}

/// The hash of bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    }
    let rest = words.remainder().iter().rev();
    let rest = rest.fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(hash, rest)
}

fn finish(mut hash: u64) -> u64 {
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^= hash >> 29;
    hash = hash.wrapping_mul(SPREAD);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn texts_that_differ_little_are_far_apart() {
        let texts = (0..20_000).map(|number| format!("customer {number}"));
        let hashes: BTreeSet<u64> = texts.map(|text| of_bytes(text.as_bytes()) >> 32).collect();
        assert!(hashes.len() > 19_990, "{}", hashes.len());
        assert_ne!(of_bytes(b"ab"), of_bytes(b"ab\0"));
        assert_ne!(mix(1, 2), mix(2, 1));
    }
}
