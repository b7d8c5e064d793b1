//! What versions of a table know by name, such as its files by their paths: each version shares what it did not change.

use std::collections::HashMap;
use std::sync::Arc;

/// The last value of each name.
///
/// A version adds a layer, and layers are merged as they double in size, so that a million names take a dozen looks and
/// no version copies what it did not change.
#[derive(Debug, Clone)]
pub(crate) struct Layers<V> {
    /// Smaller ones after larger ones; the last one that knows a name is right.
    layers: Vec<Arc<HashMap<String, V>>>,
}

impl<V> Default for Layers<V> {
    fn default() -> Self {
        Self { layers: Vec::new() }
    }
}

impl<V: Clone> Layers<V> {
    /// These, once `newer` came.
    #[must_use]
    pub(crate) fn then(&self, newer: HashMap<String, V>) -> Self {
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

    /// The last value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        self.layers.iter().rev().find_map(|layer| layer.get(name))
    }

    /// All names, with their last values.
    pub(crate) fn all(&self) -> HashMap<&str, &V> {
        let layers = self.layers.iter().flat_map(|layer| layer.iter());
        layers.map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// All names that begin with `prefix`, with their last values.
    pub(crate) fn beginning(&self, prefix: &str) -> HashMap<String, V> {
        let all = self.layers.iter().flat_map(|layer| layer.iter());
        let known = all.filter(|(name, _)| name.starts_with(prefix));
        known.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// How many names there are, at most.
    pub(crate) fn len(&self) -> usize {
        self.layers.iter().map(|layer| layer.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_value_counts_in_every_version(
            versions in prop::collection::vec(prop::collection::hash_map("[a-e]{1,2}", any::<i64>(), 0..6), 0..40),
        ) {
            let (mut all, mut expected) = (vec![Layers::default()], vec![HashMap::new()]);
            for version in versions {
                all.push(all[all.len() - 1].then(version.clone()));
                let mut next = expected[expected.len() - 1].clone();
                next.extend(version);
                expected.push(next);
            }
            for (version, expected) in all.iter().zip(&expected) {
                for name in expected.keys().chain([&"z".to_owned()]) {
                    prop_assert_eq!(version.get(name), expected.get(name));
                }
                let known: HashMap<String, i64> = version.all().into_iter().map(|(n, v)| (n.to_owned(), *v)).collect();
                prop_assert_eq!(&known, expected);
                let begun: HashMap<String, i64> =
                    expected.iter().filter(|(name, _)| name.starts_with('a')).map(|(n, v)| (n.clone(), *v)).collect();
                prop_assert_eq!(version.beginning("a"), begun);
                prop_assert!(version.len() >= expected.len());
            }
        }
    }
}
