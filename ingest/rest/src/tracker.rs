//! How far a stream has been read: the highest position, and at its boundary which records are known.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cordada_core::{Error, Result};
use cordada_ingest_formats::json::pointer::Pointer;
use cordada_ingest_formats::json::scan;
use cordada_ingest_source::extract::State;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::mark::{Cursor, Mark};

/// Records that the state remembers, at most.
const MAX_KNOWN: usize = 50_000;

/// What a record is to the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordStatus {
    New,
    /// It landed with an earlier load.
    Known,
    /// It has no position, so that nobody could tell whether it has landed.
    Unplaced,
}

/// Follows the records of one stream, or of one parent's.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    cursor: Arc<Cursor>,
    /// Where the load before came to.
    from: Option<Mark>,
    /// The highest position so far.
    max: Option<Mark>,
    /// No position after this is kept, as records may still come before it.
    ceiling: Option<Mark>,
    known: Option<KnownRecords>,
}

/// Records by position and hash, for streams in which a record must not land twice.
#[derive(Debug, Clone)]
struct KnownRecords {
    key: Arc<Vec<Pointer>>,
    /// Of the state.
    before: HashSet<u64>,
    /// Of this load and as far back as the next one will look.
    recent: Vec<(Mark, u64)>,
    /// Those of `recent`, to find them.
    hashes: HashSet<u64>,
}

impl Tracker {
    /// Goes on from a state. `key` are the fields that tell records apart, for streams in which one must not land
    /// twice; the whole record if there are none.
    ///
    /// # Errors
    /// Failed for a state that is none.
    pub(crate) fn new(
        cursor: Arc<Cursor>,
        state: Option<&State>,
        ceiling: Option<Mark>,
        key: Option<Arc<Vec<Pointer>>>,
    ) -> Result<Self> {
        let wrong = || {
            Error::failed("reading the state of the stream", "it does not fit the cursor")
                .hint("the manifest has changed; land the stream anew with `disposition: replace` once")
        };
        let text = state.and_then(|state| state.get("cursor"));
        let from = text
            .map(|text| text.as_str().and_then(|text| cursor.kept(text)).ok_or_else(wrong))
            .transpose()?;
        let hashes = state.and_then(|state| state.get("known")).and_then(Json::as_array);
        let hash = |value: &Json| u64::from_str_radix(value.as_str()?, 16).ok();
        let before = hashes
            .into_iter()
            .flatten()
            .map(|value| hash(value).ok_or_else(wrong))
            .collect::<Result<_>>()?;
        let known = key.map(|key| KnownRecords {
            key,
            before,
            recent: Vec::new(),
            hashes: HashSet::new(),
        });
        let max = from.clone();
        Ok(Self {
            cursor,
            from,
            max,
            ceiling,
            known,
        })
    }

    /// Where the load begins.
    pub(crate) fn start(&self) -> Option<Mark> {
        self.from.as_ref().map(|from| self.cursor.before(from))
    }

    /// Takes note of a record.
    ///
    /// # Errors
    /// Failed for a position that is none, and for more records at the boundary than can be remembered.
    pub(crate) fn observe(&mut self, record: &[u8]) -> Result<RecordStatus> {
        let value = scan::value(record, &self.cursor.pointer).unwrap_or(Json::Null);
        let Some(mark) = self.cursor.read(&value)? else {
            return Ok(match self.known {
                Some(_) => RecordStatus::Unplaced,
                None => RecordStatus::New,
            });
        };
        let start = self.start();
        let status = match &mut self.known {
            Some(known) => known.status(record, &mark, start.as_ref()),
            None => RecordStatus::New,
        };
        if self.max.as_ref().is_none_or(|max| *max < mark) {
            self.max = Some(mark);
        }
        self.forget()?;
        Ok(status)
    }

    /// All up to `mark` has been read.
    pub(crate) fn reach(&mut self, mark: &Mark) {
        if self.max.as_ref().is_none_or(|max| max < mark) {
            self.max = Some(mark.clone());
        }
    }

