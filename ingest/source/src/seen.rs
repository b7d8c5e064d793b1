//! What a load has taken in already: the transactions that go into the same Delta commit as its rows.
//!
//! Each file leaves some: its state (size and time, or tag), which can be compared without reading it, and its
//! content, so that a file which was only touched, moved or copied does not land twice.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Display;

use cordada_ingest_formats::local::hash_of_one_block;
use sha2::{Digest, Sha256};

use crate::extract::Superseded;

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
        Self::new(source, stream, ALL)
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

/// What is remembered of the files of a stream: which contents have landed, how they were read, and where their rows are.
///
/// A file is known by its content: under another name it is the same file. Of each name the table remembers the `state`
/// (size and time, or tag), which is compared without reading the file, and the `content` that it had last. Of each
/// content it remembers how it was `read`; under which names its `rows` landed, and when: a file that is renamed later
/// leaves its rows where they are; and, if it may grow, its `length` and a hash of its `head`.
#[derive(Debug, Default)]
pub struct Seen {
    prefix: String,
    numbers: HashMap<String, i64>,
    names: HashMap<i64, Vec<String>>,
    /// When rows of each content landed, by the names under which they did; [`GONE`] of those that are not there any more.
    rows: HashMap<i64, BTreeMap<String, i64>>,
    /// The times at which a name's contents landed.
    times: HashMap<String, BTreeSet<i64>>,
    /// The contents that this load lands.
    landing: HashSet<i64>,
}

/// The number of what was taken back.
const GONE: i64 = -1;

/// The name under which all files of a stream are remembered as one.
const ALL: &str = "*";

/// What the transaction of rejected rows without a file is called.
pub const REJECTED: &str = "rejected";

/// Bytes of a file's beginning that tell which others it may have grown from.
pub const HEAD: usize = 4096;

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
    /// Its first bytes, [`HEAD`] at most.
    head: Vec<u8>,
}

/// What a file is to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Its content has landed.
    Landed,
    /// It is new.
    New,
    /// Its content has landed, but was read another way: these rows go.
    ReadAnew(Vec<Superseded>),
    /// Another content of that name has landed.
    Changed(Former),
}

/// A content that has landed, and that the file may have grown from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    content: i64,
    /// Its length, if it could grow line by line.
    pub length: Option<u64>,
    /// Whether it was read as the file is read now.
    pub read_so: bool,
    /// Where its rows are, if that is known.
    pub rows: Vec<Superseded>,
}

/// A content, as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeenContent(i64);

impl Former {
    /// What it was.
    pub fn content(&self) -> SeenContent {
        SeenContent(self.content)
    }

    /// Whether this is the hash of that content.
    pub fn is(&self, hash: &[u8]) -> bool {
        self.content == number(Sha256::digest(hash))
    }
}

impl SeenFile {
    /// A file whose content has the `hash`, and another one as it is packed; its `length` and `head` if it may grow.
    pub fn new(name: &str, state: &str, hash: &[u8], packed: Option<&[u8]>, grows: Option<(u64, Vec<u8>)>) -> Self {
        let (length, head) = grows.map_or((None, Vec::new()), |(length, head)| (Some(length), head));
        let number = |hash: &[u8]| number(Sha256::digest(hash));
        Self {
            name: name.to_owned(),
            state: state.to_owned(),
            content: number(hash),
            packed: packed.map(number),
            length,
            head,
        }
    }

    /// The id of the transaction that says when rows of its content landed under its name.
    pub fn rows(&self, source: &str, stream: &str) -> String {
        format!("{}rows:{}:{}", Seen::prefix(source, stream), self.content, self.name)
    }

