//! The mistakes that make one person look like several.

use super::random::Random;

/// `text` with one slip of the fingers: two neighbouring letters swapped, one dropped, or one doubled.
/// Always different from `text`, unless it is too short to go wrong.
pub fn slip(text: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 3 {
        return text.to_owned();
    }
    // The first letter is the one that people get right.
    let at = 1 + random.below(letters.len() as u32 - 2) as usize;
    match random.below(3) {
        0 if letters[at] != letters[at + 1] => letters.swap(at, at + 1),
        1 => letters.insert(at, letters[at]),
        _ => {
            letters.remove(at);
        }
    }
    letters.into_iter().collect()
}

/// A mistyped e-mail address: a slip in the name or in the domain.
pub fn email(address: &str, random: &mut Random) -> String {
    match address.split_once('@') {
        Some((name, domain)) if random.chance(600) => {
            // The last label stays, so that even a mistyped address belongs to nobody.
            let (host, top) = domain.split_once('.').unwrap_or((domain, "example"));
            format!("{name}@{}.{top}", slip(host, random))
        }
        Some((name, domain)) => format!("{}@{domain}", slip(name, random)),
        None => slip(address, random),
    }
}

/// A nine-digit telephone number as people write one: with or without the country, spaces, dashes.
pub fn telephone(digits: &str, random: &mut Random) -> String {
    let (a, b, c) = (&digits[..3], &digits[3..6], &digits[6..]);
    match random.below(6) {
        0 => format!("+34 {a} {b} {c}"),
        1 => format!("{a}-{b}-{c}"),
        2 => format!("{a} {b} {c}"),
        3 => format!("0034{digits}"),
        4 => format!("+34{digits}"),
        _ => digits.to_owned(),
    }
}

/// A telephone number with one digit wrong.
pub fn wrong_digit(digits: &str, random: &mut Random) -> String {
    let at = 3 + random.below(digits.len() as u32 - 3) as usize;
    let by = 1 + random.below(9);
    digits
        .chars()
        .enumerate()
        .map(|(index, digit)| match digit.to_digit(10) {
            Some(value) if index == at => char::from_digit((value + by) % 10, 10).unwrap_or(digit),
            _ => digit,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Topic;

    #[test]
    fn a_mistake_is_never_the_truth() {
        for key in 0..5_000 {
            let mut random = Random::new(3, Topic::Misspelling, [key]);
            assert_ne!(slip("González", &mut random), "González");
            let address = email("lucia.perez77@correo.example", &mut random);
            assert_ne!(address, "lucia.perez77@correo.example");
            assert!(address.ends_with(".example"), "{address}");
            assert_ne!(wrong_digit("770123456", &mut random), "770123456");
        }
    }

    #[test]
    fn formats_keep_the_digits() {
        for key in 0..100 {
            let mut random = Random::new(3, Topic::Misspelling, [key]);
            let written = telephone("770123456", &mut random);
            let digits: String = written.chars().filter(char::is_ascii_digit).collect();
            assert!(digits.ends_with("770123456"), "{written}");
        }
    }
}
