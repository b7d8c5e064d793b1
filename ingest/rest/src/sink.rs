//! Records on their way from a page into the spool: which of them land, and what is added to them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use cordada_core::{Error, Result};
use cordada_http::template::Filter;
use cordada_ingest_formats::json::pointer::Pointer;
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_source::extract::State;
use cordada_ingest_source::transform::Transforms;
use serde_json::{Map, Value as Json, json};

use super::mark::{Cursor, Mark};
use super::page::{Origin, Page};
use super::tracker::{RecordStatus, Tracker};

/// Parents whose positions are kept, at most.
const MAX_PARENTS: usize = 100_000;

/// Records that are rejected, at most: with more of them the manifest is wrong, not the records.
const MAX_REJECTED: u64 = 10_000;

/// Why a record does not land of which nobody knows what is to be transformed.
const UNTRANSFORMED: &str = "what is to be transformed cannot be told apart in it";

/// How far a stream is.
pub(crate) enum Progress {
    /// It is always read from its beginning.
    Nothing,
    Stream(Tracker),
    PerParent(Parents),
    /// It is as far as its parents are.
    OfParents(Arc<Mutex<Tracker>>),
}

/// Positions of each parent's children.
pub(crate) struct Parents {
    pub(crate) cursor: Arc<Cursor>,
    pub(crate) ceiling: Option<Mark>,
    pub(crate) key: Option<Arc<Vec<Pointer>>>,
    /// States of the loads before.
    pub(crate) before: Map<String, Json>,
    pub(crate) trackers: HashMap<String, Tracker>,
}

impl Parents {
    fn tracker(&mut self, parent: &str) -> Result<&mut Tracker> {
        if !self.trackers.contains_key(parent) {
            let state = self.before.get(parent);
            let tracker = Tracker::new(self.cursor.clone(), state, self.ceiling.clone(), self.key.clone())?;
            self.trackers.insert(parent.to_owned(), tracker);
        }
        let lost = || Error::failed("following a parent", "its position is lost");
        self.trackers.get_mut(parent).ok_or_else(lost)
    }

    fn state(&self) -> Result<State> {
        let mut parents = self.before.clone();
        for (parent, tracker) in &self.trackers {
            if let Some(state) = tracker.state() {
                parents.insert(parent.clone(), state);
            }
        }
        if parents.len() > MAX_PARENTS {
            return Err(Error::config(
                "keeping the position of each parent",
                format!("there are more than {MAX_PARENTS} parents"),
            )
            .hint("remove `per_parent` from the manifest"));
        }
        // In one order, so that the same positions are the same state.
        parents.sort_keys();
        Ok(json!({ "parents": parents }))
    }
}

impl Progress {
    /// The system's own clock said `at` when it answered.
    fn answered(&mut self, at: DateTime<Utc>) {
        match self {
            Self::Nothing => {}
            Self::Stream(tracker) => tracker.answered(at),
            Self::PerParent(parents) => {
                parents.ceiling = parents.cursor.end(at).into_iter().chain(parents.ceiling.take()).min();
            }
            Self::OfParents(tracker) => tracker.lock().unwrap_or_else(PoisonError::into_inner).answered(at),
        }
    }

    /// The state of what has been read.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        Ok(match self {
            Self::Nothing => None,
            Self::Stream(tracker) => tracker.state(),
            Self::PerParent(parents) if parents.trackers.is_empty() => None,
            Self::PerParent(parents) => Some(parents.state()?),
            Self::OfParents(tracker) => {
                let state = tracker.lock().unwrap_or_else(PoisonError::into_inner).state();
                state.map(|state| json!({ "parent": state }))
            }
        })
    }
}

/// Takes records.
pub(crate) struct Sink {
    pub(crate) spool: Spool,
    pub(crate) progress: Progress,
    pub(crate) filter: Option<Filter>,
    pub(crate) transforms: Arc<Transforms>,
    /// Bytes of the answers.
    pub(crate) bytes: u64,
    /// Records that were looked at, over all spools.
    pub(crate) seen: u64,
    /// Records that were rejected, in this spool.
    pub(crate) rejected: u64,
}

impl Sink {
    /// Takes the records of a page.
    pub(crate) fn take(&mut self, page: &Page) -> Result<()> {
        let added = members(&page.origin.included);
        self.bytes += page.answer.bytes;
        if let Some(at) = page.answer.date() {
            self.progress.answered(at);
        }
        page.answer.each(&mut |record| self.push(record, &page.origin, &added))
    }

