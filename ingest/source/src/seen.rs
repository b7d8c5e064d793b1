//! What a load has taken in already: the transactions that go into the same Delta commit as its rows.
//!
//! Each file leaves some: its state (size and time, or tag), which can be compared without reading it, and its
//! content, so that a file which was only touched, moved or copied does not land twice.

use std::collections::HashMap;
use std::fmt::Display;

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

/// What is remembered of the files of a stream: which contents have landed, how they were read, and under which names.
///
/// A file is known by its content: under another name it is the same file. Of each name the table remembers the `state`
/// (size and time, or tag), which is compared without reading the file, and the `content` that it had last. Of each
/// content it remembers how it was `read`, `since` when its rows are there, and its `length` if it may grow.
#[derive(Debug, Default)]
pub struct Seen {
    prefix: String,
    numbers: HashMap<String, i64>,
    names: HashMap<i64, Vec<String>>,
}

/// A file, by its name, by what it holds, and by how it is read.
#[derive(Debug, Clone)]
pub struct SeenFile {
    /// Its name.
    pub name: String,
    /// Its size and time, or its tag.
    pub state: String,
    /// What it holds, whatever it is packed in.
    content: i64,
    /// The same as it is packed: files that landed in earlier versions are known by that.
    packed: Option<i64>,
    /// Its length, if it may grow line by line.
    length: Option<u64>,
}

/// What a file is to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Its content has landed.
    Landed,
    /// It is new.
    New,
    /// Its content has landed, but was read another way: the rows of these names go that came since then.
    ReadAnew {
        /// The names that the content had.
        names: Vec<String>,
        /// When it landed, in microseconds UTC.
        since: i64,
    },
    /// Another content of that name has landed.
    Changed(Former),
}

/// The content that a file had when it landed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    content: i64,
    /// Its length, if it could grow line by line.
    pub length: Option<u64>,
    /// When it landed, in microseconds UTC, if that is known.
    pub since: Option<i64>,
}

impl Former {
    /// Whether this is the hash of that content.
    pub fn is(&self, hash: &[u8]) -> bool {
        self.content == number(Sha256::digest(hash))
    }
}

impl SeenFile {
    /// A file whose content has the `hash`, and another one as it is packed.
    pub fn new(name: &str, state: &str, hash: &[u8], packed: Option<&[u8]>, length: Option<u64>) -> Self {
        let number = |hash: &[u8]| number(Sha256::digest(hash));
        Self {
            name: name.to_owned(),
            state: state.to_owned(),
            content: number(hash),
            packed: packed.map(number),
            length,
        }
    }

    /// The id of the transaction that says when its content landed.
    pub fn since(&self, source: &str, stream: &str) -> String {
        format!("{}since:{}", Seen::prefix(source, stream), self.content)
    }

    /// The transaction by which the rejected rows of the file are known, read that way.
    pub fn rejects(&self, source: &str, stream: &str, reading: &str) -> (String, i64) {
        let id = format!("{}content:{}", Seen::prefix(source, stream), self.name);
        let read = match reading {
            "" => self.content,
            reading => number(Sha256::digest(format!("{} {reading}", self.content))),
        };
        (id, read)
    }
}

impl Seen {
    /// What the ids of a stream's transactions begin with.
    pub fn prefix(source: &str, stream: &str) -> String {
        format!("cordada-ingest:{source}.{stream}:")
    }

    /// What is remembered in these transactions.
    pub fn of(source: &str, stream: &str, transactions: HashMap<String, i64>) -> Self {
        let prefix = Self::prefix(source, stream);
        let mut seen = Self {
            numbers: HashMap::with_capacity(transactions.len()),
            names: HashMap::new(),
            prefix,
        };
        for (id, number) in transactions {
            if let Some(id) = id.strip_prefix(&seen.prefix) {
                if let Some(name) = id.strip_prefix("content:") {
                    seen.names.entry(number).or_default().push(name.to_owned());
                }
                seen.numbers.insert(id.to_owned(), number);
            }
        }
        seen
    }

    fn get(&self, what: &str, of: impl Display) -> Option<i64> {
        self.numbers.get(&format!("{what}:{of}")).copied()
    }

    /// Whether the file of that name and state has landed as it is read now. Without a look into it.
    pub fn has(&self, name: &str, state: &str, reading: &str) -> bool {
        let is_same = self.get("state", name) == Some(number(Sha256::digest(state)));
        let content = self.get("content", name);
        is_same && content.is_some_and(|content| self.is_read(content, reading))
    }

    /// Whether a content was read that way; of those that landed in earlier versions that is not known.
    fn is_read(&self, content: i64, reading: &str) -> bool {
        let read = self.get("read", content);
        read.is_none_or(|read| read == number(Sha256::digest(reading)))
    }