    /// The system's own clock said `at` when it answered. Where ours is ahead of it, what comes after that is the future.
    pub(crate) fn answered(&mut self, at: DateTime<Utc>) {
        self.ceiling = self.cursor.end(at).into_iter().chain(self.ceiling.take()).min();
    }

    /// The state of a stream that has been read so far.
    pub(crate) fn state(&self) -> Option<State> {
        let reached = self.reached()?;
        let mut state = json!({"cursor": Cursor::keep(&reached)});
        if let (Some(known), Some(state)) = (&self.known, state.as_object_mut()) {
            let back = self.cursor.before(&reached);
            let mut hashes: Vec<_> = known
                .recent
                .iter()
                .filter(|(mark, _)| *mark >= back)
                .map(|(_, hash)| format!("{hash:016x}"))
                .collect();
            // Nothing came, so that what was known at the boundary still is.
            if self.from.as_ref() == Some(&reached) {
                hashes.extend(known.before.iter().map(|hash| format!("{hash:016x}")));
            }
            hashes.sort();
            hashes.dedup();
            state.insert("known".to_owned(), hashes.into());
        }
        Some(state)
    }

    fn reached(&self) -> Option<Mark> {
        let max = self.max.clone()?;
        // What comes from the future says nothing of what comes until then. But no load goes back behind the last.
        let held = self.ceiling.clone().map_or(max.clone(), |ceiling| max.min(ceiling));
        Some(self.from.clone().map_or(held.clone(), |from| held.max(from)))
    }

    /// Forgets records that the next load will not ask for.
    fn forget(&mut self) -> Result<()> {
        let Some(len) = self.known.as_ref().map(|known| known.recent.len()) else {
            return Ok(());
        };
        if len < 2 * MAX_KNOWN {
            return Ok(());
        }
        let back = self.reached().map(|reached| self.cursor.before(&reached));
        if let Some(known) = &mut self.known {
            known
                .recent
                .retain(|(mark, _)| back.as_ref().is_none_or(|back| mark >= back));
            known.hashes = known.recent.iter().map(|(_, hash)| *hash).collect();
            if known.recent.len() > MAX_KNOWN {
                return Err(Error::config(
                    "remembering which records have landed",
                    format!("more than {MAX_KNOWN} of them are within `lag` of the last position"),
                )
                .hint("give the stream a `key` and use `disposition: merge`, or make `lag` shorter"));
            }
        }
        Ok(())
    }
}

impl KnownRecords {
    fn status(&mut self, record: &[u8], mark: &Mark, start: Option<&Mark>) -> RecordStatus {
        if start.is_some_and(|start| mark < start) {
            return RecordStatus::Known;
        }
        let hash = self.hash(record, mark);
        if self.hashes.insert(hash) {
            self.recent.push((mark.clone(), hash));
        } else {
            return RecordStatus::Known;
        }
        match self.before.contains(&hash) {
            true => RecordStatus::Known,
            false => RecordStatus::New,
        }
    }

