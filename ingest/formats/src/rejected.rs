//! What cannot land.

/// A record that cannot land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub line: u64,
    pub reason: String,
    pub record: String,
}
