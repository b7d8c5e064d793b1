//! What the values of a column could be: gathered over all of them, merged in any order.

use arrow::datatypes::{DataType, TimeUnit};
use chrono_tz::Tz;
use cordada_core::spelling::Spelling;
use serde::{Deserialize, Serialize};

use super::spelled::Spelled;
use super::{parse, time};

const BOOL: u8 = 1;
const INT: u8 = 1 << 1;
/// An integer that does not fit 64 bits.
const BIG: u8 = 1 << 2;
const DECIMAL: u8 = 1 << 3;
const FLOAT: u8 = 1 << 4;
const DATE: u8 = 1 << 5;
const TIME: u8 = 1 << 6;
const TEXT: u8 = 1 << 7;

const NUMBERS: u8 = INT | BIG | DECIMAL | FLOAT;
const TIMES: u8 = DATE | TIME;

/// The type of every point in time in the lake.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The kinds of values that a column has shown. Merging is a union, so neither the order of the values nor how
/// they were split over workers or loads matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    #[serde(rename = "k")]
    kinds: u8,
    /// The most digits before the decimal point.
    #[serde(rename = "d", skip_serializing_if = "is_zero")]
    integer_digits: u16,
    /// The most digits after it.
    #[serde(rename = "s", skip_serializing_if = "is_zero")]
    scale: u16,
    /// A number was seen that a double cannot hold to its last digit.
    #[serde(rename = "x", skip_serializing_if = "std::ops::Not::not")]
    inexact: bool,
    /// How the values are written.
    #[serde(flatten)]
    spelled: Spelled,
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl Evidence {
    /// A column that has shown text, and so can be nothing else.
    pub const TEXT: Evidence = Evidence {
        kinds: TEXT,
        integer_digits: 0,
        scale: 0,
        inexact: false,
        spelled: Spelled::NOTHING,
    };

    /// Takes in one value of a text format, which is not null. `point` is the decimal point.
    #[inline]
    pub fn observe(&mut self, value: &[u8], point: u8) {
        match value.first() {
            Some(b'0'..=b'9' | b'-') => {
                if value.len() >= 10 && value[4] == b'-' {
                    self.observe_time(value);
                } else {
                    self.observe_numeral(value, point);
                }
            }
            Some(first) if *first == point => self.observe_numeral(value, point),
            Some(b't' | b'T' | b'f' | b'F') if parse::boolean(value).is_some() => {
                self.kinds |= BOOL;
                self.spelled.truth(value);
            }
            _ => self.kinds |= TEXT,
        }
    }

    /// Takes in a date, a timestamp, or else text.
    pub fn observe_time(&mut self, value: &[u8]) {
        self.kinds |= match time::parse(value) {
            Some(time::Time::Date(_)) => DATE,
            Some(_) => {
                self.spelled.time(value);
                TIME
            }
            None => TEXT,
        };
    }

    /// Takes in `true` or `false`.
    pub fn observe_boolean(&mut self, value: &[u8]) {
        self.kinds |= BOOL;
        self.spelled.truth(value);
    }

    /// Takes in a number of a format that has numbers, or else text.
    pub fn observe_number(&mut self, value: &[u8], point: u8) {
        match parse::Number::scan(value, point).filter(parse::Number::is_canonical) {
            Some(number) => self.take_number(number, value, point),
            None => self.kinds |= TEXT,
        }
    }

    /// Takes in what may be a number among texts: a code with an E in it, `12E4`, is not one.
    fn observe_numeral(&mut self, value: &[u8], point: u8) {
        let number = parse::Number::scan(value, point).filter(parse::Number::is_canonical);
        match number.filter(|number| !number.exponent || parse::is_scientific(value, point)) {
            Some(number) => self.take_number(number, value, point),
            None => self.kinds |= TEXT,
        }
    }

    fn take_number(&mut self, number: parse::Number, value: &[u8], point: u8) {
        self.integer_digits = self.integer_digits.max(number.integer_digits);
        self.scale = self.scale.max(number.scale);
        self.spelled.number(value, &number, point);
        self.kinds |= if number.exponent {
            FLOAT
        } else if number.scale > 0 {
            DECIMAL
        } else if number.integer_digits <= 18 || parse::integer(value).is_some() {
            INT
        } else {
            BIG
        };
        // A double holds any 15 digits, if the exponent is one of its own; for more it depends on the number.
        let certain = number.integer_digits + number.scale <= 15 && !number.exponent;
        if !certain && !parse::is_exact_double(value, point) {
            self.inexact = true;
        }
    }

    /// Takes in everything that `other` has seen.
    pub fn merge(&mut self, other: &Evidence) {
        self.kinds |= other.kinds;
        self.integer_digits = self.integer_digits.max(other.integer_digits);
        self.scale = self.scale.max(other.scale);
        self.inexact |= other.inexact;
        self.spelled.merge(&other.spelled);
    }

    /// How the values seen were written, if they can be written so again; they are not text. `zone` is that of times that
    /// carry none.
    pub fn spelling(&self, zone: Tz) -> Spelling {
        match self.kinds {
            BOOL => self.spelled.truths(),
            DATE => Spelling::Date(zone),
            TIME => self.spelled.times(zone),
            FLOAT => self.spelled.exponents(),
            kinds if kinds & !(INT | BIG | DECIMAL) == 0 => self.spelled.fractions(),
            _ => Spelling::Canonical,
        }
    }

    /// As much as is worth to be kept: of text, nothing but that it is.
    #[must_use]
    pub fn kept(&self) -> Evidence {
        if self.is_text() { Evidence::TEXT } else { *self }
    }

    /// Whether only nulls have been seen.
    pub fn is_empty(&self) -> bool {
        self.kinds == 0
    }

    /// Whether no further value can change that the column is text.
    pub fn is_text(&self) -> bool {
        let groups = [self.kinds & BOOL, self.kinds & NUMBERS, self.kinds & TIMES];
        self.kinds & TEXT != 0 || groups.into_iter().filter(|group| *group != 0).count() > 1
    }

    /// The narrowest type that holds every value seen without losing anything. Decimals get room to grow. Null if only
    /// nulls have been seen.
    pub fn data_type(&self) -> DataType {
        if self.is_empty() {
            return DataType::Null;
        }
        if self.is_text() {
            return DataType::Utf8;
        }
        let digits = self.integer_digits + self.scale;
        let double = if self.inexact {
            DataType::Utf8
        } else {
            DataType::Float64
        };
        match self.kinds {
            BOOL => DataType::Boolean,
            DATE => DataType::Date32,
            kinds if kinds & TIMES != 0 => timestamp(),
            kinds if kinds & FLOAT != 0 => double,
            INT => DataType::Int64,
            _ if digits <= 18 => DataType::Decimal128(18, self.scale as i8),
            _ if digits <= 38 => DataType::Decimal128(38, self.scale as i8),
            _ => double,
        }
    }

    /// As [`Evidence::data_type`], with decimals only as long as the values.
    pub fn tight_type(&self) -> DataType {
        match self.data_type() {
            DataType::Decimal128(_, scale) => {
                DataType::Decimal128(((self.integer_digits + self.scale) as u8).max(1), scale)
            }
            other => other,
        }
    }

    /// Whether a column of `data_type` holds every value seen without losing anything.
    pub fn fits(&self, data_type: &DataType) -> bool {
        let only = |kinds: u8| self.kinds & !kinds == 0;
        match data_type {
            DataType::Utf8 => true,
            _ if self.is_empty() => true,
            DataType::Boolean => only(BOOL),
            DataType::Int64 => only(INT),
            DataType::Int32 => only(INT) && self.integer_digits <= 9,
            DataType::Int16 => only(INT) && self.integer_digits <= 4,
            DataType::Int8 => only(INT) && self.integer_digits <= 2,
            DataType::Decimal128(precision, scale) => {
                let integer_digits = i32::from(*precision) - i32::from(*scale);
                only(INT | BIG | DECIMAL)
                    && i32::from(self.integer_digits) <= integer_digits
                    && i32::from(self.scale) <= i32::from(*scale)
            }
            DataType::Float64 => only(NUMBERS) && !self.inexact,
            DataType::Date32 => only(DATE),
            other => *other == timestamp() && only(TIMES),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn inferred(values: &[&str]) -> DataType {
        let mut evidence = Evidence::default();
        for value in values {
            evidence.observe(value.as_bytes(), b'.');
        }
        evidence.data_type()
    }

    #[test]
    fn the_type_is_the_narrowest_that_loses_nothing() {
        let money = DataType::Decimal128(18, 2);
        for (values, expected) in [
            (&["1", "-20", "0"][..], DataType::Int64),
            (&["1", "2.5", "-0.25"], money.clone()),
            (&[".5", "1.50"], money),
            (&["007"], DataType::Utf8),
            (&["+49123"], DataType::Utf8),
            (&["12", "85123A"], DataType::Utf8),
            (&["9223372036854775807"], DataType::Int64),
            (&["9223372036854775808"], DataType::Decimal128(38, 0)),
            (&["12345678901234567.89"], DataType::Decimal128(38, 2)),
            (&["123456789012345678901234567890123456789"], DataType::Utf8),
            (&["1e5", "2.25"], DataType::Float64),
            (&["12E4", "120000"], DataType::Utf8),
            (&["1E5"], DataType::Utf8),
            (&["12e+4"], DataType::Utf8),
            (&["1e-05", "2.25", "1E+06"], DataType::Float64),
            (&["1.0E5", "12.5e3"], DataType::Float64),
            (&["0x10"], DataType::Utf8),
            (&["1_000"], DataType::Utf8),
            (&["-Infinity"], DataType::Utf8),
            (&["3.0000000000000004e-01", "1.0000000000000001e-01"], DataType::Float64),
            (&["1.23456789012345671e-05"], DataType::Utf8),
            (&["1.5e5", "12345678901234567891"], DataType::Utf8),
            (&["1.0e400"], DataType::Utf8),
            (&["NaN"], DataType::Utf8),
            (&["inf"], DataType::Utf8),
            (&["true", "FALSE"], DataType::Boolean),
            (&["true", "1"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
            (&["2023-02-29"], DataType::Utf8),
            (&["2024-02-29", "2024-02-29 10:00:00"], timestamp()),
            (
                &["2024-02-29T10:00:00.123456Z", "2024-02-29T10:00:00+02:00"],
                timestamp(),
            ),
            (&["2024-02-29T10:00:00.1234567Z"], DataType::Utf8),
            (&["2024-02-29", "5"], DataType::Utf8),
            (&["1,5"], DataType::Utf8),
            (&["-"], DataType::Utf8),
            (&["."], DataType::Utf8),
            (&["5."], DataType::Utf8),
            (&[], DataType::Null),
        ] {
            assert_eq!(inferred(values), expected, "{values:?}");
        }
    }

    #[test]
    fn numbers_that_no_type_holds_are_text() {
        for (integer, fraction) in [(1, 300), (2, 65_535), (40_000, 40_000), (65_535, 65_535), (70_000, 1)] {
            let number = format!("{}.{}", "1".repeat(integer), "1".repeat(fraction));
            assert_eq!(inferred(&[&number]), DataType::Utf8);
            assert_eq!(inferred(&[&format!("{number}e0")]), DataType::Utf8);
        }
    }

    #[test]
    fn what_fits_a_column_does_not_widen_it() {
        let mut evidence = Evidence::default();
        evidence.observe(b"12", b'.');
        assert!(evidence.fits(&DataType::Decimal128(18, 2)));
        assert!(evidence.fits(&DataType::Int8));
        assert!(!evidence.fits(&timestamp()));
        evidence.observe(b"12.345", b'.');
        assert!(!evidence.fits(&DataType::Decimal128(18, 2)));
        assert!(evidence.fits(&DataType::Float64));
        assert!(evidence.fits(&DataType::Utf8));
    }
}
