//! Postal addresses: streets with their numbers, postcodes.

use super::text;

/// Words that everybody writes differently or leaves out. Nothing stands for a word that says nothing.
#[rustfmt::skip]
const WORDS: [(&str, &str); 78] = [
    ("alda", "alameda"), ("apartamento", ""), ("apartment", ""), ("apt", ""), ("apto", ""), ("avda", "av"),
    ("ave", "av"), ("avenida", "av"), ("avenue", "av"), ("avgda", "av"), ("avinguda", "av"), ("bj", "bajo"),
    ("blvd", "boulevard"), ("bo", "barrio"), ("c", ""), ("call", ""), ("calle", ""), ("carrer", ""), ("cl", ""),
    ("cmno", "camino"), ("cno", "camino"), ("cr", "crescent"), ("cra", "carretera"), ("cres", "crescent"),
    ("ct", "court"), ("ctra", "carretera"), ("da", ""), ("das", ""), ("dcha", "derecha"), ("de", ""), ("del", ""),
    ("do", ""), ("dos", ""), ("dr", "drive"), ("drcha", "derecha"), ("edif", "edificio"), ("el", ""),
    ("esc", "escalera"), ("flat", ""), ("hwy", "highway"), ("izda", "izquierda"), ("izq", "izquierda"), ("la", ""),
    ("las", ""), ("ln", "lane"), ("los", ""), ("n", ""), ("no", ""), ("num", ""), ("numero", ""), ("p", "paseo"),
    ("pca", "pl"), ("piso", ""), ("pje", "pasaje"), ("place", "pl"), ("planta", ""), ("plaza", "pl"), ("plz", "pl"),
    ("plza", "pl"), ("po", "paseo"), ("pol", "poligono"), ("praca", "pl"), ("pso", "paseo"), ("pta", ""),
    ("puerta", ""), ("pza", "pl"), ("r", ""), ("rd", "road"), ("rda", "ronda"), ("rua", ""), ("st", ""), ("str", ""),
    ("strasse", ""), ("street", ""), ("trav", "travesia"), ("unit", ""), ("urb", "urbanizacion"), ("y", ""),
];

/// A street, with its number or without: sorts of streets by one word, without what is often left out.
pub(crate) fn street(text: &str) -> Option<String> {
    let plain = text.replace(['º', 'ª', '°'], " ");
    let folded = text::meaningful(&plain)?;
    let mut kept = String::with_capacity(folded.len());
    for word in folded.split(' ') {
        let word = without_ordinal(word);
        let known = WORDS.binary_search_by_key(&word, |(word, _)| word);
        let word = known.map_or(word, |at| WORDS[at].1);
        if !word.is_empty() {
            if !kept.is_empty() {
                kept.push(' ');
            }
            kept.push_str(word);
        }
    }
    Some(if kept.is_empty() { folded } else { kept })
}

/// The number of a floor, of which some systems make `3o` where people wrote `3º`.
fn without_ordinal(word: &str) -> &str {
    match word.strip_suffix('o') {
        Some(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => number,
        _ => word,
    }
}

/// The number of a house, without zeros before it.
pub(crate) fn number(text: &str) -> Option<String> {
    let folded = text::meaningful(text)?;
    let number = folded.trim_start_matches('0');
    (!number.is_empty()).then(|| number.to_owned())
}

/// A postcode without spaces. `digits` is how many digits those of the country have, where they are all digits: zeros
/// that a spreadsheet cut off come back.
pub(crate) fn postcode(text: &str, digits: Option<usize>) -> Option<String> {
    let mut code: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    code.make_ascii_lowercase();
    if code.is_empty() || code.bytes().all(|byte| matches!(byte, b'0' | b'x')) || text::says_nothing(&code) {
        return None;
    }
    match digits {
        Some(digits) if code.len() + 1 == digits && code.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("0{code}"))
        }
        _ => Some(code),
    }
}

/// How many digits the postcodes of a country have.
pub(crate) fn postcode_digits(country: &str) -> Option<usize> {
    match country.to_ascii_uppercase().as_str() {
        "DE" | "ES" | "FR" | "IT" | "MX" | "US" => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streets_are_written_in_one_way() {
        for text in [
            "Calle de la Paz, nº 12, 3º B",
            "C/ Paz 12 3 b",
            "C. LA PAZ, 12 - 3ºB",
            "C. Paz 12, 3o B",
        ] {
            assert_eq!(street(text).as_deref(), Some("paz 12 3 b"), "{text}");
        }
        assert_eq!(
            street("Avda. América 4").as_deref(),
            street("avenida america, 4").as_deref()
        );
        assert_eq!(
            street("Pº de Gracia 4").as_deref(),
            street("Paseo Gracia, 4").as_deref()
        );
        assert_ne!(street("Plaza Mayor"), street("Calle Mayor"));
        assert_eq!(street("calle").as_deref(), Some("calle"));
        assert_eq!(street("s/n").as_deref(), Some("s"));
        assert!(WORDS.is_sorted_by_key(|(word, _)| *word));
    }

    #[test]
    fn zeros_make_no_difference() {
        assert_eq!(number("007").as_deref(), Some("7"));
        assert_eq!(number("12 B").as_deref(), Some("12 b"));
        assert_eq!(postcode("8001", postcode_digits("ES")).as_deref(), Some("08001"));
        assert_eq!(postcode("2119", postcode_digits("AU")).as_deref(), Some("2119"));
        assert_eq!(postcode("SW1A 1AA", None).as_deref(), Some("sw1a1aa"));
        assert_eq!(postcode("00000", None), None);
    }
}
