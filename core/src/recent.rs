//! A map of what was used most recently, bounded by weight.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard};

use crate::threads::locked;

/// Keeps entries up to a total weight; whoever was not used for longest goes first.
#[derive(Debug)]
pub struct Recent<K, V> {
    capacity: usize,
    entries: Mutex<Entries<K, V>>,
}

#[derive(Debug)]
struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    /// The keys in the order of their last use.
    by_use: BTreeMap<u64, K>,
    uses: u64,
    weight: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Recent<K, V> {
    /// An empty map for a total weight of `capacity`.
    pub fn new(capacity: usize) -> Self {
        let entries = Entries {
            by_key: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            weight: 0,
        };
        Self {
            capacity,
            entries: Mutex::new(entries),
        }
    }

    /// The value, which counts as a use.
    pub fn get(&self, key: &K) -> Option<V> {
        self.lock().touch(key)
    }

    /// Adds or replaces an entry; one that is heavier than the whole map is not kept.
    pub fn insert(&self, key: K, value: V, weight: usize) {
        self.lock().insert(self.capacity, key, value, weight);
    }

    /// The value, made and added with a weight of 1 if there is none: two who ask at once get the same.
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> V {
        let mut guard = self.lock();
        if let Some(value) = guard.touch(&key) {
            return value;
        }
        let value = make();
        guard.insert(self.capacity, key, value.clone(), 1);
        value
    }

    /// Takes an entry out.
    pub fn remove(&self, key: &K) -> Option<V> {
        self.lock().remove(key)
    }

    /// Takes out the entries that `keep` does not want.
    pub fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        let mut guard = self.lock();
        let entries = &mut *guard;
        let unwanted = entries.by_key.iter().filter(|(key, entry)| !keep(key, &entry.value));
        for key in unwanted.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            entries.remove(&key);
        }
    }

    /// The keys, those that were used longest ago first.
    pub fn keys(&self) -> Vec<K> {
        self.lock().by_use.values().cloned().collect()
    }

    /// The weight of all entries together.
    pub fn weight(&self) -> usize {
        self.lock().weight
    }

    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        locked(&self.entries)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Entries<K, V> {
    fn touch(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let entry = self.by_key.get_mut(key)?;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(entry.used, key.clone());
        Some(entry.value.clone())
    }

    fn insert(&mut self, capacity: usize, key: K, value: V, weight: usize) {
        self.remove(&key);
        if weight > capacity {
            return;
        }
        while self.weight + weight > capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            if let Some(gone) = self.by_key.remove(&oldest) {
                self.weight -= gone.weight;
            }
        }
        self.uses += 1;
        self.weight += weight;
        self.by_use.insert(self.uses, key.clone());
        let used = self.uses;
        self.by_key.insert(key, Entry { value, weight, used });
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.by_key.remove(key)?;
        self.by_use.remove(&entry.used);
        self.weight -= entry.weight;
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let map = Recent::new(3);
        for key in ["a", "b", "c"] {
            map.insert(key, key, 1);
        }
        assert_eq!(map.get(&"a"), Some("a"));
        assert_eq!(map.keys(), ["b", "c", "a"]);
        map.insert("d", "d", 1);
        assert_eq!(
            (map.get(&"b"), map.get(&"a"), map.get(&"d")),
            (None, Some("a"), Some("d"))
        );
        map.insert("e", "e", 3);
        assert_eq!((map.get(&"a"), map.get(&"c"), map.get(&"e")), (None, None, Some("e")));
        map.insert("f", "f", 4);
        assert_eq!((map.get(&"f"), map.get(&"e")), (None, Some("e")));
        assert_eq!(map.weight(), 3);
        assert_eq!((map.remove(&"e"), map.remove(&"e")), (Some("e"), None));
        assert_eq!(map.weight(), 0);
        for key in ["a", "b", "c"] {
            map.insert(key, key, 1);
        }
        map.retain(|key, _| *key != "b");
        assert_eq!((map.get(&"a"), map.get(&"b"), map.weight()), (Some("a"), None, 2));
    }
}
