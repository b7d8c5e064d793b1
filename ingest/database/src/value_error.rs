//! Values that the lake's types cannot hold: the row that has one is rejected.

use cordada_ingest_source::misfits::Misfit;

/// Why a value cannot be read. Never the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueError {
    /// Bytes that the type does not have.
    Malformed,
    /// `infinity`, which neither dates nor timestamps of the lake have.
    Infinite,
    /// NaN or infinity in a decimal.
    NotANumber,
    /// More digits than the decimal has.
    TooManyDigits,
    /// A whole number that a double does not have.
    Inexact,
    /// An array with more than one dimension.
    Dimensions,
    /// A time beyond the lake's range.
    OutOfRange,
    /// A date that the calendar does not have: all zeros, without a month or a day, the 31st of February.
    NoDate,
    /// A truth value that is neither 0 nor 1.
    NeitherTrueNorFalse,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A value of another type than the column's, which SQLite allows.
    OtherType,
}

impl ValueError {
    /// Why, and how the value can land.
    fn reason(self) -> &'static str {
        match self {
            ValueError::Malformed => "the value is not what its type allows",
            ValueError::Infinite => "no date or timestamp of the lake is infinity; `type: text` lands it",
            ValueError::NotANumber => "no decimal is NaN or infinity; `type: text` or `type: double` lands it",
            ValueError::TooManyDigits => "the value has more digits than the column's type; `type: text` lands it",
            ValueError::Inexact => "no double is that whole number; `type: text` lands it",
            ValueError::Dimensions => "the array has more than one dimension; `type: text` lands it",
            ValueError::OutOfRange => "the time is beyond the years that the lake knows; `type: text` lands it",
            ValueError::NoDate => "there is no such day in the calendar; `type: text` lands it",
            ValueError::NeitherTrueNorFalse => "the value is neither 0 nor 1; `type: integer` lands it",
            ValueError::NotUtf8 => "the text is not UTF-8",
            ValueError::OtherType => "the value is of another type than the column; `type: text` lands it",
        }
    }

    /// What is said of a column's value, which the source writes as `value`.
    pub(crate) fn misfit(self, column: usize, value: String) -> Misfit {
        Misfit {
            column,
            reason: self.reason().to_owned(),
            value,
        }
    }
}

/// Bytes as text: what they say in UTF-8, or their digits, as PostgreSQL writes them.
pub(crate) fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => digits(bytes),
    }
}

/// The digits of bytes, two each, behind `\x`.
pub(crate) fn digits(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("\\x{}", digits.collect::<String>())
}
