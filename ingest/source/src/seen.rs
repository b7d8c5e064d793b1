//! What a load has taken in already: the transactions that go into the same Delta commit as its rows.
//!
//! Each file leaves two: its state (size and time, or tag), which can be compared without reading it, and its
//! content, so that a file which was only touched does not land twice.

use sha2::{Digest, Sha256};

/// What is loaded at once and remembered as one: a file, or all files of a stream that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    state_id: String,
    content_id: String,
}

impl Identity {
    /// The file `name` of a stream.
    pub fn of_file(source: &str, stream: &str, name: &str) -> Self {
        Self::new(source, stream, name)
    }

    /// All files of a stream.
    pub fn of_stream(source: &str, stream: &str) -> Self {
        Self::new(source, stream, "*")
    }

    fn new(source: &str, stream: &str, name: &str) -> Self {
        let id = |what: &str| format!("cordada-ingest:{source}.{stream}:{what}:{name}");
        Self {
            state_id: id("state"),
            content_id: id("content"),
        }
    }

    /// The application ids of its transactions.
    pub fn ids(&self) -> [String; 2] {
        [self.state_id.clone(), self.content_id.clone()]
    }

    /// Its transaction for a state.
    pub fn state(&self, state: &str) -> (String, i64) {
        (self.state_id.clone(), number(Sha256::digest(state)))
    }

    /// Its transaction for a content.
    pub fn content(&self, hash: &[u8]) -> (String, i64) {
        (self.content_id.clone(), number(Sha256::digest(hash)))
    }
}

/// The first 63 bits: transactions have numbers, and two contents of one file do not meet by chance in so many.
fn number(hash: impl AsRef<[u8]>) -> i64 {
    let first = hash.as_ref().first_chunk::<8>().copied().unwrap_or_default();
    (u64::from_be_bytes(first) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_tell_files_states_and_contents_apart() {
        let (a, b) = (
            Identity::of_file("shop", "orders", "a.csv"),
            Identity::of_file("shop", "orders", "b.csv"),
        );
        assert_ne!(a.ids(), b.ids());
        assert_eq!(a.state("1"), a.state("1"));
        assert_ne!(a.state("1").1, a.state("2").1);
        assert_ne!(a.state("1").0, a.content(b"1").0);
        assert!(a.content(b"x").1 >= 0);
    }
}