    /// What it holds.
    pub fn content(&self) -> SeenContent {
        SeenContent(self.content)
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
            prefix,
            ..Self::default()
        };
        for (id, number) in transactions {
            let Some(id) = id.strip_prefix(&seen.prefix) else {
                continue;
            };
            let rows = id.strip_prefix("rows:").and_then(|rows| rows.split_once(':'));
            if let Some((content, name)) = rows
                && let Ok(content) = content.parse()
            {
                let names = seen.rows.entry(content).or_default();
                names.insert(name.to_owned(), number);
                if number != GONE {
                    seen.times.entry(name.to_owned()).or_default().insert(number);
                }
            }
            // What a rollback took back is as if it had never been.
            if number == GONE {
                continue;
            }
            if let Some(name) = id.strip_prefix("content:") {
                seen.names.entry(number).or_default().push(name.to_owned());
            }
            seen.numbers.insert(id.to_owned(), number);
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

    /// What a file is to the stream. `follows` says that the table shows what the files hold now, so that a content that
    /// comes back lands again; where it keeps all that came, its rows are there.
    pub fn arrival(&self, file: &SeenFile, reading: &str, follows: bool) -> Arrival {
        let content = file.content;
        if !self.is_read(content, reading) {
            return match self.rows_of(content) {
                // Another content has grown from it, and its rows are that one's.
                rows if rows.is_empty() && self.rows.contains_key(&content) => Arrival::Landed,
                rows => Arrival::ReadAnew(rows),
            };
        }
        let is_there = |content: i64| self.names.get(&content).is_some_and(|names| !names.is_empty());
        let is_there = is_there(content) || file.packed.is_some_and(is_there);
        let own = self.get("content", &file.name);
        match own.map(|own| Arrival::Changed(self.former(own, reading))) {
            _ if self.landing.contains(&content) => Arrival::Landed,
            Some(changed) if follows && self.goes_back(own, content) => changed,
            _ if is_there => Arrival::Landed,
            Some(changed) if follows => changed,
            _ if self.get("read", content).is_some() => Arrival::Landed,
            Some(changed) => changed,
            None => Arrival::New,
        }
    }

    /// Whether a file that held `own`, and holds `content` now, goes back to what landed before it, though that may be
    /// under another name too. Rotation goes forward.
    fn goes_back(&self, own: Option<i64>, content: i64) -> bool {
        let landed = |content: i64| {
            let times = self.rows.get(&content).into_iter().flat_map(BTreeMap::values);
            times.copied().filter(|time| *time != GONE).max()
        };
        let (before, now) = (own.and_then(landed), landed(content));
        before.zip(now).is_some_and(|(before, now)| now < before)
    }

    fn former(&self, content: i64, reading: &str) -> Former {
        Former {
            content,
            length: self
                .get("length", content)
                .and_then(|length| u64::try_from(length).ok()),
            read_so: self.is_read(content, reading),
            rows: self.rows_of(content),
        }
    }

    /// Where the rows of a content are.
    fn rows_of(&self, content: i64) -> Vec<Superseded> {
        if let Some(rows) = self.rows.get(&content) {
            let there = rows.iter().filter(|(_, since)| **since != GONE);
            return there.map(|(name, since)| self.under(name, *since)).collect();
        }
        // Earlier versions did not say under which names.
        let since = self.get("since", content).unwrap_or(i64::MIN);
        let names = self.names.get(&content).into_iter().flatten();
        names.map(|name| self.under(name, since)).collect()
    }

    /// The rows that landed under the name then: before the next content that it had did.
    fn under(&self, name: &str, since: i64) -> Superseded {
        let times = self.times.get(name);
        let until = times.and_then(|times| times.range(since.saturating_add(1)..).next().copied());
        Superseded {
            file: name.to_owned(),
            since,
            until,
        }
    }

    /// Contents that a file may have grown from that its name did not have last, as far as its beginning tells: those of
    /// files that were renamed or went back, for whose content `is_elsewhere` does not hold.
    pub fn may_have_grown_from(
        &self,
        file: &SeenFile,
        reading: &str,
        is_elsewhere: impl Fn(&SeenContent) -> bool,
    ) -> Vec<Former> {
        let Some(length) = file.length else {
            return Vec::new();
        };
        let head = number(Sha256::digest(&file.head));
        // Many files have the same length.
        let mut beginnings = HashMap::new();
        let mut begins = |content: i64, former: u64| match usize::try_from(former) {
            Ok(former) if former < HEAD => {
                let beginning = beginnings.entry(former).or_insert_with(|| {
                    let beginning = file.head.get(..former)?;
                    Some(number(Sha256::digest(hash_of_one_block(beginning))))
                });
                *beginning == Some(content)
            }
            _ => self.get("head", content) == Some(head),
        };
        let formers = self.rows.keys().filter_map(|content| {
            let former = self
                .get("length", content)
                .and_then(|length| u64::try_from(length).ok())?;
            let grew = (1..length).contains(&former) && !is_elsewhere(&SeenContent(*content));
            (grew && begins(*content, former)).then(|| self.former(*content, reading))
        });
        let mut formers: Vec<_> = formers.filter(|former| !former.rows.is_empty()).collect();
        formers.sort_by_key(|former| std::cmp::Reverse(former.length));
        formers
    }

    /// The content that the file of that name had last.
    pub fn content_of(&self, name: &str) -> Option<SeenContent> {
        self.get("content", name).map(SeenContent)
    }

    /// Takes down that the file was met, whose content has landed; and the transactions that say so.
    pub fn meet(&mut self, file: &SeenFile) -> Vec<(String, i64)> {
        let state = number(Sha256::digest(&file.state));
        self.note(&[
            ("state", file.name.clone(), state),
            ("content", file.name.clone(), file.content),
        ])
    }

    /// Takes down that the file lands, read that way; and the transactions that say so. Another one says when its rows
    /// came: [`SeenFile::rows`].
    pub fn land(&mut self, file: &SeenFile, reading: &str) -> Vec<(String, i64)> {
        let mut transactions = self.meet(file);
        self.landing.insert(file.content);
        let content = file.content.to_string();
        let mut notes = vec![("read", content.clone(), number(Sha256::digest(reading)))];
        if let Some(length) = file.length.and_then(|length| i64::try_from(length).ok()) {
            if file.head.len() >= HEAD {
                notes.push(("head", content.clone(), number(Sha256::digest(&file.head))));
            }
            notes.push(("length", content, length));
        }
        transactions.extend(self.note(&notes));
        transactions
    }

    /// The transactions by which nothing is known any more of the files: all of them are replaced at once.
    pub fn forget_files(&self) -> Vec<(String, i64)> {
        self.gone(|id| id != REJECTED && !is_of_all(id))
    }

    /// The transactions by which nothing is known any more of all files as one: more than they hold is in the table.
    pub fn forget_all_as_one(&self) -> Vec<(String, i64)> {
        self.gone(is_of_all)
    }

    fn gone(&self, which: impl Fn(&str) -> bool) -> Vec<(String, i64)> {
        let ids = self.numbers.keys().filter(|id| which(id));
        ids.map(|id| (format!("{}{id}", self.prefix), GONE)).collect()
    }

    /// Takes down that those rows of a content are not there any more; and the transactions that say so.
    pub fn forget(&mut self, content: SeenContent, rows: &[Superseded]) -> Vec<(String, i64)> {
        let gone = rows.iter().map(|rows| (rows.file.clone(), GONE));
        self.place(content, gone.collect())
    }

    /// Takes down that a file has grown from a former content, whose rows are its own now; and the transactions that say
    /// so.
    pub fn grow(&mut self, former: &Former, file: &SeenFile) -> Vec<(String, i64)> {
        let mut transactions = self.forget(SeenContent(former.content), &former.rows);
        let rows = former.rows.iter().map(|rows| (rows.file.clone(), rows.since));
        transactions.extend(self.place(file.content(), rows.collect()));
        transactions
    }

    fn place(&mut self, content: SeenContent, rows: Vec<(String, i64)>) -> Vec<(String, i64)> {
        let SeenContent(content) = content;
        let id = |name: &str| format!("{}rows:{content}:{name}", self.prefix);
        let transactions = rows.iter().map(|(name, since)| (id(name), *since)).collect();
        self.rows.entry(content).or_default().extend(rows);
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

/// Whether a transaction is one of [`Identity::of_stream`].
fn is_of_all(id: &str) -> bool {
    id.split_once(':').is_some_and(|(_, of)| of == ALL)
}

/// The first 63 bits: transactions have numbers, and two contents of one file do not meet by chance in so many.
pub fn number(hash: impl AsRef<[u8]>) -> i64 {
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

    fn rows(file: &str, since: i64, until: Option<i64>) -> Superseded {
        let file = file.to_owned();
        Superseded { file, since, until }
    }

    /// What the next load remembers of `transactions`.
    fn next(transactions: &[(String, i64)]) -> Seen {
        Seen::of("shop", "orders", transactions.iter().cloned().collect())
    }

    #[test]
    fn a_content_that_landed_is_known_under_any_name() {
        let mut seen = Seen::of("shop", "orders", HashMap::new());
        let a = file("a.csv", "1", "x");
        assert_eq!(seen.arrival(&a, "", true), Arrival::New);
        let mut transactions = seen.land(&a, "");
        transactions.push((a.rows("shop", "orders"), 7));
        let mut seen = next(&transactions);
        assert!(seen.has("a.csv", "1", "") && !seen.has("a.csv", "2", "") && !seen.has("a.csv", "1", "csv"));
        let copy = file("b.csv", "2", "x");
        for follows in [true, false] {
            assert_eq!(seen.arrival(&copy, "", follows), Arrival::Landed);
            assert_eq!(seen.arrival(&file("a.csv", "2", "x"), "", follows), Arrival::Landed);
        }
        assert_eq!(
            seen.arrival(&copy, "csv", true),
            Arrival::ReadAnew(vec![rows("a.csv", 7, None)])
        );

        // Another content takes the name; the first is remembered, and comes back to the old name.
        let y = file("a.csv", "3", "y");
        transactions.extend(seen.land(&y, ""));
        transactions.push((y.rows("shop", "orders"), 9));
        let mut seen = next(&transactions);
        let back = file("a.csv", "4", "x");
        assert_eq!(seen.arrival(&copy, "", true), Arrival::Landed);
        assert_eq!(seen.arrival(&back, "", false), Arrival::Landed);
        assert!(matches!(seen.arrival(&back, "", true), Arrival::Changed(former) if former.is(b"y")));
        // Whatever it is called now, its rows are where they landed.
        let expected = Arrival::ReadAnew(vec![rows("a.csv", 7, Some(9))]);
        assert_eq!(seen.arrival(&copy, "csv", true), expected);
        let Arrival::ReadAnew(gone) = expected else {
            unreachable!()
        };
        transactions.extend(seen.forget(copy.content(), &gone));
        transactions.extend(seen.land(&copy, "csv"));
        transactions.push((copy.rows("shop", "orders"), 11));
        let seen = next(&transactions);
        assert_eq!(
            seen.arrival(&copy, "", true),
            Arrival::ReadAnew(vec![rows("b.csv", 11, None)])
        );
        assert_eq!(
            seen.arrival(&y, "csv", true),
            Arrival::ReadAnew(vec![rows("a.csv", 9, None)])
        );
    }

    #[test]
    fn a_name_goes_back_and_rotation_goes_forward() {
        let mut seen = Seen::of("shop", "orders", HashMap::new());
        let (x, y) = (file("a.csv", "1", "x"), file("a.csv", "2", "y"));
        let mut transactions = seen.land(&x, "");
        transactions.push((x.rows("shop", "orders"), 7));
        // A copy is kept beside it.
        transactions.extend(seen.meet(&file("old.csv", "1", "x")));
        transactions.extend(seen.land(&y, ""));
        transactions.push((y.rows("shop", "orders"), 9));
        let mut seen = next(&transactions);
        let back = file("a.csv", "3", "x");
        assert!(matches!(seen.arrival(&back, "", true), Arrival::Changed(former) if former.is(b"y")));
        seen.land(&back, "");
        assert_eq!(seen.arrival(&back, "", true), Arrival::Landed);
        // The copy becomes one of the next content.
        assert_eq!(seen.arrival(&file("old.csv", "2", "y"), "", true), Arrival::Landed);
        assert_eq!(seen.arrival(&file("old.csv", "2", "x"), "", true), Arrival::Landed);
    }

    #[test]
    fn files_and_all_of_them_as_one_are_forgotten_apart() {
        let mut seen = Seen::of("shop", "orders", HashMap::new());
        let (a, all) = (file("a.csv", "1", "x"), Identity::of_stream("shop", "orders"));
        let mut transactions = seen.land(&a, "");
        transactions.push((a.rows("shop", "orders"), 7));
        transactions.extend([all.state("1"), all.content(b"1")]);
        transactions.push((format!("{}{REJECTED}", Seen::prefix("shop", "orders")), 1));
        let seen = next(&transactions);
        let ids = |gone: Vec<(String, i64)>| gone.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
        assert_eq!(ids(seen.forget_all_as_one()), all.ids().into());
        let files: Vec<_> = seen.forget_files();
        assert_eq!(files.len(), transactions.len() - 3);
        transactions.extend(files);
        assert_eq!(next(&transactions).arrival(&a, "", false), Arrival::New);
    }

    #[test]
    fn a_file_that_was_renamed_and_grew_is_known_by_its_beginning() {
        for (before, after) in [
            ("x\n".to_owned(), "x\ny\n".to_owned()),
            ("x".repeat(5000), "x".repeat(6000)),
        ] {
            let file = |name: &str, content: &str| {
                let head = content.as_bytes()[..content.len().min(HEAD)].to_vec();
                let hash = hash_of_one_block(content.as_bytes());
                SeenFile::new(name, "1", &hash, None, Some((content.len() as u64, head)))
            };
            let mut seen = Seen::of("shop", "orders", HashMap::new());
            let log = file("app.log", &before);
            let mut transactions = seen.land(&log, "");
            transactions.push((log.rows("shop", "orders"), 7));
            let mut seen = next(&transactions);
            let renamed = file("app.log.1", &after);
            assert_eq!(seen.arrival(&renamed, "", false), Arrival::New);
            let found = |seen: &Seen, file: &SeenFile| seen.may_have_grown_from(file, "", |_| false);
            let formers = found(&seen, &renamed);
            assert_eq!((formers.len(), formers[0].content()), (1, log.content()));
            assert!(found(&seen, &file("new.log", "another")).is_empty());
            assert!(
                seen.may_have_grown_from(&renamed, "", |content| *content == log.content())
                    .is_empty()
            );
            transactions.extend(seen.grow(&formers[0], &renamed));
            transactions.extend(seen.land(&renamed, ""));
            transactions.push((renamed.rows("shop", "orders"), 9));
            let seen = next(&transactions);
            let both = vec![rows("app.log", 7, None), rows("app.log.1", 9, None)];
            assert_eq!(seen.arrival(&renamed, "csv", false), Arrival::ReadAnew(both));
            assert_eq!(seen.arrival(&file("copy.log", &before), "csv", false), Arrival::Landed);
        }
    }

    #[test]
    fn what_was_taken_back_is_new() {
        let mut seen = Seen::of("shop", "orders", HashMap::new());
        let a = file("a.csv", "1", "x");
        let mut transactions = seen.land(&a, "");
        transactions.push((a.rows("shop", "orders"), 7));
        transactions.iter_mut().for_each(|(_, number)| *number = GONE);
        assert_eq!(next(&transactions).arrival(&a, "csv", true), Arrival::New);
    }

    #[test]
    fn what_earlier_versions_remembered_is_known() {
        let identity = Identity::of_file("shop", "orders", "a.csv");
        let transactions = [identity.state("1"), identity.content(b"x")];
        let seen = next(&transactions);
        assert!(seen.has("a.csv", "1", "") && seen.has("a.csv", "1", "csv"));
        assert_eq!(seen.arrival(&file("b.csv", "2", "x"), "csv", true), Arrival::Landed);
        assert_eq!(seen.arrival(&file("b.csv", "2", "y"), "csv", true), Arrival::New);
        let packed = SeenFile::new("b.gz", "2", b"plain", Some(b"x"), None);
        assert_eq!(seen.arrival(&packed, "", true), Arrival::Landed);
    }
}
