//! Reading numbers and booleans from text, exactly.

/// Digits that a number may have before its decimal point, and after it; with more it is taken for text, for no type
/// holds as many.
const MOST_DIGITS: usize = 1_000;

/// What a number's text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Digits before the decimal point, without a lone zero.
    pub integer_digits: u16,
    /// Digits after it.
    pub scale: u16,
    /// Whether there is an exponent.
    pub exponent: bool,
    /// Whether it has leading zeros or a plus sign: more likely an identifier or a phone number.
    decorated: bool,
}

impl Number {
    /// Scans `-12.50e3`; `None` if it is not a number or has too many digits. At least one digit has to follow a
    /// decimal point.
    #[inline]
    pub fn scan(text: &[u8], point: u8) -> Option<Number> {
        let signed = matches!(text.first(), Some(b'-' | b'+'));
        let digits = &text[usize::from(signed)..];
        let integer = count_digits(digits);
        let leading_zero = digits.first() == Some(&b'0');
        let mut number = Number {
            integer_digits: digits_of(integer)? - u16::from(leading_zero && integer == 1),
            scale: 0,
            exponent: false,
            decorated: (leading_zero && integer > 1) || text.first() == Some(&b'+'),
        };
        let mut rest = &digits[integer..];
        if rest.is_empty() {
            return (integer > 0).then_some(number);
        }
        if rest[0] == point {
            let scale = count_digits(&rest[1..]);
            if scale == 0 {
                return None;
            }
            number.scale = digits_of(scale)?;
            rest = &rest[1 + scale..];
        } else if integer == 0 {
            return None;
        }
        if let Some(b'e' | b'E') = rest.first() {
            number.exponent = true;
            let exponent = &rest[1 + usize::from(matches!(rest.get(1), Some(b'-' | b'+')))..];
            let digits = count_digits(exponent);
            if digits == 0 {
                return None;
            }
            rest = &exponent[digits..];
        }
        rest.is_empty().then_some(number)
    }

    /// Whether the text is how a number is written, rather than an identifier that happens to be digits.
    pub fn is_canonical(&self) -> bool {
        !self.decorated
    }
}

/// Whether a number with an exponent is written as programs write what they have measured, `1.5e3` or `1e-07`, and not
/// as codes of letters and digits are: with a point, or with one digit and a small `e` or a sign of the exponent.
pub fn is_scientific(text: &[u8], point: u8) -> bool {
    let mantissa = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).count();
    let (mantissa, exponent) = text.split_at(mantissa);
    let digits = mantissa.strip_prefix(b"-").unwrap_or(mantissa).len();
    mantissa.contains(&point) || digits == 1 && matches!(exponent, [b'e', ..] | [_, b'+' | b'-', ..])
}

#[inline]
fn count_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn digits_of(count: usize) -> Option<u16> {
    (count <= MOST_DIGITS).then_some(count as u16)
}

/// An integer that fits 64 bits.
#[inline]
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || digits.len() > 38 {
        return None;
    }
    if digits.len() <= 18 {
        let mut value = 0i64;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + i64::from(digit);
        }
        return Some(if negative { -value } else { value });
    }
    i64::try_from(decimal(text, b'.', 38, 0)?).ok()
}

/// A decimal as a count of its smallest unit, `10^-scale`; `None` if it does not fit exactly.
#[inline]
pub fn decimal(text: &[u8], point: u8, precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (negative, digits) = sign(text);
    let unscaled = if digits.len() + scale <= 18 {
        i128::from(unscaled_small(digits, point, scale)?)
    } else {
        unscaled_large(digits, point, scale)?
    };
    let limit = 10i128.checked_pow(u32::from(precision))?;
    (unscaled < limit).then_some(if negative { -unscaled } else { unscaled })
}

/// The same in 64-bit arithmetic, for numbers that cannot overflow it: nearly all there are.
fn unscaled_small(digits: &[u8], point: u8, scale: usize) -> Option<i64> {
    const POWERS: [i64; 19] = {
        let mut powers = [1i64; 19];
        let mut at = 1;
        while at < 19 {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    let mut value = 0i64;
    let mut fraction = None;
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + i64::from(digit);
        } else if *byte == point && fraction.is_none() {
            fraction = Some(digits.len() - at - 1);
        } else {
            return None;
        }
    }
    let fraction = match fraction {
        None if digits.is_empty() => return None,
        None => 0,
        Some(0) => return None,
        Some(fraction) => fraction,
    };
    if fraction <= scale {
        return Some(value * POWERS[scale - fraction]);
    }
    let surplus = POWERS[fraction - scale];
    (value % surplus == 0).then_some(value / surplus)
}

