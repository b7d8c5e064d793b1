//! What becomes of rows that are there when incoming rows meet them.

use super::keys::RowPosition;

/// Rows for which there is room at once: a vector that grows is twice in memory.
const MOST_RESERVED: usize = 64 << 20;

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
    /// That over a file of so many rows, of which none has been.
    pub(crate) fn over(rows: Option<u64>) -> Self {
        let rows = rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or_default();
        Self {
            // A log may say anything.
            fates: Vec::with_capacity(rows.min(MOST_RESERVED)),
            ..Self::default()
        }
    }

    /// Says what becomes of the next row.
    pub(crate) fn next(&mut self, fate: Fate) {
        self.fates.push(fate);
        self.removed += u64::from(fate == Fate::Goes);
        self.closed += u64::from(fate == Fate::Closes);
    }
}
