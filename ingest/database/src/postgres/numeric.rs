//! PostgreSQL's `numeric`: groups of four decimal digits. Source: src/backend/utils/adt/numeric.c, `numeric_send`.

use crate::decimal::within;
use crate::value_error::ValueError;

/// The powers of ten that an i128 holds.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// A value as it is sent: the number of groups, the weight of the first, the sign, the digits behind the point.
struct NumericGroups<'a> {
    groups: &'a [u8],
    weight: i32,
    sign: u16,
    scale: u16,
}

impl<'a> NumericGroups<'a> {
    #[inline]
    fn read(value: &'a [u8]) -> Result<Self, ValueError> {
        let &[n0, n1, w0, w1, s0, s1, d0, d1, ref groups @ ..] = value else {
            return Err(ValueError::Malformed);
        };
        if groups.len() != 2 * usize::from(u16::from_be_bytes([n0, n1])) {
            return Err(ValueError::Malformed);
        }
        let (weight, scale) = (i16::from_be_bytes([w0, w1]), u16::from_be_bytes([d0, d1]));
        Ok(Self {
            groups,
            weight: weight.into(),
            sign: u16::from_be_bytes([s0, s1]),
            scale,
        })
    }

    /// The groups, each 0 to 9999.
    #[inline]
    fn digits(&self) -> impl Iterator<Item = Result<u16, ValueError>> + use<'a> {
        self.groups.chunks_exact(2).map(|group| {
            let group = u16::from_be_bytes([group[0], group[1]]);
            if group < 10_000 {
                Ok(group)
            } else {
                Err(ValueError::Malformed)
            }
        })
    }
}

/// The value × 10^scale.
///
/// # Errors
/// NaN and infinity; more digits than `precision`, or than `scale` behind the point.
#[inline]
pub(super) fn decimal(value: &[u8], precision: u8, scale: i8) -> Result<i128, ValueError> {
    let sent = NumericGroups::read(value)?;
    let negative = match sent.sign {
        0 => false,
        NEGATIVE => true,
        NAN | INFINITY | MINUS_INFINITY => return Err(ValueError::NotANumber),
        _ => return Err(ValueError::Malformed),
    };
    // The power of ten of a group's last digit, in units of the result.
    let mut power = 4 * sent.weight + i32::from(scale);
    let (mut result, mut zeros) = (0i128, 0);
    for group in sent.digits() {
        let group = group?;
        let (shift, digits) = match power {
            0.. => (4, group),
            -3..0 => {
                let cut = 10u16.pow(power.unsigned_abs());
                if group % cut != 0 {
                    return Err(ValueError::TooManyDigits);
                }
                (4 + power, group / cut)
            }
            _ if group != 0 => return Err(ValueError::TooManyDigits),
            _ => (0, 0),
        };
        let scaled = result.checked_mul(POWERS[usize::try_from(shift).unwrap_or_default()]);
        let next = scaled.and_then(|scaled| scaled.checked_add(digits.into()));
        result = next.ok_or(ValueError::TooManyDigits)?;
        zeros = power.max(0);
        power -= 4;
    }
    if result != 0 {
        let factor = usize::try_from(zeros).ok().and_then(|zeros| POWERS.get(zeros));
        let scaled = factor.and_then(|factor| result.checked_mul(*factor));
        result = scaled.ok_or(ValueError::TooManyDigits)?;
    }
    within(if negative { -result } else { result }, precision)
}

