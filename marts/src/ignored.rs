//! What a project says and nothing is done with. It is told by name, so that nobody believes that it is done.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cordada_core::FilePosition;
use cordada_core::threads::locked;

/// What was found so far: each thing once, with its first place and how often it was found.
#[derive(Debug, Default)]
pub(crate) struct Ignored(Mutex<BTreeMap<String, (FilePosition, usize)>>);

impl Ignored {
    /// Notes that `what`, a sentence, is so at `place`.
    pub(crate) fn note(&self, what: impl Into<String>, place: &FilePosition) {
        let mut found = locked(&self.0);
        let (_, count) = found.entry(what.into()).or_insert_with(|| (place.clone(), 0));
        *count += 1;
    }

    /// Notes that a key has no effect, and why.
    pub(crate) fn key(&self, key: &str, why: &str, place: &FilePosition) {
        self.note(format!("`{key}` has no effect: {why}"), place);
    }

    /// A sentence for each, with its place.
    pub(crate) fn into_sentences(self) -> Vec<String> {
        let found = std::mem::take(&mut *locked(&self.0));
        let sentences = found.into_iter().map(|(what, (place, count))| match count {
            1 => format!("{place}: {what}"),
            _ => format!("{place}: {what} (and {} more)", count - 1),
        });
        sentences.collect()
    }
}
