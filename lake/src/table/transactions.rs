//! The versions that applications recorded in a table (`txn` of the Delta protocol).

use std::collections::HashMap;
use std::sync::Arc;

/// What one of them takes in memory, about, in bytes: an id of a file's name and a number, in a table that is half full.
const BYTES_EACH: usize = 192;

/// The number that each application recorded last, by its id.
///
/// Versions of a table share what they do not change: a version adds a layer, and layers are merged as they double in
/// size, so that a million of them take a dozen looks and no version copies what it did not change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transactions {
    /// Smaller ones after larger ones; the last one that knows an id is right.
    layers: Vec<Arc<HashMap<String, i64>>>,
}

impl Transactions {
    /// These, once `newer` were recorded.
    #[must_use]
    pub(crate) fn then(&self, newer: HashMap<String, i64>) -> Self {
        let mut layers = self.layers.clone();
        let mut top = newer;
        while let Some(below) = layers.pop_if(|below| below.len() <= 2 * top.len()) {
            let mut merged = Arc::unwrap_or_clone(below);
            merged.extend(top);
            top = merged;
        }
        if !top.is_empty() {
            layers.push(Arc::new(top));
        }
        Self { layers }
    }

    /// The number that `id` recorded last.
    pub(crate) fn get(&self, id: &str) -> Option<i64> {
        self.layers.iter().rev().find_map(|layer| layer.get(id).copied())
    }

    /// About how much memory they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.len() * BYTES_EACH).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_number_counts_in_every_version(
            versions in prop::collection::vec(prop::collection::hash_map("[a-e]{1,2}", any::<i64>(), 0..6), 0..40),
        ) {
            let (mut all, mut expected) = (vec![Transactions::default()], vec![HashMap::new()]);
            for version in versions {
                all.push(all[all.len() - 1].then(version.clone()));
                let mut next = expected[expected.len() - 1].clone();
                next.extend(version);
                expected.push(next);
            }
            for (version, expected) in all.iter().zip(&expected) {
                for id in expected.keys().chain([&"z".to_owned()]) {
                    prop_assert_eq!(version.get(id), expected.get(id).copied());
                }
            }
        }
    }
}
