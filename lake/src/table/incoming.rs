//! What a write by key remembers of the incoming rows.

use super::keys::{KeyBounds, Keys, RowPosition};

/// What is remembered of the incoming rows.
pub(crate) struct IncomingRows {
    pub(crate) keys: Keys,
    pub(crate) bounds: KeyBounds,
    /// The hashes of the rows' content, by partition, for a history.
    pub(crate) contents: Vec<Vec<u128>>,
}

impl IncomingRows {
    /// The hash of that row's content, unless it is none.
    pub(crate) fn content(&self, position: RowPosition) -> Option<u128> {
        let (partition, row) = position.parts();
        let row = usize::try_from(row?).ok()?;
        self.contents.get(usize::from(partition))?.get(row).copied()
    }
}
