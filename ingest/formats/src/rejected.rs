//! What cannot land.

/// A record that cannot land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its line in the source, or its number, from 1.
    pub line: u64,
    /// Why it cannot land, without a value of it.
    pub reason: String,
    /// The record, whole.
    pub record: String,
}
