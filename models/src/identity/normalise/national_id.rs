//! Numbers that a state gives to persons and companies, and their check digits.

/// Letters and digits in upper case. The prefix of a VAT number goes where what remains is a number of that country, and
/// a Spanish one gets back the zeros that spreadsheets cut off.
pub(crate) fn national_id(text: &str) -> Option<String> {
    let mut number: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    number.make_ascii_uppercase();
    let first = number.bytes().next()?;
    if number.len() < 5 || !number.bytes().any(|byte| byte.is_ascii_digit()) || number.bytes().all(|byte| byte == first)
    {
        return None;
    }
    for (country, is_valid) in [("ES", is_spanish as fn(&str) -> bool), ("PT", is_portuguese)] {
        if let Some(rest) = number.strip_prefix(country).filter(|rest| is_valid(rest)) {
            return Some(rest.to_owned());
        }
    }
    if number.len() < 9 && number.ends_with(|last: char| last.is_ascii_uppercase()) {
        let padded = format!("{number:0>9}");
        if is_spanish(&padded) {
            return Some(padded);
        }
    }
    Some(number)
}

/// Whether a normalised number has check digits, and they are right: it was not mistyped, so two different ones are two
/// persons.
pub(crate) fn is_checked(number: &str) -> bool {
    is_spanish(number) || is_portuguese(number) || is_cpf(number) || is_cnpj(number)
}

/// Whether a normalised number is a company's: a Spanish one, or a Brazilian CNPJ.
pub(crate) fn is_companys(number: &str) -> bool {
    is_cif(number) || is_cnpj(number)
}

fn is_spanish(number: &str) -> bool {
    is_nif(number) || is_cif(number)
}

/// NIF and NIE: the letter is the number modulo 23.
fn is_nif(number: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let bytes = number.as_bytes();
    let [first, middle @ .., last] = bytes else {
        return false;
    };
    let lead = match first {
        b'0'..=b'9' => first - b'0',
        b'X' | b'Y' | b'Z' => first - b'X',
        b'K' | b'L' | b'M' => 0,
        _ => return false,
    };
    if bytes.len() != 9 || !middle.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let value = middle
        .iter()
        .fold(usize::from(lead), |value, digit| value * 10 + usize::from(digit - b'0'));
    LETTERS[value % 23] == *last
}

/// CIF: a letter, seven digits, and a control that is a digit or a letter.
fn is_cif(number: &str) -> bool {
    let bytes = number.as_bytes();
    if bytes.len() != 9 || !b"ABCDEFGHJNPQRSUVW".contains(&bytes[0]) || !bytes[1..8].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = bytes[1..8]
        .iter()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            if at % 2 == 0 {
                2 * digit / 10 + 2 * digit % 10
            } else {
                digit
            }
        })
        .sum();
    let control = ((10 - sum % 10) % 10) as u8;
    bytes[8] == b'0' + control || bytes[8] == b"JABCDEFGHI"[usize::from(control)]
}

/// Portuguese NIF: weights 9 to 2, modulo 11.
fn is_portuguese(number: &str) -> bool {
    let Some(digits) = digits::<9>(number) else {
        return false;
    };
    let sum: u32 = (0..8).map(|at| digits[at] * (9 - at as u32)).sum();
    let check = 11 - sum % 11;
    digits[0] != 0 && digits[8] == if check >= 10 { 0 } else { check }
}

/// Brazilian CPF, of persons.
fn is_cpf(number: &str) -> bool {
    let Some(digits) = digits::<11>(number) else {
        return false;
    };
    let check = |count: usize| {
        let sum: u32 = (0..count).map(|at| digits[at] * (count + 1 - at) as u32).sum();
        sum * 10 % 11 % 10
    };
    check(9) == digits[9] && check(10) == digits[10]
}

/// Brazilian CNPJ, of companies.
fn is_cnpj(number: &str) -> bool {
    const WEIGHTS: [u32; 13] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let Some(digits) = digits::<14>(number) else {
        return false;
    };
    let check = |count: usize| {
        let weights = &WEIGHTS[13 - count..];
        let sum: u32 = (0..count).map(|at| digits[at] * weights[at]).sum();
        if sum % 11 < 2 { 0 } else { 11 - sum % 11 }
    };
    check(12) == digits[12] && check(13) == digits[13]
}

fn digits<const N: usize>(number: &str) -> Option<[u32; N]> {
    let bytes: [u8; N] = number.as_bytes().try_into().ok()?;
    bytes
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| bytes.map(|digit| u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_form() {
        for text in ["12345678Z", "12.345.678-z", "ES12345678Z", " 12345678 Z"] {
            assert_eq!(national_id(text).as_deref(), Some("12345678Z"), "{text}");
        }
        assert_eq!(
            national_id("1234567L").as_deref(),
            Some("01234567L"),
            "a zero that a spreadsheet cut off"
        );
        assert_eq!(national_id("PT 501964843").as_deref(), Some("501964843"));
        assert_eq!(national_id("ES99"), None);
        assert_eq!(national_id("00000000"), None);
        assert_eq!(national_id("5304218").as_deref(), Some("5304218"), "of another country");
    }

    #[test]
    fn check_digits_are_checked() {
        let right = [
            "12345678Z",
            "X1234567L",
            "A58818501",
            "501964843",
            "52998224725",
            "11222333000181",
        ];
        for number in right {
            assert!(is_checked(number), "{number}");
            let mut wrong = number.as_bytes().to_vec();
            wrong[3] = b'0' + (wrong[3] - b'0' + 1) % 10;
            assert!(
                !is_checked(&String::from_utf8_lossy(&wrong)),
                "{number} with another digit"
            );
        }
        assert!(is_companys("A58818501") && !is_companys("12345678Z"));
    }
}
