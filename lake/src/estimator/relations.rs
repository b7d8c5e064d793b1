//! The relations on one side of a model.

use std::collections::BTreeMap;

/// Something for each relation on one side of a model: for its main one, and by name for further ones.
///
/// On the side of the inputs the main one is the model's own SELECT, on that of the outputs the model's own table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relations<T> {
    /// For the main relation.
    pub main: T,
    /// For the further ones, by name.
    pub further: BTreeMap<String, T>,
}

impl<T> Relations<T> {
    /// For a main relation without further ones.
    pub fn only(main: T) -> Self {
        Self {
            main,
            further: BTreeMap::new(),
        }
    }

    /// All of them, the main one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.main).chain(self.further.values())
    }

    /// What `change` makes of each.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Relations<U> {
        Relations {
            main: change(self.main),
            further: self
                .further
                .into_iter()
                .map(|(name, one)| (name, change(one)))
                .collect(),
        }
    }
}
