//! How names sound: in Spanish (and Portuguese), where `b` is `v` and `z` is `s`, and in English.

/// The sounds of a name in Spanish: consonants, and the vowel that it begins with.
pub(crate) fn skeleton(name: &str) -> String {
    sounds(name, |letters, at| {
        let (letter, next) = (letters[at], letters.get(at + 1).copied().unwrap_or(b' '));
        let is_soft = matches!(next, b'e' | b'i' | b'y');
        // An h that a word begins with is not heard.
        let is_first = at == usize::from(letters[0] == b'h');
        match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' if is_first => Some((vowel(letter), 1)),
            b'y' if is_first && !is_vowel(next) => Some((vowel(letter), 1)),
            b'c' if next == b'h' => Some((b'x', 2)),
            b's' if next == b'h' => Some((b'x', 2)),
            b'p' if next == b'h' => Some((b'f', 2)),
            b'n' if next == b'h' => Some((b'n', 2)),
            b'l' if next == b'l' || next == b'h' => Some((if at == 0 || next == b'l' { b'y' } else { b'l' }, 2)),
            b'q' => Some((b'k', if next == b'u' { 2 } else { 1 })),
            b'c' if is_soft => Some((b's', 1)),
            b'c' | b'k' => Some((b'k', 1)),
            b'z' | b's' => Some((b's', 1)),
            b'g' if is_soft => Some((b'j', 1)),
            b'g' => Some((
                b'g',
                if next == b'u' && matches!(letters.get(at + 2), Some(b'e' | b'i')) {
                    2
                } else {
                    1
                },
            )),
            b'j' | b'x' => Some((b'j', 1)),
            b'b' | b'v' | b'w' => Some((b'b', 1)),
            b'm' if !is_vowel(next) => Some((b'n', 1)),
            b'y' if is_vowel(next) => Some((b'y', 1)),
            b'a' | b'e' | b'i' | b'o' | b'u' | b'h' | b'y' => None,
            other => Some((other, 1)),
        }
    })
}

/// The sounds of a name in English.
fn english(name: &str) -> String {
    sounds(name, |letters, at| {
        let (letter, next) = (letters[at], letters.get(at + 1).copied().unwrap_or(b' '));
        let before = if at == 0 { b' ' } else { letters[at - 1] };
        let is_soft = matches!(next, b'e' | b'i' | b'y');
        match letter {
            b'k' | b'g' | b'p' if at == 0 && next == b'n' => None,
            b'w' if at == 0 && next == b'r' => None,
            b'a' | b'e' | b'i' | b'o' | b'u' if at == 0 => Some((vowel(letter), 1)),
            b's' if next == b'c' && letters.get(at + 2) == Some(&b'h') => Some((b'x', 3)),
            b'c' | b's' if next == b'h' => Some((b'x', 2)),
            b'c' if next == b'k' => Some((b'k', 2)),
            b'c' if is_soft => Some((b's', 1)),
            b'c' | b'k' | b'q' => Some((b'k', 1)),
            b'd' if next == b'g' && matches!(letters.get(at + 2), Some(b'e' | b'i' | b'y')) => Some((b'j', 2)),
            b'g' if next == b'h' => match letters.get(at + 2) {
                Some(letter) if is_vowel(*letter) => Some((b'k', 2)),
                _ => None,
            },
            b'g' if is_soft => Some((b'j', 1)),
            b'g' => Some((b'k', 1)),
            b'p' if next == b'h' => Some((b'f', 2)),
            b't' if next == b'h' => Some((b'0', 2)),
            b'v' => Some((b'f', 1)),
            b'x' => Some((b'k', 1)),
            b'z' => Some((b's', 1)),
            b'h' if is_vowel(next) && !is_vowel(before) && at > 0 => None,
            b'h' | b'w' | b'y' if !is_vowel(next) => None,
            b'a' | b'e' | b'i' | b'o' | b'u' => None,
            other => Some((other, 1)),
        }
    })
}

/// Whether two names sound alike in one of the languages.
pub(super) fn sounds_alike(a: &str, b: &str) -> bool {
    let alike = |code: fn(&str) -> String| {
        let (a, b) = (code(a), code(b));
        // One consonant is too little to hear a difference.
        a == b && a.len() > 1
    };
    alike(skeleton) || alike(english)
}

/// The sounds that `sound` gives: each a letter, and how many letters of the name it is of. The same twice in a row is once.
fn sounds(name: &str, sound: impl Fn(&[u8], usize) -> Option<(u8, usize)>) -> String {
    let mut code = String::with_capacity(name.len());
    for word in name.split(' ') {
        let letters = word.as_bytes();
        let (mut at, mut before) = (0, None);
        while at < letters.len() {
            let (letter, step) = sound(letters, at).map_or((None, 1), |(letter, step)| (Some(letter), step));
            if let Some(letter) = letter.filter(|_| letter != before) {
                code.push(char::from(letter));
            }
            before = letter;
            at += step;
        }
        code.push(' ');
    }
    code.pop();
    code
}

fn is_vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// Vowels that are taken for one another.
fn vowel(letter: u8) -> u8 {
    match letter {
        b'a' => b'a',
        b'e' | b'i' | b'y' => b'e',
        _ => b'o',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_sound_alike() {
        for (a, b) in [
            ("gonzalez", "gonsales"),
            ("vazquez", "basques"),
            ("jimenez", "gimenes"),
            ("yolanda", "llolanda"),
            ("hernandez", "ernandes"),
            ("quesada", "kesada"),
            ("souza", "sousa"),
            ("philip", "filip"),
            ("knight", "nite"),
            ("wright", "right"),
            ("catherine", "katherine"),
            ("schmidt", "shmidt"),
            ("garcia lopez", "garsia lopes"),
        ] {
            assert!(
                sounds_alike(a, b),
                "{a} {b}: {} {} {} {}",
                skeleton(a),
                skeleton(b),
                english(a),
                english(b)
            );
        }
        for (a, b) in [("garcia", "lopez"), ("ana", "eva"), ("martin", "marin")] {
            assert!(!sounds_alike(a, b), "{a} {b}");
        }
    }
}