    fn push(&mut self, record: &[u8], origin: &Origin, added: &[u8]) -> Result<()> {
        self.seen += 1;
        if record.first() != Some(&b'{') {
            return Err(Error::failed("reading the records", "one of them is not an object")
                .hint("check `records` in the manifest: it is the place of a list of objects"));
        }
        // Only where a manifest asks for it is a record made into a value, and then that value does not land.
        if let Some(filter) = &self.filter {
            let Ok(value) = serde_json::from_slice(record) else {
                return self.refuse("values are nested too deep for `filter`");
            };
            if !filter.passes(&value)? {
                return Ok(());
            }
        }
        // What tells a record from others goes into the state, and is of what lands: a hash of what is to be hidden
        // would tell it to whoever tries what it may be.
        let Some(landing) = self.transformed(Cow::Borrowed(record))? else {
            return self.refuse(UNTRANSFORMED);
        };
        let status = match &mut self.progress {
            Progress::Nothing | Progress::OfParents(_) => RecordStatus::New,
            Progress::Stream(tracker) => tracker.observe(&landing)?,
            Progress::PerParent(parents) => parents.tracker(&origin.parent)?.observe(&landing)?,
        };
        match status {
            RecordStatus::Known => return Ok(()),
            RecordStatus::Unplaced => {
                let shown = match self.transforms.is_empty() {
                    true => String::from_utf8_lossy(record).into_owned(),
                    // What is to be hashed or dropped is not written anywhere else either.
                    false => String::new(),
                };
                return self
                    .reject("the record has no cursor", shown)
                    .map_err(|error| error.hint("check `incremental.cursor` in the manifest"));
            }
            RecordStatus::New => {}
        }
        if added.is_empty() {
            return self.spool.push(&landing);
        }
        match self.transformed(Cow::Owned(splice(record, origin, added)?))? {
            Some(landing) => self.spool.push(&landing),
            None => self.refuse(UNTRANSFORMED),
        }
    }

    /// The record without what is not to be written; `None` if it cannot be looked into.
    fn transformed<'r>(&self, record: Cow<'r, [u8]>) -> Result<Option<Cow<'r, [u8]>>> {
        match self.transforms.is_empty() {
            true => Ok(Some(record)),
            false => Ok(self.transforms.apply_json(&record)?.map(Cow::Owned)),
        }
    }

    /// Rejects a record that cannot be looked into, without showing it.
    fn refuse(&mut self, reason: &str) -> Result<()> {
        self.reject(reason, String::new())
    }

    fn reject(&mut self, reason: &str, shown: String) -> Result<()> {
        if self.rejected >= MAX_REJECTED {
            let why = format!("more than {MAX_REJECTED} are rejected, the last of them because {reason}");
            return Err(Error::failed("reading the records", why));
        }
        self.spool.reject(self.seen, reason.to_owned(), shown);
        self.rejected += 1;
        Ok(())
    }
}

/// The members of an object, as they stand between its braces, with a comma after them.
fn members(included: &Map<String, Json>) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in included {
        text.extend_from_slice(Json::from(name.as_str()).to_string().as_bytes());
        text.push(b':');
        text.extend_from_slice(value.to_string().as_bytes());
        text.push(b',');
    }
    text
}

/// The record with the members of its parent before its own.
fn splice(record: &[u8], origin: &Origin, added: &[u8]) -> Result<Vec<u8>> {
    for name in origin.included.keys() {
        if cordada_ingest_formats::json::scan::value(record, &Pointer(vec![name.clone()])).is_some() {
            return Err(Error::config(
                "adding fields of the parent to the records",
                format!("they have a `{name}` already"),
            )
            .hint("give it another name in `parent.fields`"));
        }
    }
    let own = record.get(1..).unwrap_or_default().trim_ascii_start();
    let added = if own.starts_with(b"}") {
        added.strip_suffix(b",").unwrap_or(added)
    } else {
        added
    };
    Ok([b"{", added, own].concat())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_parent_come_first() {
        let included = json!({"order_id": 5, "a \"b\"": null}).as_object().unwrap().clone();
        let origin = Origin {
            parent: String::new(),
            included,
        };
        let added = members(&origin.included);
        for (record, expected) in [
            (r#"{ "id": 1.50 }"#, r#"{"order_id":5,"a \"b\"":null,"id": 1.50 }"#),
            ("{ }", r#"{"order_id":5,"a \"b\"":null}"#),
        ] {
            assert_eq!(
                String::from_utf8(splice(record.as_bytes(), &origin, &added).unwrap()).unwrap(),
                expected
            );
        }
        assert!(splice(br#"{"order_id": 1}"#, &origin, &added).is_err());
    }
}
