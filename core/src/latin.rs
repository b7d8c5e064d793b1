//! Names of any script in Latin letters.

use any_ascii::any_ascii_char;
use unicode_normalization::UnicodeNormalization;

/// What symbols are called where nothing else tells a name.
const SYMBOLS: [(char, &str); 9] = [
    ('%', "percent"),
    ('#', "number"),
    ('&', "and"),
    ('+', "plus"),
    ('-', "minus"),
    ('@', "at"),
    ('$', "dollar"),
    ('=', "equals"),
    ('?', "question"),
];

/// The text with its letters and digits in Latin ones; symbols stay.
pub(crate) fn latin(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    // An accent that is written beside its letter belongs to it.
    let characters: Vec<char> = text.nfc().collect();
    let mut latin = String::with_capacity(text.len());
    for (at, &c) in characters.iter().enumerate() {
        let written = any_ascii_char(c);
        if c.is_ascii() || !(c.is_alphanumeric() || written.is_empty()) {
            latin.push(c);
        } else if c.is_uppercase() && is_among_capitals(&characters, at) {
            // `Ч` is `CH` in a word of capitals, and not the beginning of one.
            latin.push_str(&written.to_ascii_uppercase());
        } else {
            latin.push_str(written);
        }
    }
    latin
}

/// The text with its symbols as words.
pub(crate) fn spelled_out(text: &str) -> String {
    let word = |c: char| {
        let symbol = SYMBOLS.iter().find(|(symbol, _)| *symbol == c);
        symbol.map_or_else(|| any_ascii_char(c), |(_, word)| word)
    };
    text.chars().map(word).collect::<Vec<_>>().join(" ")
}

fn is_among_capitals(characters: &[char], at: usize) -> bool {
    let is_capital = |c: Option<&char>| c.is_some_and(|c| c.is_uppercase());
    let next = characters.get(at + 1);
    match next.is_some_and(|c| c.is_alphabetic()) {
        true => is_capital(next),
        false => at > 0 && is_capital(characters.get(at - 1)),
    }
}
