//! What a load has taken in already: the transactions that go into the same Delta commit as its rows.
//!
//! Each file leaves two: its state (size and time, or tag), which can be compared without reading it, and its
//! content, so that a file which was only touched does not land twice.

use std::io::{Read, Seek, SeekFrom};

use cordada_core::{Context, Result};
use cordada_core::threads::in_order;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::files::discover::Local;

/// Bytes hashed at a time.
const BLOCK: u64 = 1 << 20;

/// What is loaded at once and remembered as one: a file, or all files of a stream that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    state_id: String,
    content_id: String,
}

impl Identity {
    /// The file `name` of a stream.
    pub(crate) fn of_file(source: &str, stream: &str, name: &str) -> Self {
        Self::new(source, stream, name)
    }

    /// All files of a stream.
    pub(crate) fn of_stream(source: &str, stream: &str) -> Self {
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
    pub(crate) fn ids(&self) -> [String; 2] {
        [self.state_id.clone(), self.content_id.clone()]
    }

    /// Its transaction for a state.
    pub(crate) fn state(&self, state: &str) -> (String, i64) {
        (self.state_id.clone(), number(Sha256::digest(state)))
    }

    /// Its transaction for a content.
    pub(crate) fn content(&self, hash: &[u8]) -> (String, i64) {
        (self.content_id.clone(), number(Sha256::digest(hash)))
    }
}

/// The first 63 bits: transactions have numbers, and two contents of one file do not meet by chance in so many.
fn number(hash: impl AsRef<[u8]>) -> i64 {
    let first = hash.as_ref().first_chunk::<8>().copied().unwrap_or_default();
    (u64::from_be_bytes(first) >> 1) as i64
}

/// A hash of a file's content: SHA-256 over the SHA-256 of each of its blocks, which can be had in parallel.
pub(crate) fn hash_file(file: &Local, workers: usize, cancel: &CancellationToken) -> Result<Vec<u8>> {
    let doing = || format!("reading {}", file.name);
    let blocks = usize::try_from(file.bytes.div_ceil(BLOCK)).unwrap_or(usize::MAX);
    let hash_block = |block: usize| {
        let mut file = file.open()?;
        file.seek(SeekFrom::Start(block as u64 * BLOCK)).doing(doing)?;
        let mut data = Vec::with_capacity(BLOCK as usize);
        file.take(BLOCK).read_to_end(&mut data).doing(doing)?;
        Ok(Sha256::digest(&data))
    };
    let mut whole = Sha256::new();
    in_order(blocks, workers, cancel, hash_block, |_, hash| {
        whole.update(hash);
        Ok(())
    })?;
    Ok(whole.finalize().to_vec())
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
