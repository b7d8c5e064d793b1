//! What a delivery ends in.

use serde::Serialize;
use serde_json::{Map, Value};

/// What a delivery ended in: facts for its manifest, such as the name and hash of a file or the identifier that a
/// platform gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Receipt(Map<String, Value>);

impl Receipt {
    /// The receipt with another fact, whose name is not one of the manifest's own.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The fact of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}
