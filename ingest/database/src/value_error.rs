//! Values that the lake's types cannot hold.

use cordada_core::Error;

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
    /// An array with more than one dimension.
    Dimensions,
    /// A time beyond the lake's range.
    OutOfRange,
    /// A date without a day or a month.
    PartialDate,
    /// A truth value that is neither 0 nor 1.
    NeitherTrueNorFalse,
    /// Text that is not UTF-8.
    NotUtf8,
}

impl ValueError {
    /// For people.
    fn why(self) -> &'static str {
        match self {
            ValueError::Malformed => "a value is not what its type allows",
            ValueError::Infinite => "a value is `infinity`, which no date or timestamp of the lake is",
            ValueError::NotANumber => "a value is NaN or infinity, which no decimal is",
            ValueError::TooManyDigits => "a value has more digits than the column's type",
            ValueError::Dimensions => "an array has more than one dimension",
            ValueError::OutOfRange => "a time is beyond the years that the lake knows",
            ValueError::PartialDate => "a date has no day or no month",
            ValueError::NeitherTrueNorFalse => "a value of a truth column is neither 0 nor 1",
            ValueError::NotUtf8 => "a text is not UTF-8",
        }
    }

    /// The error: where the value is, not what it is.
    pub(crate) fn at(self, label: &str, column: &str) -> Error {
        let error = Error::failed(format!("reading {label}"), self.why()).with("column", column);
        match self {
            ValueError::Malformed | ValueError::NotUtf8 => error,
            ValueError::NeitherTrueNorFalse => {
                error.hint(format!("land it as a number: columns: {{{column}: {{type: integer}}}}"))
            }
            _ => error.hint(format!("land it as text: columns: {{{column}: {{type: text}}}}")),
        }
    }
}
