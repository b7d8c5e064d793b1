//! How alike texts are, and how they sound.

use std::collections::BTreeSet;

use super::super::define::Takes::{Integer, Text};
use super::super::define::{Definition, Gives};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "soundex",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(soundex(row.text(0)).into()))),
        what: "The text's Soundex code: a letter and three digits; empty if it has no letter.",
        syntax: "soundex(text)",
        example: "soundex('Robert') = 'R163'",
        ..Definition::PLAIN
    },
    Definition {
        name: "difference",
        takes: &[Text, Text],
        gives: Gives::Integer(|row| {
            let (a, b) = (soundex(row.text(0)), soundex(row.text(1)));
            let same = a.chars().zip(b.chars()).filter(|(a, b)| a == b).count();
            Ok(i32::try_from(same).ok())
        }),
        what: "In how many of the four places the Soundex codes of two texts are the same.",
        syntax: "difference(a, b)",
        example: "difference('Robert', 'Rupert') = 4",
        ..Definition::PLAIN
    },
    Definition {
        name: "levenshtein",
        aliases: &["editdist3", "edit_distance", "editdistance", "levenshtein_distance"],
        takes: &[Text, Text, Integer, Integer, Integer],
        optional: 3,
        gives: Gives::Integer(|row| {
            if row.len() < 5 {
                let distance = strsim::levenshtein(row.text(0), row.text(1));
                let most = row.integer_or(2, i64::MAX);
                return Ok(i32::try_from(distance)
                    .ok()
                    .map(|d| i32::try_from(most).map_or(d, |most| d.min(most))));
            }
            let costs = [row.integer(2), row.integer(3), row.integer(4)];
            Ok(i32::try_from(weighted(row.text(0), row.text(1), costs)).ok())
        }),
        what: "How many characters must be put in, taken out or replaced to make one text of the other; the three may \
               have costs, or the number a bound.",
        syntax: "levenshtein(a, b [, insert, delete, replace])",
        example: "levenshtein('kitten', 'sitting') = 3",
        ..Definition::PLAIN
    },
    Definition {
        name: "damerau_levenshtein",
        takes: &[Text, Text],
        gives: Gives::Integer(|row| Ok(i32::try_from(strsim::damerau_levenshtein(row.text(0), row.text(1))).ok())),
        what: "The Levenshtein distance where two neighbours that change places count once.",
        syntax: "damerau_levenshtein(a, b)",
        example: "damerau_levenshtein('ab', 'ba') = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "hamming",
        aliases: &["mismatches", "hamming_distance"],
        takes: &[Text, Text],
        gives: Gives::Integer(|row| match strsim::hamming(row.text(0), row.text(1)) {
            Ok(distance) => Ok(i32::try_from(distance).ok()),
            Err(_) => datafusion::common::exec_err!("hamming compares texts of the same length"),
        }),
        what: "In how many places two texts of the same length differ.",
        syntax: "hamming(a, b)",
        example: "hamming('abc', 'abd') = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "jaro_similarity",
        takes: &[Text, Text],
        gives: Gives::Number(|row| Ok(Some(strsim::jaro(row.text(0), row.text(1))))),
        what: "The Jaro similarity of two texts, from 0 to 1.",
        syntax: "jaro_similarity(a, b)",
        example: "jaro_similarity('a', 'a') = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "jaro_winkler_similarity",
        aliases: &["jaro_winkler"],
        takes: &[Text, Text],
        gives: Gives::Number(|row| Ok(Some(strsim::jaro_winkler(row.text(0), row.text(1))))),
        what: "The Jaro-Winkler similarity of two texts, from 0 to 1.",
        syntax: "jaro_winkler_similarity(a, b)",
        example: "jaro_winkler_similarity('a', 'a') = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "jarowinkler_similarity",
        takes: &[Text, Text],
        gives: Gives::Integer(|row| {
            let (a, b) = (row.text(0).to_lowercase(), row.text(1).to_lowercase());
            Ok(Some((strsim::jaro_winkler(&a, &b) * 100.0) as i32))
        }),
        what: "The Jaro-Winkler similarity of two texts whatever their case, from 0 to 100.",
        syntax: "jarowinkler_similarity(a, b)",
        example: "jarowinkler_similarity('Gary', 'gary') = 100",
        ..Definition::PLAIN
    },
    Definition {
        name: "jaccard",
        takes: &[Text, Text],
        gives: Gives::Number(|row| {
            let (a, b): (BTreeSet<char>, BTreeSet<char>) =
                (row.text(0).chars().collect(), row.text(1).chars().collect());
            let all = a.union(&b).count();
            Ok((all > 0).then(|| a.intersection(&b).count() as f64 / all as f64))
        }),
        what: "The share of the characters of two texts that both have, from 0 to 1.",
        syntax: "jaccard(a, b)",
        example: "round(cast(jaccard('ab', 'bc') as numeric), 3) = 0.333",
        ..Definition::PLAIN
    },
    Definition {
        name: "similarity",
        takes: &[Text, Text],
        gives: Gives::Number(|row| {
            let (a, b) = (trigrams(row.text(0)), trigrams(row.text(1)));
            let all = a.union(&b).count();
            Ok(Some(if all == 0 {
                0.0
            } else {
                a.intersection(&b).count() as f64 / all as f64
            }))
        }),
        what: "The share of groups of three letters that two texts have in common, from 0 to 1, as in pg_trgm.",
        syntax: "similarity(a, b)",
        example: "similarity('word', 'word') = 1",
        ..Definition::PLAIN
    },
];

/// American Soundex: H and W do not part letters of one code, vowels do.
fn soundex(text: &str) -> String {
    let code = |c: char| match c {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        'H' | 'W' => '-',
        _ => '0',
    };
    let mut letters = text
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_uppercase());
    let Some(first) = letters.next() else {
        return String::new();
    };
    let mut out = String::from(first);
    let mut last = code(first);
    for letter in letters {
        let code = code(letter);
        if !matches!(code, '0' | '-') && code != last {
            out.push(code);
        }
        if code != '-' {
            last = code;
        }
        if out.len() == 4 {
            break;
        }
    }
    while out.len() < 4 {
        out.push('0');
    }
    out
}

fn weighted(a: &str, b: &str, [insert, delete, replace]: [i64; 3]) -> i64 {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<i64> = (0..).take(b.len() + 1).map(|n: i64| n.saturating_mul(insert)).collect();
    for a in a.chars() {
        let mut diagonal = row.first().copied().unwrap_or_default();
        let mut left = diagonal.saturating_add(delete);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal.saturating_add(if a == *b { 0 } else { replace });
            diagonal = *cell;
            left = replaced
                .min(cell.saturating_add(delete))
                .min(left.saturating_add(insert));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn trigrams(text: &str) -> BTreeSet<[char; 3]> {
    let text = text.to_lowercase();
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words
        .flat_map(|word| {
            let letters: Vec<char> = "  ".chars().chain(word.chars()).chain([' ']).collect();
            letters
                .windows(3)
                .filter_map(|three| <[char; 3]>::try_from(three).ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