fn unscaled_large(digits: &[u8], point: u8, scale: usize) -> Option<i128> {
    let digits = without_zeros(digits, point, scale);
    let mut value = 0i128;
    let mut fraction = None;
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        } else if *byte == point && fraction.is_none() {
            fraction = Some(digits.len() - at - 1);
        } else {
            return None;
        }
    }
    if digits.is_empty() || fraction == Some(0) {
        return None;
    }
    let fraction = fraction.unwrap_or(0);
    if fraction <= scale {
        value.checked_mul(10i128.checked_pow(u32::try_from(scale - fraction).ok()?)?)
    } else {
        let surplus = 10i128.checked_pow(u32::try_from(fraction - scale).ok()?)?;
        (value % surplus == 0).then_some(value / surplus)
    }
}

/// Without the zeros at the end that are beyond the scale, which might not fit.
fn without_zeros(digits: &[u8], point: u8, scale: usize) -> &[u8] {
    let Some(at) = digits.iter().position(|byte| *byte == point) else {
        return digits;
    };
    let kept = digits.len().min(at + 1 + scale.max(1));
    let zeros = digits[kept..].iter().rev().take_while(|byte| **byte == b'0').count();
    &digits[..digits.len() - zeros]
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// A double, rounded to the nearest where it has to be.
pub fn double(text: &[u8], point: u8) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if point == b'.' {
        text.parse().ok()
    } else {
        text.replace(char::from(point), ".").parse().ok()
    }
}

/// Whether a double, written with as many digits as the number has, is that number again.
pub fn is_exact_double(text: &[u8], point: u8) -> bool {
    let Some(value) = double(text, point).filter(|value| value.is_finite()) else {
        return false;
    };
    let mantissa = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    let digits: Vec<u8> = mantissa
        .copied()
        .filter(u8::is_ascii_digit)
        .skip_while(|digit| *digit == b'0')
        .collect();
    let same = |written: String| {
        let again = written.bytes().take_while(|byte| *byte != b'e');
        again.filter(u8::is_ascii_digit).eq(digits.iter().copied())
    };
    // Where the last digit is a tie, rounding to even and the shortest form that means this double differ.
    digits.is_empty() || same(format!("{value:.*e}", digits.len() - 1)) || same(format!("{value:e}"))
}

/// `true` or `false`, as people and programs write them.
#[inline]
pub fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal(b"1.5", b'.', 18, 2), Some(150));
        assert_eq!(decimal(b"-0,05", b',', 18, 2), Some(-5));
        assert_eq!(decimal(b"1.500", b'.', 18, 2), Some(150));
        assert_eq!(decimal(b"1.505", b'.', 18, 2), None);
        assert_eq!(
            decimal(b"12345678901234567.89", b'.', 38, 2),
            Some(1_234_567_890_123_456_789)
        );
        assert_eq!(decimal(b"100", b'.', 4, 2), None);
        let zeros = "0".repeat(60);
        assert_eq!(decimal(format!("1.5{zeros}").as_bytes(), b'.', 18, 2), Some(150));
        assert_eq!(decimal(format!("1{zeros}.0").as_bytes(), b'.', 38, 0), None);
        assert_eq!(decimal(b"", b'.', 4, 2), None);
        assert_eq!(decimal(b"-", b'.', 4, 2), None);
        assert_eq!(
            decimal(b"99999999999999999", b'.', 38, 18),
            Some(99_999_999_999_999_999 * 10i128.pow(18))
        );
    }

    #[test]
    fn integers_stop_where_64_bits_do() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"9223372036854775808"), None);
        assert_eq!(integer(b"1_000"), None);
    }

    proptest! {
        #[test]
        fn any_integer_round_trips(value: i64) {
            prop_assert_eq!(integer(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn any_decimal_round_trips(unscaled in -10i128.pow(30)..10i128.pow(30), scale in 1usize..12) {
            let digits = format!("{:0width$}", unscaled.abs(), width = scale + 1);
            let (integer, fraction) = digits.split_at(digits.len() - scale);
            let text = format!("{}{integer}.{fraction}", if unscaled < 0 { "-" } else { "" });
            prop_assert_eq!(decimal(text.as_bytes(), b'.', 38, scale as i8), Some(unscaled));
        }

        #[test]
        fn the_shortest_form_of_a_double_is_exact(value in proptest::num::f64::NORMAL) {
            let shortest = format!("{value:e}");
            prop_assert!(is_exact_double(shortest.as_bytes(), b'.'));
        }
    }
}
