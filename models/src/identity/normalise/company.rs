//! Names of companies.

use super::text;

/// Legal forms, and words that join.
#[rustfmt::skip]
const LEFT_OUT: [&str; 52] = [
    "ag", "and", "anonima", "aps", "as", "bv", "cb", "cia", "co", "comp", "compania", "company", "coop", "corp",
    "corporation", "de", "del", "e", "gmbh", "inc", "incorporated", "kg", "la", "lda", "limitada", "limited", "llc",
    "llp", "ltd", "ltda", "me", "nv", "oy", "plc", "pty", "sa", "sas", "sarl", "sau", "sc", "scp", "sl", "sll",
    "slne", "slp", "slu", "sociedad", "spa", "srl", "the", "unipessoal", "y",
];

/// The name without its legal form: `Aceites del Sur, S.L.` is `aceites sur`.
pub(crate) fn company(text: &str) -> Option<String> {
    let folded = text::meaningful(text)?;
    // Letters that stand alone are an abbreviation: S. L. is SL.
    let mut words: Vec<String> = Vec::new();
    let mut was_letter = false;
    for word in folded.split(' ') {
        let is_letter = word.len() == 1;
        match words.last_mut().filter(|_| is_letter && was_letter) {
            Some(last) => last.push_str(word),
            None => words.push(word.to_owned()),
        }
        was_letter = is_letter;
    }
    let kept: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !LEFT_OUT.contains(word))
        .collect();
    Some(if kept.is_empty() { folded } else { kept.join(" ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legal_form_makes_no_difference() {
        for text in ["Aceites del Sur, S.L.", "ACEITES DEL SUR SL", "Aceites Sur S. L. U."] {
            assert_eq!(company(text).as_deref(), Some("aceites sur"), "{text}");
        }
        assert_eq!(company("B & B Ltd").as_deref(), Some("bb"));
        assert_eq!(company("S.A.").as_deref(), Some("s a"));
    }
}
