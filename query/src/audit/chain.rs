//! The chain of a server's records.

use cordada_core::hex;
use ring::digest::{Context, SHA256};

use super::record::Value;

/// Records that follow each other.
#[derive(Debug)]
pub(super) struct Chain {
    name: String,
    number: i64,
    /// The hash of the last one.
    hash: String,
    unwritten: Vec<Vec<Value>>,
}

impl Chain {
    /// The beginning of the chain of that name.
    pub(super) fn new(name: String) -> Self {
        Self {
            hash: beginning(&name),
            name,
            number: 0,
            unwritten: Vec::new(),
        }
    }

    /// The chain of that name as it goes on behind a record that is in the journal, by its number and hash.
    pub(super) fn behind(name: String, number: i64, hash: String) -> Self {
        Self {
            name,
            number,
            hash,
            unwritten: Vec::new(),
        }
    }

    /// The number of the last record.
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Leaves out the records before that number, of which nothing is known any more.
    pub(super) fn leave_out(&mut self, before: i64) {
        self.number = before - 1;
    }

    /// The values of a record become the last of the chain.
    pub(super) fn add(&mut self, values: Vec<Value>) {
        self.number += 1;
        let text = |text: &String| Value::Text(Some(text.clone()));
        let mut row = vec![text(&self.name), Value::Number(Some(self.number))];
        row.extend(values);
        row.push(text(&self.hash));
        self.hash = hash_of(&row);
        row.push(text(&self.hash));
        self.unwritten.push(row);
    }

    /// The rows that are not in the journal yet, at least as far as anybody knows.
    pub(super) fn unwritten(&self) -> &[Vec<Value>] {
        &self.unwritten
    }

    pub(super) fn set_written(&mut self) {
        self.unwritten.clear();
    }
}

/// What the first record of a chain has for the hash of the one before.
pub(super) fn beginning(chain: &str) -> String {
    hash_of(&[Value::Text(Some(chain.to_owned()))])
}

/// SHA-256 over the values, each behind a byte that says whether it is null, a text or a number; a text behind its
/// length in bytes, all numbers in eight bytes, the most significant first.
pub(super) fn hash_of(values: &[Value]) -> String {
    let mut digest = Context::new(&SHA256);
    for value in values {
        match value {
            Value::Text(Some(text)) => {
                digest.update(b"t");
                digest.update(&(text.len() as u64).to_be_bytes());
                digest.update(text.as_bytes());
            }
            Value::Number(Some(number)) => {
                digest.update(b"n");
                digest.update(&number.to_be_bytes());
            }
            Value::Text(None) | Value::Number(None) => digest.update(b"0"),
        }
    }
    hex::encode(digest.finish().as_ref())
}
