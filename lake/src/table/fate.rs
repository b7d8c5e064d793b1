//! What becomes of rows that are there when incoming rows meet them.

use super::keys::RowPosition;

/// What becomes of a file's rows.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) fates: Vec<Fate>,
    pub(crate) removed: u64,
    pub(crate) closed: u64,
    /// Incoming rows that are not wanted.
    pub(crate) unwanted: Vec<RowPosition>,
}

/// What becomes of a row that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Goes,
    Closes,
}

impl Verdict {
    /// Says what becomes of the next row.
    pub(crate) fn next(&mut self, fate: Fate) {
        self.fates.push(fate);
        self.removed += u64::from(fate == Fate::Goes);
        self.closed += u64::from(fate == Fate::Closes);
    }
}
