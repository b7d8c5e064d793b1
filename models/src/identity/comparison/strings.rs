//! Distances of texts: Jaro–Winkler, and Damerau–Levenshtein up to a limit.
//!
//! Of normalised texts, so a letter is a byte. Both see the first 128 letters only.

/// How many letters are seen: as many as a word of the machine's widest numbers has bits.
const SEEN: usize = u128::BITS as usize;

fn seen(text: &str) -> &[u8] {
    let bytes = text.as_bytes();
    &bytes[..bytes.len().min(SEEN)]
}

/// The letters and digits of a text, as a set.
fn letters(text: &[u8]) -> u64 {
    text.iter().fold(0, |set, byte| set | 1 << (byte & 63))
}

/// Which part of both texts could be matched, 0 to 2: letters that the other does not have are not. Cheap, and never
/// too little.
pub(crate) fn could_match(a: &str, b: &str) -> f64 {
    let (a, b) = (seen(a), seen(b));
    let (in_a, in_b) = (letters(a), letters(b));
    let part = |text: &[u8], own: u64| 1.0 - f64::from(own.count_ones()) / text.len().max(1) as f64;
    part(a, in_a & !in_b) + part(b, in_b & !in_a)
}

/// Whether the Jaro–Winkler similarity is at least `least`, which is more than 0.7.
pub(crate) fn resemble(a: &str, b: &str, least: f64) -> bool {
    // Four common first letters take two fifths of what is missing away.
    let jaro = 1.0 - (1.0 - least) / 0.6;
    could_match(a, b) + 1.0 >= 3.0 * jaro - 1e-9 && jaro_winkler(a, b) >= least
}

/// Jaro–Winkler similarity: 0 to 1, better with up to four common first letters.
fn jaro_winkler(a: &str, b: &str) -> f64 {
    let (a, b) = (seen(a), seen(b));
    // Letters are matched from one text to the other, and which is which could make a difference.
    let (a, b) = if (a.len(), a) <= (b.len(), b) { (a, b) } else { (b, a) };
    let jaro = jaro(a, b);
    let prefix = a.iter().zip(b).take(4).take_while(|(a, b)| a == b).count();
    if jaro > 0.7 {
        jaro + 0.1 * prefix as f64 * (1.0 - jaro)
    } else {
        jaro
    }
}

fn jaro(a: &[u8], b: &[u8]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return if a.len() == b.len() { 1.0 } else { 0.0 };
    }
    let reach = (a.len().max(b.len()) / 2).saturating_sub(1);
    let (mut in_a, mut in_b) = (0u128, 0u128);
    for (at, letter) in a.iter().enumerate() {
        let (from, to) = (at.saturating_sub(reach), (at + reach + 1).min(b.len()));
        let is_free = |(other, of_b): &(usize, &u8)| *of_b == letter && in_b & 1 << other == 0;
        if let Some((other, _)) = b.iter().enumerate().take(to).skip(from).find(is_free) {
            in_a |= 1 << at;
            in_b |= 1 << other;
        }
    }
    let matches = in_a.count_ones();
    if matches == 0 {
        return 0.0;
    }
    let (mut rest_a, mut rest_b, mut out_of_order) = (in_a, in_b, 0);
    while rest_a != 0 {
        out_of_order += u32::from(a[rest_a.trailing_zeros() as usize] != b[rest_b.trailing_zeros() as usize]);
        rest_a &= rest_a - 1;
        rest_b &= rest_b - 1;
    }
    let matches = f64::from(matches);
    let transpositions = f64::from(out_of_order / 2);
    (matches / a.len() as f64 + matches / b.len() as f64 + (matches - transpositions) / matches) / 3.0
}

/// Whether at most `most` letters inserted, left out, replaced or swapped with their neighbour make one text of the other.
pub(crate) fn within(a: &str, b: &str, most: usize) -> bool {
    let (a, b) = (seen(a), seen(b));
    let (in_a, in_b) = (letters(a), letters(b));
    let missing = (in_a & !in_b).count_ones().max((in_b & !in_a).count_ones());
    if a.len().abs_diff(b.len()) > most || missing as usize > most {
        return false;
    }
    // What they begin and end with in common needs no work.
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    if a.len().max(b.len()) <= most {
        return true;
    }
    match (most, a, b) {
        (0, ..) => false,
        // What is left is more than one letter inserted, left out or replaced.
        (1, [a, b], [c, d]) => a == d && b == c,
        (1, ..) => false,
        _ => within_band(a, b, most),
    }
}

/// Fills the table of distances row by row, as far as they can be at most `most`.
fn within_band(a: &[u8], b: &[u8], most: usize) -> bool {
    let far = u8::try_from(most + 1).unwrap_or(u8::MAX);
    let mut rows = [[far; SEEN + 1]; 3];
    let [two_before, one_before, current] = &mut rows;
    let (mut two_before, mut one_before, mut current) = (two_before, one_before, current);
    for (at, cell) in one_before.iter_mut().enumerate().take(b.len().min(most) + 1) {
        *cell = at as u8;
    }
    for row in 1..=a.len() {
        let (from, to) = (row.saturating_sub(most).max(1), (row + most).min(b.len()));
        current[from - 1] = if from == 1 { (row as u8).min(far) } else { far };
        let mut least = current[from - 1];
        for column in from..=to {
            let replaced = one_before[column - 1] + u8::from(a[row - 1] != b[column - 1]);
            let mut cell = replaced.min(one_before[column] + 1).min(current[column - 1] + 1);
            if row > 1 && column > 1 && a[row - 1] == b[column - 2] && a[row - 2] == b[column - 1] {
                cell = cell.min(two_before[column - 2] + 1);
            }
            current[column] = cell.min(far);
            least = least.min(cell);
        }
        if least >= far {
            return false;
        }
        (two_before, one_before, current) = (one_before, current, two_before);
    }
    one_before[b.len()] < far
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_pairs() {
        assert!((jaro_winkler("martha", "marhta") - 0.961_111).abs() < 1e-5);
        assert!((jaro_winkler("dixon", "dicksonx") - 0.813_333).abs() < 1e-5);
        assert_eq!(jaro_winkler("abc", "xyz"), 0.0);
        assert!(within("gonzalez", "gonzlaez", 1) && !within("gonzalez", "gnzlaez", 1));
    }

    proptest! {
        #[test]
        fn they_are_what_others_compute(a in "[a-d]{0,12}", b in "[a-d]{0,12}", most in 0usize..4) {
            prop_assert_eq!(within(&a, &b, most), strsim::osa_distance(&a, &b) <= most);
            prop_assert_eq!(within(&a, &b, most), within(&b, &a, most));
            let (first, second) = if (a.len(), &a) <= (b.len(), &b) { (&a, &b) } else { (&b, &a) };
            prop_assert!((jaro_winkler(&a, &b) - strsim::jaro_winkler(first, second)).abs() < 1e-9);
            prop_assert_eq!(jaro_winkler(&a, &b).to_bits(), jaro_winkler(&b, &a).to_bits());
            for least in [0.75, 0.85, 0.93] {
                prop_assert_eq!(resemble(&a, &b, least), jaro_winkler(&a, &b) >= least);
            }
        }

        #[test]
        fn long_texts_are_compared(a in "[ab]{100,300}", b in "[ab]{100,300}") {
            prop_assert!((0.0..=1.0).contains(&jaro_winkler(&a, &b)));
            prop_assert!(within(&a, &a, 0) && within(&a, &b, 300));
        }
    }
}
