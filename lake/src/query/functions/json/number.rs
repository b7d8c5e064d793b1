//! Numbers as JSON writes them.

use std::borrow::Cow;

/// More zeros than these are not written out.
const MOST_ZEROS: i64 = 1000;

/// The sign, the digits without zeros at either end, and the power of ten of the last digit. Of zero there are no digits.
pub(super) fn parts(raw: &str) -> (bool, String, i64) {
    let (negative, raw) = raw.strip_prefix('-').map_or((false, raw), |raw| (true, raw));
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_start_matches('0');
    let short = trimmed.trim_end_matches('0');
    if short.is_empty() {
        return (false, String::new(), 0);
    }
    let zeros = i64::try_from(trimmed.len() - short.len()).unwrap_or_default();
    let fraction = i64::try_from(fraction.len()).unwrap_or_default();
    let exponent = exponent.parse().unwrap_or(0i64);
    (
        negative,
        short.to_owned(),
        exponent.saturating_sub(fraction).saturating_add(zeros),
    )
}

/// The number without an exponent and with all of its digits, as PostgreSQL's `jsonb` has it.
pub(super) fn plain(raw: &str) -> Cow<'_, str> {
    let (sign, unsigned) = raw.strip_prefix('-').map_or(("", raw), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
    // There is no negative zero.
    let is_zero = !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let sign = if is_zero { "" } else { sign };
    if exponent.is_empty() {
        return if is_zero { mantissa.into() } else { raw.into() };
    }
    let Some(exponent) = exponent.parse().ok().filter(|power: &i64| power.abs() <= MOST_ZEROS) else {
        return raw.into();
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let length = |digits: &str| i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    // The digits before the point, and those behind it.
    let point = length(whole) + exponent;
    let digits = format!(
        "{}{whole}{fraction}{}",
        zeros(-point),
        zeros(point - length(whole) - length(fraction))
    );
    let (whole, fraction) = digits.split_at(usize::try_from(point.max(0)).unwrap_or_default());
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    match fraction.is_empty() {
        true => format!("{sign}{whole}").into(),
        false => format!("{sign}{whole}.{fraction}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn exponents_are_written_out() {
        for (raw, written) in [
            ("1.50", "1.50"),
            ("-1", "-1"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("1e3", "1000"),
            ("1E-2", "0.01"),
            ("-1.25e1", "-12.5"),
            ("1.50e1", "15.0"),
            ("1.5e+1", "15"),
            ("0.05e1", "0.5"),
            ("12e-1", "1.2"),
            ("0e5", "0"),
            ("0.0e1", "0"),
            ("1e5000", "1e5000"),
        ] {
            assert_eq!(plain(raw), written, "{raw}");
        }
    }
}
