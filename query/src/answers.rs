//! Answers that are kept, to be given again to whoever asks the same of the same release under the same access.
//!
//! A release never changes, so what is kept is exact by its key and never invalid; it goes when room is needed. What is
//! kept are the parts that a door sent, in the order in which it did, so that giving an answer again costs nothing but
//! sending it.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cordada_core::Recent;
use cordada_lake::Lake;
use datafusion::execution::memory_pool::MemoryReservation;

/// The share of the lake's memory, one byte in so many.
const MEMORY_PART: usize = 8;
/// The share of the bytes, one in so many, that answers which are being recorded may take; so much is the largest that
/// is kept.
const RECORDING_PART: usize = 4;
/// Bytes of an answer that is kept when it is given for the first time. A larger one is kept when somebody asks for it
/// again, so that answers that are wanted once do not wash out those that are wanted all day.
const SMALL: usize = 64 << 10;
/// Answers that were too large to be kept the first time and are remembered.
const REMEMBERED: usize = 4096;
/// What an entry takes beside its parts, about.
const ENTRY: usize = 256;

/// Answers by what was asked, within a bound of bytes; those that were not asked for longest go first.
pub struct Answers<K, P> {
    kept: Recent<K, Arc<[P]>>,
    /// Bytes that may be recorded at a time, and are now.
    most_recording: usize,
    recording: AtomicUsize,
    /// The hashes of what was asked before and had a larger answer.
    asked: Recent<u64, ()>,
    hasher: RandomState,
    /// What is taken from the memory of queries.
    _memory: Option<MemoryReservation>,
}

/// Without questions and answers, which are nobody's who reads a log.
impl<K, P> fmt::Debug for Answers<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}

/// An answer that is being given: kept if it comes to its end and is not too large.
pub struct Recording<K: Hash + Eq + Clone, P> {
    answers: Arc<Answers<K, P>>,
    /// What was asked; `None` once the answer is not to be kept.
    key: Option<K>,
    parts: Vec<P>,
    bytes: usize,
}

impl<K: Hash + Eq + Clone, P> Answers<K, P> {
    /// None yet, and later no more than a share of the lake's memory, of which queries have so much less.
    pub fn of(lake: &Lake) -> Arc<Self> {
        let bytes = lake.memory() / MEMORY_PART;
        Self::within(bytes, Some(lake.reserve("kept answers", bytes)))
    }

    fn within(bytes: usize, memory: Option<MemoryReservation>) -> Arc<Self> {
        let most_recording = bytes / RECORDING_PART;
        Arc::new(Self {
            kept: Recent::new(bytes - most_recording),
            most_recording,
            recording: AtomicUsize::new(0),
            asked: Recent::new(REMEMBERED),
            hasher: RandomState::new(),
            _memory: memory,
        })
    }

    /// The answer, if it is kept.
    pub fn get(&self, key: &K) -> Option<Arc<[P]>> {
        self.kept.get(key)
    }

    /// Begins to record an answer; the key takes `key_bytes`.
    pub fn record(self: &Arc<Self>, key: K, key_bytes: usize) -> Recording<K, P> {
        let mut recording = Recording {
            answers: self.clone(),
            key: Some(key),
            parts: Vec::new(),
            bytes: 0,
        };
        recording.grow(ENTRY + key_bytes);
        recording
    }
}

impl<K: Hash + Eq + Clone, P> Recording<K, P> {
    /// The next part of the answer, which takes so many bytes; it is asked for if there is room.
    pub fn push(&mut self, bytes: usize, part: impl FnOnce() -> P) {
        if self.grow(bytes + size_of::<P>()) {
            self.parts.push(part());
        }
    }

    /// The answer is complete.
    pub fn finish(mut self) {
        let Some(key) = self.key.take() else { return };
        let parts = std::mem::take(&mut self.parts).into();
        self.answers.kept.insert(key, parts, self.bytes);
    }

    /// Makes room for more; says whether there is any.
    fn grow(&mut self, bytes: usize) -> bool {
        let Some(key) = &self.key else { return false };
        let answers = &self.answers;
        let before = self.bytes;
        self.bytes += bytes;
        let all = answers.recording.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut fits = all <= answers.most_recording;
        if fits && before <= SMALL && self.bytes > SMALL {
            let hash = answers.hasher.hash_one(key);
            fits = answers.asked.get(&hash).is_some();
            answers.asked.insert(hash, (), 1);
        }
        if !fits {
            self.abandon();
        }
        fits
    }

    fn abandon(&mut self) {
        self.key = None;
        self.parts = Vec::new();
        self.answers
            .recording
            .fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl<K: Hash + Eq + Clone, P> Drop for Recording<K, P> {
    fn drop(&mut self) {
        self.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 1 << 20;

    fn answer(answers: &Arc<Answers<u32, u32>>, key: u32, parts: &[u32], bytes: usize) {
        let mut recording = answers.record(key, 0);
        for part in parts {
            recording.push(bytes, || *part);
        }
        recording.finish();
    }

    #[test]
    fn an_answer_is_given_again_once_it_was_given_to_its_end() {
        let answers = Answers::within(BYTES, None);
        let mut broken_off = answers.record(1, 0);
        broken_off.push(1, || 1);
        drop(broken_off);
        assert!(answers.get(&1).is_none());
        answer(&answers, 1, &[7, 8], 1);
        assert_eq!(answers.get(&1).as_deref(), Some(&[7, 8][..]));
        assert!(answers.get(&2).is_none());
        assert_eq!(answers.recording.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_larger_answer_is_kept_when_it_is_asked_for_again() {
        let answers = Answers::within(BYTES, None);
        answer(&answers, 1, &[1], 1);
        answer(&answers, 2, &[2, 2], SMALL);
        assert!(answers.get(&2).is_none());
        answer(&answers, 2, &[2, 2], SMALL);
        assert!(answers.get(&2).is_some() && answers.get(&1).is_some());
    }

    #[test]
    fn neither_what_is_kept_nor_what_is_recorded_is_more_than_its_share() {
        let answers = Answers::within(BYTES, None);
        for _ in 0..2 {
            answer(&answers, 0, &[0], BYTES / RECORDING_PART);
            assert!(answers.get(&0).is_none(), "larger than the largest");
        }
        for key in 0..1000 {
            answer(&answers, key, &[key], SMALL / 2);
            assert!(answers.kept.weight() <= BYTES - BYTES / RECORDING_PART);
        }
        assert!(answers.get(&0).is_none() && answers.get(&999).is_some());

        let mut several: Vec<_> = (2000..2010).map(|key| answers.record(key, 0)).collect();
        for recording in &mut several {
            recording.push(SMALL / 2, || 1);
        }
        let held: usize = several
            .iter()
            .filter(|one| one.key.is_some())
            .map(|one| one.bytes)
            .sum();
        assert!(held > 0 && held <= BYTES / RECORDING_PART, "{held}");
        several.into_iter().for_each(Recording::finish);
        assert_eq!(answers.recording.load(Ordering::Relaxed), 0);
    }
}
