//! Telephone numbers in the form of E.164.

use super::calling_codes::{self, Plan, code_length, of_code};

/// How numbers without a calling code are read: as those of one country.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialling(&'static Plan);

impl Dialling {
    /// That of a country, by its two letters.
    pub(crate) fn of(country: &str) -> Option<Self> {
        calling_codes::of_country(country).map(Self)
    }

    /// The countries that are known.
    pub(crate) fn countries() -> impl Iterator<Item = &'static str> {
        calling_codes::countries()
    }

    /// `+` and the digits that lead to the number from everywhere. A number that fits no plan keeps its own digits;
    /// too few digits, or one digit over and over, are no number.
    pub(crate) fn phone(self, text: &str) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        let end = ["ext", "x", "#"].iter().filter_map(|mark| lower.find(mark)).min();
        let text = lower[..end.unwrap_or(lower.len())].replace("(0)", "");
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let has_plus = text.trim_start().starts_with(['+', '(']) && text.contains('+');
        let abroad = match digits.strip_prefix("00") {
            _ if has_plus => Some(digits.as_str()),
            Some(rest) if rest.len() >= 8 => Some(rest),
            _ => digits
                .strip_prefix("011")
                .filter(|rest| self.0.code == "1" && rest.len() >= 10),
        };
        let number = match abroad {
            Some(number) => international(number),
            None => self.national(&digits),
        };
        number.filter(|number| !is_made_up(number))
    }

    fn national(self, digits: &str) -> Option<String> {
        let plan = self.0;
        let without_trunk = digits.strip_prefix(plan.trunk).unwrap_or(digits);
        let fits = |digits: &str| (plan.digits.0..=plan.digits.1).contains(&digits.len());
        if !plan.trunk.is_empty() && fits(without_trunk) || plan.trunk.is_empty() && fits(digits) {
            return Some(format!("+{}{without_trunk}", plan.code));
        }
        match digits.strip_prefix(plan.code) {
            Some(rest) if fits(rest) => Some(format!("+{digits}")),
            _ => (digits.len() >= 6).then(|| digits.to_owned()),
        }
    }
}

fn international(number: &str) -> Option<String> {
    let (code, rest) = number.split_at_checked(code_length(number))?;
    let rest = match of_code(code) {
        Some(plan) if plan.trunk == "0" => rest.strip_prefix('0').unwrap_or(rest),
        _ => rest,
    };
    (rest.len() >= 4).then(|| format!("+{code}{rest}"))
}

/// Whether the last digits are those of whoever did not want to give a number.
fn is_made_up(number: &str) -> bool {
    let tail = &number.as_bytes()[number.len().saturating_sub(8)..];
    let step = |by: u8| tail.windows(2).all(|pair| pair[1] == (pair[0] - b'0' + by) % 10 + b'0');
    tail.first() == Some(&b'+') || step(0) || step(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(country: &str, text: &str) -> String {
        Dialling::of(country).unwrap().phone(text).unwrap_or_default()
    }

    #[test]
    fn one_line_has_one_number() {
        for text in [
            "770 12 34 56",
            "+34 770-123-456",
            "0034770123456",
            "34770123456",
            "(+34) 770123456",
            "770123456 ext. 12",
        ] {
            assert_eq!(read("ES", text), "+34770123456", "{text}");
        }
        for text in [
            "020 7946 0018",
            "+44 (0)20 7946 0018",
            "00442079460018",
            "+4402079460018",
        ] {
            assert_eq!(read("GB", text), "+442079460018", "{text}");
        }
        assert_eq!(read("US", "1-202-555-0147"), "+12025550147");
        assert_eq!(read("US", "011 34 770 123 456"), "+34770123456");
        assert_eq!(
            read("IT", "+39 06 698 1234"),
            "+39066981234",
            "a zero that belongs to the number"
        );
        assert_eq!(read("PT", "+351 912 345 670"), "+351912345670");
        assert_eq!(read("ES", "+1 (202) 555-0147"), "+12025550147");
    }

    #[test]
    fn what_is_no_number_is_nothing() {
        for text in [
            "",
            "123",
            "no",
            "000000000",
            "600000000",
            "666666666",
            "123456789",
            "+",
            "+34",
        ] {
            assert_eq!(read("ES", text), "", "{text}");
        }
        assert_eq!(read("ES", "77012345"), "77012345", "a digit is missing");
        assert!(Dialling::of("XX").is_none() && Dialling::of("es").is_some());
    }
}
