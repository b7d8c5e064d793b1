//! Durations (`30d`, `5m`, `500ms`) and sizes (`64MB`, `64MiB`) as people write them, the same wherever they do.
//!
//! Units of sizes are those of ISO/IEC 80000-13: `MB` is 1000², `MiB` is 1024². Case does not matter.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// The units of durations, and how many milliseconds they are.
const SPANS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
];

/// The units of sizes, and how many bytes they are.
const SIZES: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// A duration: a whole number with `ms`, `s`, `m`, `h`, `d` or `w`.
///
/// ```
/// use cordada_core::units::Span;
///
/// assert_eq!(Span::parse("5m"), Some(Span::seconds(300)));
/// assert_eq!(Span::parse("1.5h"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration that `text` writes.
    pub fn parse(text: &str) -> Option<Self> {
        amount(text, &SPANS).map(|millis| Self(Duration::from_millis(millis)))
    }
}

/// A number of bytes: a whole number, plain or with `kB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`, `GiB`,
/// `TiB` (powers of 1024).
///
/// ```
/// use cordada_core::units::Size;
///
/// assert_eq!(Size::parse("64MB"), Some(Size(64_000_000)));
/// assert_eq!(Size::parse("64 mib"), Some(Size(67_108_864)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Size(pub u64);

impl Size {
    /// So many megabytes, of 1000² bytes.
    pub const fn megabytes(megabytes: u64) -> Self {
        Self(megabytes * 1_000_000)
    }

    /// So many mebibytes, of 1024² bytes.
    pub const fn mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// The size that `text` writes.
    pub fn parse(text: &str) -> Option<Self> {
        amount(text, &SIZES).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1_000_000 => write!(f, "{} MB", bytes / 1_000_000),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// A whole number times its unit.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let known = units.iter().find(|(known, _)| known.eq_ignore_ascii_case(unit.trim()));
    number.parse::<u64>().ok()?.checked_mul(known?.1)
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || format!("`{text}` is not a duration; write it as 500ms, 30s, 5m, 1h or 30d");
        Self::parse(&text).ok_or_else(|| D::Error::custom(wrong()))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || format!("`{text}` is not a size; write it as 64MB, 512MiB or 2GB");
        Self::parse(&text).ok_or_else(|| D::Error::custom(wrong()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        assert_eq!(Span::parse("30d"), Some(Span::seconds(30 * 86_400)));
        assert_eq!(Span::parse("5 m"), Some(Span::seconds(300)));
        assert_eq!(Span::parse("250ms"), Some(Span(Duration::from_millis(250))));
        for wrong in ["", "5", "d", "1y", "-3s", "99999999999999999999s", "9999999999999999w"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [
            ("1024", 1024),
            ("7 B", 7),
            ("64MB", 64_000_000),
            ("64 mib", 64 << 20),
            ("2GB", 2_000_000_000),
            ("2GiB", 2 << 30),
            ("1kB", 1000),
            ("1KiB", 1024),
        ] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for wrong in ["", "MB", "1.5GB", "-1MB", "4 pears", "99999999TB"] {
            assert_eq!(Size::parse(wrong), None, "{wrong}");
        }
    }
}
