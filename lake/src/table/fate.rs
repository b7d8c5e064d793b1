//! What becomes of rows that are there when incoming rows meet them.

use super::keys::RowPosition;

/// What becomes of a file's rows.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) fates: Vec<Fate>,
    pub(crate) removed: u64,
    pub(crate) closed: u64,
    pub(crate) findings: Findings,
}

/// What the rows that are there say of incoming ones.
#[derive(Default)]
pub(crate) struct Findings {
    /// Those that are not wanted.
    pub(crate) unwanted: Vec<RowPosition>,
    /// Those that begin later than their load, because a row of their key ends later; in microseconds UTC.
    pub(crate) later: Vec<(RowPosition, i64)>,
}

/// What becomes of a row that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Goes,
    Closes,
}

impl Findings {
    /// Takes in what another file's rows say.
    pub(crate) fn merge(&mut self, other: Self) {
        self.unwanted.extend(other.unwanted);
        self.later.extend(other.later);
    }
}

impl Verdict {
    /// Says what becomes of the next row.
    pub(crate) fn next(&mut self, fate: Fate) {
        self.fates.push(fate);
        self.removed += u64::from(fate == Fate::Goes);
        self.closed += u64::from(fate == Fate::Closes);
    }
}
