//! How the values of a column are written, as long as one rule says it of all of them: by it they can be written again
//! when the column becomes text later.

use chrono_tz::Tz;
use cordada_core::spelling::{LOWER, Spelling, TITLE, TimeForm, UPPER};
use serde::{Deserialize, Serialize};

use super::parse::Number;

/// More than one: no rule holds.
const SEVERAL: u16 = u16::MAX;

const IN_LOWER: u8 = 1;
const IN_TITLE: u8 = 1 << 1;
const IN_UPPER: u8 = 1 << 2;
/// A whole number has a point.
const WHOLE_POINT: u8 = 1 << 3;
/// A whole number has none.
const WHOLE_BARE: u8 = 1 << 4;
/// An exponent is not written as `1.5e3`.
const ODD_EXPONENT: u8 = 1 << 5;
/// A number lacks its zero before the point, or has a sign that says nothing.
const ODD_NUMBER: u8 = 1 << 6;

/// What has been seen of it. Merging is a union, as that of the evidence that it belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Spelled {
    #[serde(rename = "m", skip_serializing_if = "is_zero")]
    marks: u8,
    /// The digits after the point of those numbers that end in a zero there.
    #[serde(rename = "p", skip_serializing_if = "is_none")]
    padded: u16,
    /// The fewest digits after a point.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    least: Option<u16>,
    #[serde(rename = "t", skip_serializing_if = "Form::is_nothing")]
    form: Form,
}

fn is_zero(marks: &u8) -> bool {
    *marks == 0
}

fn is_none(number: &u16) -> bool {
    *number == 0
}

/// The form of all times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
enum Form {
    #[default]
    Nothing,
    One(TimeForm),
    Several,
}

impl Form {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }

    fn merge(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (ours, theirs) if ours == theirs => ours,
            _ => Self::Several,
        };
    }
}

/// Kept as the beginning of 1970 in that form.
impl From<Form> for String {
    fn from(form: Form) -> Self {
        match form {
            Form::One(form) => form.example(),
            Form::Nothing | Form::Several => String::new(),
        }
    }
}

impl From<String> for Form {
    fn from(example: String) -> Self {
        TimeForm::of(example.as_bytes()).map_or(Self::Several, Self::One)
    }
}

impl Spelled {
    pub(super) const NOTHING: Self = Self {
        marks: 0,
        padded: 0,
        least: None,
        form: Form::Nothing,
    };

    /// Takes in a number.
    #[inline]
    pub(super) fn number(&mut self, text: &[u8], number: &Number, point: u8) {
        if number.exponent {
            if !is_shortest(text, point) {
                self.marks |= ODD_EXPONENT;
            }
            return;
        }
        if number.scale == 0 {
            self.marks |= if text == b"-0" { ODD_NUMBER } else { WHOLE_BARE };
            return;
        }
        self.least = Some(self.least.map_or(number.scale, |least| least.min(number.scale)));
        if text.last() == Some(&b'0') {
            self.merge_padded(number.scale);
            let fraction = &text[text.len() - usize::from(number.scale)..];
            if fraction.iter().all(|digit| *digit == b'0') {
                self.marks |= WHOLE_POINT;
                if text.iter().all(|byte| matches!(byte, b'0' | b'-') || *byte == point) && text[0] == b'-' {
                    self.marks |= ODD_NUMBER;
                }
            }
        }
        if text[usize::from(text[0] == b'-')] == point {
            self.marks |= ODD_NUMBER;
        }
    }

    /// Takes in `true` or `false`.
    pub(super) fn truth(&mut self, text: &[u8]) {
        self.marks |= match text {
            [b't' | b'f', ..] => IN_LOWER,
            [_, b'r' | b'a', ..] => IN_TITLE,
            _ => IN_UPPER,
        };
    }

