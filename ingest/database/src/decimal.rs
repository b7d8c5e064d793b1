//! Decimals as 128-bit numbers.

use super::unreadable::Unreadable;

/// The powers of ten that an i128 holds.
pub(crate) const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The value, if it has no more digits than `precision`.
#[inline]
pub(crate) fn within(value: i128, precision: u8) -> Result<i128, Unreadable> {
    match POWERS.get(usize::from(precision)) {
        Some(limit) if value.abs() >= *limit => Err(Unreadable::TooManyDigits),
        _ => Ok(value),
    }
}

/// The value of a text such as `-12.50`, × 10^scale.
///
/// # Errors
/// NaN and infinity; more digits than `precision`, or than `scale` behind the point.
pub(crate) fn of_text(text: &[u8], precision: u8, scale: i8) -> Result<i128, Unreadable> {
    if matches!(text, b"NaN" | b"Infinity" | b"-Infinity") {
        return Err(Unreadable::NotANumber);
    }
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    let scale = usize::try_from(scale).unwrap_or_default();
    let (kept, cut) = fraction.split_at(scale.min(fraction.len()));
    if cut.iter().any(|digit| *digit != b'0') {
        return Err(Unreadable::TooManyDigits);
    }
    if whole.is_empty() && kept.is_empty() {
        return Err(Unreadable::Malformed);
    }
    let missing = std::iter::repeat_n(b'0', scale - kept.len());
    let mut result = 0i128;
    for digit in whole.iter().chain(kept).copied().chain(missing) {
        if !digit.is_ascii_digit() {
            return Err(Unreadable::Malformed);
        }
        let next = result
            .checked_mul(10)
            .and_then(|ten| ten.checked_add((digit - b'0').into()));
        result = next.ok_or(Unreadable::TooManyDigits)?;
    }
    within(if negative { -result } else { result }, precision)
}
