//! Numbers as decimal digits, rounded.

/// A number as digits: its sign, those before the point without leading zeros, and those after it.
pub(super) struct Digits {
    pub negative: bool,
    pub before: String,
    pub after: String,
}

impl Digits {
    /// Of a decimal, rounded half away from zero to so many digits after the point.
    pub fn of_decimal(value: i128, scale: i8, shift: usize, after: usize) -> Self {
        let mut digits = value.unsigned_abs().to_string();
        let scale = i64::from(scale) - i64::try_from(shift).unwrap_or(0);
        if scale < 0 {
            digits.push_str(&"0".repeat(usize::try_from(-scale).unwrap_or(0)));
        }
        let scale = usize::try_from(scale.max(0)).unwrap_or(0);
        if digits.len() <= scale {
            digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
        }
        let (before, fraction) = digits.split_at(digits.len() - scale);
        let mut all: Vec<u8> = before
            .bytes()
            .chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(after))
            .collect();
        if fraction.as_bytes().get(after).is_some_and(|digit| *digit >= b'5') {
            round_up(&mut all);
        }
        let text: String = all.into_iter().map(char::from).collect();
        let (before, fraction) = text.split_at(text.len() - after);
        let before = before.trim_start_matches('0');
        Self {
            negative: value < 0,
            before: if before.is_empty() {
                "0".to_owned()
            } else {
                before.to_owned()
            },
            after: fraction.to_owned(),
        }
    }

    /// Of a double, as far as it has digits.
    pub fn of_double(value: f64, shift: usize, after: usize) -> Self {
        let value = value * 10_f64.powi(i32::try_from(shift).unwrap_or(0));
        let whole = format!("{:.0}", value.abs()).len();
        let known = after.min(15_usize.saturating_sub(whole));
        let text = format!("{:.known$}", value.abs());
        let (before, fraction) = text.split_once('.').unwrap_or((&text, ""));
        Self {
            negative: value < 0.0,
            before: before.to_owned(),
            after: format!("{fraction:0<after$}"),
        }
    }

    pub fn is_zero(&self) -> bool {
        self.before == "0" && self.after.bytes().all(|digit| digit == b'0')
    }
}

/// Adds one to the last of decimal digits.
fn round_up(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

/// A number that is written.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Decimal(i128, i8),
    Double(f64),
}

impl Number {
    pub fn digits(self, shift: usize, after: usize) -> Digits {
        match self {
            Self::Decimal(value, scale) => Digits::of_decimal(value, scale, shift, after),
            Self::Double(value) => Digits::of_double(value, shift, after),
        }
    }

    /// Whether it is negative, its first digit with so many after the point, and the power of ten.
    pub fn scientific(self, after: usize) -> (bool, String, i32) {
        let (value, scale) = match self {
            Self::Double(value) => {
                let text = format!("{:.after$e}", value.abs());
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                return (value < 0.0, mantissa.to_owned(), exponent.parse().unwrap_or(0));
            }
            Self::Decimal(value, scale) => (value, scale),
        };
        let digits = value.unsigned_abs().to_string();
        let mut exponent = if value == 0 {
            0
        } else {
            i32::try_from(digits.len()).unwrap_or(0) - 1 - i32::from(scale)
        };
        let mut kept: Vec<u8> = digits.bytes().chain(std::iter::repeat(b'0')).take(after + 1).collect();
        if digits.as_bytes().get(after + 1).is_some_and(|digit| *digit >= b'5') {
            round_up(&mut kept);
        }
        if kept.len() > after + 1 {
            kept.truncate(after + 1);
            exponent += 1;
        }
        let mut mantissa: String = kept.into_iter().map(char::from).collect();
        if after > 0 {
            mantissa.insert(1, '.');
        }
        (value < 0, mantissa, exponent)
    }

    #[allow(clippy::cast_precision_loss)]
    pub fn as_double(self) -> f64 {
        match self {
            Self::Decimal(value, scale) => value as f64 / 10_f64.powi(scale.into()),
            Self::Double(value) => value,
        }
    }
}