    /// Takes in a time.
    pub(super) fn time(&mut self, text: &[u8]) {
        if self.form != Form::Several {
            self.form.merge(TimeForm::of(text).map_or(Form::Several, Form::One));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.marks |= other.marks;
        if other.padded != 0 {
            self.merge_padded(other.padded);
        }
        self.least = match (self.least, other.least) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.form.merge(other.form);
    }

    fn merge_padded(&mut self, scale: u16) {
        self.padded = match self.padded {
            0 => scale,
            padded if padded == scale => padded,
            _ => SEVERAL,
        };
    }

    /// How numbers without exponents are written.
    pub(super) fn fractions(&self) -> Spelling {
        let Some(least) = self.least.filter(|_| self.marks & ODD_NUMBER == 0) else {
            return Spelling::Canonical;
        };
        let whole = self.marks & WHOLE_POINT != 0;
        let one_rule = match self.padded {
            0 => true,
            padded => padded == least,
        };
        match one_rule && !(whole && self.marks & WHOLE_BARE != 0) {
            true => Spelling::Fraction {
                digits: if self.padded == 0 { 1 } else { least },
                whole,
            },
            false => Spelling::Canonical,
        }
    }

    /// How numbers with exponents are.
    pub(super) fn exponents(&self) -> Spelling {
        match self.marks & ODD_EXPONENT {
            0 => Spelling::Exponent,
            _ => Spelling::Canonical,
        }
    }

    pub(super) fn truths(&self) -> Spelling {
        match self.marks & (IN_LOWER | IN_TITLE | IN_UPPER) {
            IN_LOWER => Spelling::Truth(LOWER),
            IN_TITLE => Spelling::Truth(TITLE),
            IN_UPPER => Spelling::Truth(UPPER),
            _ => Spelling::Canonical,
        }
    }

    pub(super) fn times(&self, zone: Tz) -> Spelling {
        match self.form {
            Form::One(form) => Spelling::Time(form, zone),
            Form::Nothing | Form::Several => Spelling::Canonical,
        }
    }
}

/// Whether the number is written as `1.5e3`, with no digit more than that.
fn is_shortest(text: &[u8], point: u8) -> bool {
    point == b'.' && super::parse::double(text, point).is_some_and(|value| format!("{value:e}").as_bytes() == text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::evidence::Evidence;
    use super::*;

    fn spelling(values: &[&str]) -> Spelling {
        let mut evidence = Evidence::default();
        for value in values {
            let mut one = Evidence::default();
            one.observe(value.as_bytes(), b'.');
            evidence.merge(&one);
        }
        let kept = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&kept).unwrap(), evidence, "{kept}");
        evidence.spelling(Tz::UTC)
    }

    fn fraction(digits: u16, whole: bool) -> Spelling {
        Spelling::Fraction { digits, whole }
    }

    #[test]
    fn one_rule_for_all_values_or_none() {
        for (values, expected) in [
            (&["1", "20"][..], Spelling::Canonical),
            (&["12.50", "7"], fraction(2, false)),
            (&["12.50", "7.00"], fraction(2, true)),
            (&["1.5", "2.25", "7"], fraction(1, false)),
            (&["1.5", "2.25", "7.0"], fraction(1, true)),
            (&["7", "7.0"], Spelling::Canonical),
            (&["1.10", "1.5"], Spelling::Canonical),
            (&["1.10", "1.125"], fraction(2, false)),
            (&[".5"], Spelling::Canonical),
            (&["1e5", "2.5e-3"], Spelling::Exponent),
            (&["1E5"], Spelling::Canonical),
            (&["1e5", "5"], Spelling::Canonical),
            (&["TRUE", "FALSE"], Spelling::Truth(UPPER)),
            (&["True", "true"], Spelling::Canonical),
        ] {
            assert_eq!(spelling(values), expected, "{values:?}");
        }
        let times = ["2024-01-01 10:00:00", "2024-07-01 11:30:00"];
        assert!(matches!(spelling(&times), Spelling::Time(..)));
        assert_eq!(spelling(&[times[0], "2024-01-01T10:00:00"]), Spelling::Canonical);
    }
}
