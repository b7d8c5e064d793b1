//! What a write did so far, before it is committed.

use deltalake::kernel::Add;

/// The files that a write made, and how many rows and files it took from the base.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) added: Vec<Add>,
    /// Indexes into the base.
    pub(crate) replaced: Vec<usize>,
    pub(crate) rows_removed: u64,
    pub(crate) rows_closed: u64,
}