/// Writes the value as PostgreSQL does.
pub(super) fn text(value: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    let sent = NumericGroups::read(value)?;
    let special: &[u8] = match sent.sign {
        0 => b"",
        NEGATIVE => {
            out.push(b'-');
            b""
        }
        NAN => b"NaN",
        INFINITY => b"Infinity",
        MINUS_INFINITY => b"-Infinity",
        _ => return Err(ValueError::Malformed),
    };
    if !special.is_empty() {
        out.extend_from_slice(special);
        return Ok(());
    }
    let digits = sent.digits().collect::<Result<Vec<_>, _>>()?;
    let group = |weight: i32| {
        let at = usize::try_from(sent.weight - weight).ok();
        at.and_then(|at| digits.get(at).copied()).unwrap_or(0)
    };
    let four = |group: u16| {
        let digit = |power: u16| b'0' + u8::try_from(group / power % 10).unwrap_or_default();
        [digit(1_000), digit(100), digit(10), digit(1)]
    };
    if sent.weight < 0 {
        out.push(b'0');
    }
    for weight in (0..=sent.weight).rev() {
        let digits = four(group(weight));
        // Only the first group leaves its zeros out.
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count().min(3);
        out.extend_from_slice(if weight == sent.weight {
            &digits[zeros..]
        } else {
            &digits
        });
    }
    if sent.scale > 0 {
        out.push(b'.');
        let fraction = (1..).flat_map(|below: i32| four(group(-below)));
        out.extend(fraction.take(sent.scale.into()));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What PostgreSQL sends for a decimal's text.
    fn send(text: &str) -> Vec<u8> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let scale = u16::try_from(fraction.len()).unwrap();
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let mut weight = i16::try_from(whole.len() / 4).unwrap() - 1;
        let all = whole + &fraction;
        let mut groups: Vec<u16> = all
            .as_bytes()
            .chunks(4)
            .map(|group| std::str::from_utf8(group).unwrap().parse().unwrap())
            .collect();
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        let sign = if negative && !groups.is_empty() { NEGATIVE } else { 0 };
        let mut sent = u16::try_from(groups.len()).unwrap().to_be_bytes().to_vec();
        sent.extend(weight.to_be_bytes());
        sent.extend(sign.to_be_bytes());
        sent.extend(scale.to_be_bytes());
        sent.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        sent
    }

    fn text_of(text: &str) -> String {
        let mut out = Vec::new();
        super::text(&send(text), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_values() {
        assert_eq!(decimal(&send("12345.678"), 10, 3), Ok(12_345_678));
        assert_eq!(decimal(&send("-0.0001"), 10, 4), Ok(-1));
        assert_eq!(decimal(&send("100000000"), 10, 0), Ok(100_000_000));
        assert_eq!(decimal(&send("0"), 10, 2), Ok(0));
        assert_eq!(decimal(&send("1.005"), 10, 2), Err(ValueError::TooManyDigits));
        assert_eq!(decimal(&send("123.4"), 3, 1), Err(ValueError::TooManyDigits));
        assert_eq!(decimal(&[0, 0, 0, 0, 0xC0, 0, 0, 0], 3, 1), Err(ValueError::NotANumber));
        let all_nines = "9".repeat(38);
        assert_eq!(decimal(&send(&all_nines), 38, 0), Ok(all_nines.parse().unwrap()));
        assert_eq!(
            decimal(&send(&format!("0.{all_nines}")), 38, 38),
            Ok(all_nines.parse().unwrap())
        );
        assert_eq!(decimal(&send(&"9".repeat(39)), 38, 0), Err(ValueError::TooManyDigits));
        for text in [
            "0",
            "0.00",
            "10000",
            "-12.3400",
            "0.00001",
            "123456789012345678901234567890.5",
        ] {
            assert_eq!(text_of(text), text);
        }
    }

    proptest! {
        #[test]
        fn text_and_binary_agree(value in -POWERS[30]..POWERS[30], scale in 0i8..12) {
            let factor = POWERS[usize::try_from(scale).unwrap()];
            let sign = if value < 0 { "-" } else { "" };
            let width = usize::try_from(scale).unwrap();
            let text = match scale {
                0 => format!("{value}"),
                _ => format!("{sign}{}.{:0width$}", value.abs() / factor, value.abs() % factor),
            };
            prop_assert_eq!(decimal(&send(&text), 38, scale), Ok(value));
            prop_assert_eq!(crate::decimal::of_text(text.as_bytes(), 38, scale), Ok(value));
            if value != 0 {
                prop_assert_eq!(text_of(&text), text);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decimal(&bytes, 38, 4);
            let _ = crate::decimal::of_text(&bytes, 38, 4);
            let _ = text(&bytes, &mut Vec::new());
        }
    }
}
