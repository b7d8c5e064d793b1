//! Any text: lower-case ASCII letters and digits, words with one space between them.

use any_ascii::any_ascii_char;

/// What people and forms write where there is nothing to say.
#[rustfmt::skip]
const NOTHING: [&str; 30] = [
    "anonimo", "anonymous", "desconhecido", "desconocida", "desconocido", "inconnu", "n a", "n d", "na", "nan",
    "nao informado", "nd", "nil", "ninguna", "ninguno", "no aplica", "no consta", "no tiene", "none", "not available",
    "not provided", "ns nc", "null", "pendiente", "sin datos", "sin informacion", "tbd", "undefined", "unknown",
    "unbekannt",
];

/// Lower case, without accents, and everything but letters and digits turned into single spaces. An apostrophe joins.
pub(crate) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut push = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            folded.push(letter.to_ascii_lowercase());
        } else if !matches!(letter, '\'' | '`') && !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    };
    for letter in text.chars() {
        match letter {
            // An accent that is written as a letter of its own.
            '\u{300}'..='\u{36f}' => {}
            '´' | '’' | '‘' | 'ʼ' => {}
            _ if letter.is_ascii() => push(letter),
            _ => any_ascii_char(letter).chars().for_each(&mut push),
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

/// [`folded`], unless it says nothing.
pub(crate) fn meaningful(text: &str) -> Option<String> {
    Some(folded(text)).filter(|text| !says_nothing(text))
}

/// Whether a folded text is empty, one of those that stand for nothing, or one letter over and over.
pub(crate) fn says_nothing(folded: &str) -> bool {
    let mut letters = folded.bytes();
    let first = letters.next();
    let is_repeated = folded.len() >= 3 && letters.all(|letter| Some(letter) == first);
    folded.is_empty() || NOTHING.contains(&folded) || is_repeated && !folded.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_become_one() {
        assert_eq!(folded("  Núñez–O'Brien,  José "), "nunez obrien jose");
        assert_eq!(folded("Nu\u{301}n\u{303}ez"), "nunez");
        assert_eq!(folded("Straße 7ª"), "strasse 7a");
        assert_eq!(folded("¡!"), "");
    }

    #[test]
    fn nothing_is_nothing() {
        for nothing in ["", " - ", "N/A", "NULL", "xxxx", "Desconocido", "???"] {
            assert_eq!(meaningful(nothing), None, "{nothing}");
        }
        assert_eq!(meaningful("Ana").as_deref(), Some("ana"));
        assert_eq!(meaningful("111").as_deref(), Some("111"), "a house number");
    }
}
