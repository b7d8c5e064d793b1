//! Times that were cut to microseconds, of which the lake has no fractions: they land, and the load says so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use cordada_core::TableName;
use cordada_core::threads::locked;

/// The columns with such times, from all partitions of a load at once.
#[derive(Clone, Default)]
pub(crate) struct CutTimes(Arc<Mutex<BTreeSet<String>>>);

impl CutTimes {
    /// Takes down a column.
    pub(crate) fn add(&self, column: &str) {
        let mut columns = locked(&self.0);
        if !columns.contains(column) {
            columns.insert(column.to_owned());
        }
    }

    /// Says which there are, if there are any.
    pub(crate) fn warn(&self, table: &TableName) {
        let columns = locked(&self.0).iter().cloned().collect::<Vec<_>>().join(", ");
        if !columns.is_empty() {
            tracing::warn!(
                %table,
                %columns,
                "nanoseconds were cut to the microseconds of the lake's timestamps; `type: text` keeps them"
            );
        }
    }
}