    /// Stands for one version of a record.
    fn hash(&self, record: &[u8], mark: &Mark) -> u64 {
        let mut digest = Sha256::new();
        digest.update(Cursor::keep(mark));
        for pointer in self.key.iter() {
            digest.update([0]);
            digest.update(scan::value(record, pointer).unwrap_or(Json::Null).to_string());
        }
        if self.key.is_empty() {
            digest.update(record);
        }
        digest
            .finalize()
            .first_chunk()
            .map(|first| u64::from_be_bytes(*first))
            .unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tracker(state: Option<&State>, lag: i64, append: bool) -> Tracker {
        let spec = json!({"cursor": "n", "type": "counter", "lag": lag});
        let cursor = Cursor::new(&serde_json::from_value(spec).unwrap(), chrono_tz::Tz::UTC);
        let key = append.then(|| Arc::new(vec![Pointer::dotted("id")]));
        Tracker::new(Arc::new(cursor), state, None, key).unwrap()
    }

    fn land(tracker: &mut Tracker, records: &[(i64, i64)]) -> Vec<i64> {
        let is_new = |(id, n): &&(i64, i64)| {
            tracker
                .observe(json!({"id": id, "n": n}).to_string().as_bytes())
                .unwrap()
                == RecordStatus::New
        };
        records.iter().filter(is_new).map(|(id, _)| *id).collect()
    }

    #[test]
    fn records_at_the_boundary_land_once() {
        let mut first = tracker(None, 0, true);
        assert_eq!(land(&mut first, &[(1, 10), (2, 20), (3, 20)]), [1, 2, 3]);
        let state = first.state().unwrap();
        // The system sends everything again, and one more with the same position.
        let mut second = tracker(Some(&state), 0, true);
        assert_eq!(second.start(), Some(Mark::Count(20)));
        assert_eq!(
            land(&mut second, &[(1, 10), (2, 20), (3, 20), (4, 20), (5, 21)]),
            [4, 5]
        );
        let mut third = tracker(Some(&second.state().unwrap()), 0, true);
        assert_eq!(land(&mut third, &[(4, 20), (5, 21)]), Vec::<i64>::new());
        assert_eq!(third.state(), second.state());
    }

    #[test]
    fn late_records_within_the_lag_land_once() {
        let mut first = tracker(None, 5, true);
        land(&mut first, &[(1, 10), (2, 20), (3, 18)]);
        let mut second = tracker(Some(&first.state().unwrap()), 5, true);
        assert_eq!(second.start(), Some(Mark::Count(15)));
        assert_eq!(land(&mut second, &[(3, 18), (4, 16), (2, 20), (5, 14)]), [4]);
        let mut third = tracker(Some(&second.state().unwrap()), 5, true);
        assert_eq!(land(&mut third, &[(3, 18), (4, 16), (2, 20)]), Vec::<i64>::new());
    }

    #[test]
    fn a_load_without_anything_keeps_what_was_known() {
        let mut first = tracker(None, 0, true);
        land(&mut first, &[(1, 10)]);
        let state = first.state();
        assert_eq!(tracker(state.as_ref(), 0, true).state(), state);
        assert_eq!(tracker(None, 0, true).state(), None);
    }

    #[test]
    fn merged_streams_remember_the_position_only() {
        let mut first = tracker(None, 0, false);
        assert_eq!(land(&mut first, &[(1, 10), (1, 10)]), [1, 1]);
        assert_eq!(first.state(), Some(json!({"cursor": "10"})));
    }

    #[test]
    fn the_future_is_not_kept() {
        let spec = json!({"cursor": "at"});
        let cursor = Arc::new(Cursor::new(&serde_json::from_value(spec).unwrap(), chrono_tz::Tz::UTC));
        let ceiling = cursor.parse("2026-01-01T00:00:00Z");
        let mut tracker = Tracker::new(cursor, None, ceiling, None).unwrap();
        tracker.observe(br#"{"at":"2999-01-01"}"#).unwrap();
        assert_eq!(tracker.state(), Some(json!({"cursor": "2026-01-01T00:00:00Z"})));
    }

    #[test]
    fn a_clock_that_is_ahead_of_the_systems_passes_over_nothing() {
        let spec = json!({"cursor": "at"});
        let cursor = Arc::new(Cursor::new(&serde_json::from_value(spec).unwrap(), chrono_tz::Tz::UTC));
        let time = |text: &str| cursor.parse(text).unwrap();
        let mut tracker = Tracker::new(cursor.clone(), None, Some(time("2031-01-01")), None).unwrap();
        for hour in [10, 11] {
            tracker.answered(format!("2026-01-01T{hour}:00:00Z").parse().unwrap());
            tracker.reach(&time("2030-12-01"));
        }
        assert_eq!(tracker.state(), Some(json!({"cursor": "2026-01-01T10:00:00Z"})));
    }

    #[test]
    fn a_state_of_another_cursor_is_refused() {
        let cursor = Arc::new(Cursor::new(
            &serde_json::from_value(json!({"cursor": "at"})).unwrap(),
            chrono_tz::Tz::UTC,
        ));
        assert!(Tracker::new(cursor, Some(&json!({"cursor": "17"})), None, None).is_err());
    }
}