    /// What a file is to the stream.
    pub fn arrival(&self, file: &SeenFile, reading: &str) -> Arrival {
        let content = file.content;
        if !self.is_read(content, reading) {
            return Arrival::ReadAnew {
                names: self.names.get(&content).cloned().unwrap_or_default(),
                since: self.get("since", content).unwrap_or(i64::MIN),
            };
        }
        let is_there = |content: i64| self.names.get(&content).is_some_and(|names| !names.is_empty());
        match self.get("content", &file.name) {
            _ if is_there(content) || file.packed.is_some_and(is_there) => Arrival::Landed,
            None if self.get("read", content).is_some() => Arrival::Landed,
            None => Arrival::New,
            Some(own) => Arrival::Changed(Former {
                content: own,
                length: self.get("length", own).and_then(|length| u64::try_from(length).ok()),
                since: self.get("since", own),
            }),
        }
    }

    /// Takes down that the file was met, whose content has landed; and the transactions that say so.
    pub fn meet(&mut self, file: &SeenFile) -> Vec<(String, i64)> {
        let state = number(Sha256::digest(&file.state));
        self.note(&[
            ("state", file.name.clone(), state),
            ("content", file.name.clone(), file.content),
        ])
    }

    /// Takes down that the file lands, read that way, with rows that are there `since`; and the transactions that say
    /// so. If its rows come now, another one says when: [`SeenFile::since`].
    pub fn land(&mut self, file: &SeenFile, reading: &str, since: Option<i64>) -> Vec<(String, i64)> {
        let mut transactions = self.meet(file);
        let content = file.content.to_string();
        let mut notes = vec![("read", content.clone(), number(Sha256::digest(reading)))];
        notes.extend(since.map(|since| ("since", content.clone(), since)));
        let length = file.length.and_then(|length| i64::try_from(length).ok());
        notes.extend(length.map(|length| ("length", content, length)));
        transactions.extend(self.note(&notes));
        transactions
    }

    fn note(&mut self, notes: &[(&str, String, i64)]) -> Vec<(String, i64)> {
        let mut transactions = Vec::with_capacity(notes.len());
        for (what, of, number) in notes {
            let id = format!("{what}:{of}");
            if *what == "content" {
                // The content that it had before stays known for this load: rotation gives it another name.
                self.names.entry(*number).or_default().push(of.clone());
            }
            transactions.push((format!("{}{id}", self.prefix), *number));
            self.numbers.insert(id, *number);
        }
        transactions
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

    fn file(name: &str, state: &str, content: &str) -> SeenFile {
        SeenFile::new(name, state, content.as_bytes(), None, None)
    }

    /// What the next load remembers of `transactions`.
    fn next(transactions: &[(String, i64)]) -> Seen {
        Seen::of("shop", "orders", transactions.iter().cloned().collect())
    }

    #[test]
    fn a_content_that_landed_is_known_under_any_name() {
        let mut seen = Seen::of("shop", "orders", HashMap::new());
        let a = file("a.csv", "1", "x");
        assert_eq!(seen.arrival(&a, ""), Arrival::New);
        let mut transactions = seen.land(&a, "", None);
        transactions.push((a.since("shop", "orders"), 7));
        let mut seen = next(&transactions);
        assert!(seen.has("a.csv", "1", "") && !seen.has("a.csv", "2", "") && !seen.has("a.csv", "1", "csv"));
        let copy = file("b.csv", "2", "x");
        assert_eq!(seen.arrival(&copy, ""), Arrival::Landed);
        assert_eq!(seen.arrival(&file("a.csv", "2", "x"), ""), Arrival::Landed);
        let anew = Arrival::ReadAnew {
            names: vec!["a.csv".to_owned()],
            since: 7,
        };
        assert_eq!(seen.arrival(&copy, "csv"), anew);

        // Another content takes the name; the first is remembered, and under its old name it is a change.
        transactions.extend(seen.land(&file("a.csv", "3", "y"), "", Some(7)));
        let seen = next(&transactions);
        assert_eq!(seen.arrival(&copy, ""), Arrival::Landed);
        assert!(matches!(seen.arrival(&file("a.csv", "4", "x"), ""), Arrival::Changed(former) if former.is(b"y")));
    }

    #[test]
    fn what_earlier_versions_remembered_is_known() {
        let identity = Identity::of_file("shop", "orders", "a.csv");
        let transactions = [identity.state("1"), identity.content(b"x")];
        let seen = next(&transactions);
        assert!(seen.has("a.csv", "1", "") && seen.has("a.csv", "1", "csv"));
        assert_eq!(seen.arrival(&file("b.csv", "2", "x"), "csv"), Arrival::Landed);
        assert_eq!(seen.arrival(&file("b.csv", "2", "y"), "csv"), Arrival::New);
        let packed = SeenFile::new("b.gz", "2", b"plain", Some(b"x"), None);
        assert_eq!(seen.arrival(&packed, ""), Arrival::Landed);
    }
}
