//! Numbers of text and of other numbers, rounded as PostgreSQL rounds them.

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integer {
    Is(i128),
    /// Beyond all types.
    TooLarge,
    IsNone,
}

/// The value of a decimal, in units of its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decimal {
    Is(i128),
    TooLarge,
    IsNone,
}

/// A float, in the range of its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Float {
    Is(f64),
    OutOfRange,
    IsNone,
}

/// `t`, `yes`, `on`, `1` and the like, each as far as it is not ambiguous.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if begins("true", 1) || begins("yes", 1) || text == "on" || text == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// Digits with a sign, spaces around them.
pub(super) fn integer(text: &str) -> Integer {
    let text = text.trim_matches(|letter: char| letter.is_ascii_whitespace());
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Integer::IsNone;
    }
    text.parse().map_or(Integer::TooLarge, Integer::Is)
}

/// To the nearest whole number, of two the even one.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn of_float(value: f64) -> Integer {
    if value.is_finite() && value.abs() < 1e38 {
        Integer::Is(value.round_ties_even() as i128)
    } else {
        Integer::TooLarge
    }
}

/// To the nearest whole number, of two the one farther from zero.
pub(super) fn of_decimal(value: i128, scale: i8) -> Integer {
    let power = 10_i128.checked_pow(scale.unsigned_abs().into());
    match (power, scale) {
        (Some(power), ..=0) => value.checked_mul(power).map_or(Integer::TooLarge, Integer::Is),
        (Some(power), _) => Integer::Is(rounded(value, power)),
        (None, _) => Integer::Is(0),
    }
}

fn rounded(value: i128, power: i128) -> i128 {
    let (whole, rest) = (value / power, value % power);
    if rest.unsigned_abs() >= power.unsigned_abs().div_ceil(2) {
        whole + value.signum()
    } else {
        whole
    }
}

/// A double of text.
pub(super) fn float64(text: &str) -> Float {
    let text = text.trim();
    text.parse().map_or(Float::IsNone, |value| fitting(value, text))
}

/// A float of 32 bits of text.
pub(super) fn float32(text: &str) -> Float {
    let text = text.trim();
    let value = text.parse::<f32>();
    value.map_or(Float::IsNone, |value| fitting(value.into(), text))
}

/// The value, if infinity and zero are what the text says, and not the nearest that there is.
fn fitting(value: f64, text: &str) -> Float {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = !mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let fits = match value {
        value if value.is_infinite() => text.to_ascii_lowercase().contains("inf"),
        0.0 => is_zero,
        _ => true,
    };
    if fits { Float::Is(value) } else { Float::OutOfRange }
}

/// Powers of ten that are doubles.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The double that is nearest to a decimal.
#[allow(clippy::cast_precision_loss)]
pub(super) fn double(value: i128, scale: i8) -> f64 {
    let power = usize::from(scale.unsigned_abs());
    match EXACT.get(power) {
        // A quotient of two doubles is the nearest one.
        Some(power) if value.unsigned_abs() < 1 << 53 => match scale {
            0.. => value as f64 / power,
            _ => value as f64 * power,
        },
        _ => format!("{value}e{}", -i16::from(scale)).parse().unwrap_or(f64::NAN),
    }
}

/// A decimal, with or without an exponent, rounded half away from zero to the scale.
pub(super) fn decimal(text: &str, scale: i8) -> Decimal {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => match exponent.parse::<i32>() {
            Ok(exponent) => (mantissa, exponent),
            Err(_) => return Decimal::IsNone,
        },
        None => (unsigned, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if before.is_empty() && after.is_empty() || !is_digits(before) || !is_digits(after) {
        return Decimal::IsNone;
    }
    let digits: String = [before, after].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Decimal::Is(0);
    }
    // Digits of the value beyond those of the text; less than none are rounded away.
    let places = i64::from(scale) + i64::from(exponent) - i64::try_from(after.len()).unwrap_or(i64::MAX);
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let value = if places >= 0 {
        if length.saturating_add(places) > 38 {
            return Decimal::TooLarge;
        }
        let power = 10_i128.pow(u32::try_from(places).unwrap_or(0));
        digits.parse::<i128>().ok().and_then(|value| value.checked_mul(power))
    } else {
        let kept = length + places;
        if kept < 0 {
            return Decimal::Is(0);
        }
        if kept > 38 {
            return Decimal::TooLarge;
        }
        let (kept, cut) = digits.split_at(usize::try_from(kept).unwrap_or(0));
        let whole = if kept.is_empty() {
            Some(0)
        } else {
            kept.parse::<i128>().ok()
        };
        whole.map(|whole| whole + i128::from(cut.as_bytes().first().is_some_and(|digit| *digit >= b'5')))
    };
    match value {
        Some(value) => Decimal::Is(if negative { -value } else { value }),
        None => Decimal::TooLarge,
    }
}

/// Bytes: `\x4142` in hexadecimal, else the text's own, where `\\` is a backslash and `\101` a byte in octal.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    if let Some(hexadecimal) = text.strip_prefix("\\x") {
        let digits: Option<Vec<u8>> = hexadecimal
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits?;
        let pairs = digits.chunks(2).map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        });
        return pairs.collect();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            [high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..] => {
                out.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                rest = after;
            }
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn decimals_round_away_from_zero() {
        for (text, scale, value) in [
            ("1.5", 0, Decimal::Is(2)),
            ("-1.5", 0, Decimal::Is(-2)),
            ("1.005", 2, Decimal::Is(101)),
            (" 1e3 ", 1, Decimal::Is(10_000)),
            ("1.25e-3", 4, Decimal::Is(13)),
            (".5", 1, Decimal::Is(5)),
            ("5.", 1, Decimal::Is(50)),
            ("0.0004", 2, Decimal::Is(0)),
            ("1e40", 0, Decimal::TooLarge),
            ("", 0, Decimal::IsNone),
            (".", 0, Decimal::IsNone),
            ("1x", 0, Decimal::IsNone),
            ("NaN", 0, Decimal::IsNone),
        ] {
            assert_eq!(decimal(text, scale), value, "{text}");
        }
        assert_eq!(decimal("99.99", 1), Decimal::Is(1000));
        assert_eq!(of_decimal(-25, 1), Integer::Is(-3));
        assert_eq!(of_decimal(24, 1), Integer::Is(2));
        assert_eq!(of_float(2.5), Integer::Is(2));
        assert_eq!(of_float(f64::NAN), Integer::TooLarge);
    }

    #[test]
    fn floats_are_the_nearest_or_out_of_range() {
        for (text, value) in [
            ("1.5", Float::Is(1.5)),
            ("-Infinity", Float::Is(f64::NEG_INFINITY)),
            ("1e400", Float::OutOfRange),
            ("1e-400", Float::OutOfRange),
            ("0e-400", Float::Is(0.0)),
            ("1e", Float::IsNone),
        ] {
            assert_eq!(float64(text), value, "{text}");
        }
        assert_eq!(float32("1e39"), Float::OutOfRange);
        for (value, scale, nearest) in [
            (1, 1, "0.1"),
            (1, -15, "1e15"),
            (123_456_789_012_345_678_901_234, 3, "123456789012345678901.234"),
            (9_007_199_254_740_993, 22, "9.007199254740993e-7"),
            (1, 30, "1e-30"),
        ] {
            let nearest: f64 = nearest.parse().unwrap();
            assert_eq!(double(value, scale), nearest, "{value} {scale}");
        }
    }
}
