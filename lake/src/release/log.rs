//! The releases of one environment: what is newest, what one was, and publishing the next.

use std::sync::Arc;

use cordada_core::{Error, Result};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::Mutex;

use super::checkpoint::Checkpoints;
use super::docs_store::DocsStore;
use super::draft::Draft;
use super::file::{Content, Found, ReleaseFile, ReleaseFiles};
use super::model::{self, Relation, Release};

/// Files that are read at the same time.
pub(super) const PARALLEL_READS: usize = 32;

/// The releases of one environment.
#[derive(Debug)]
pub struct ReleaseLog {
    pub(super) files: ReleaseFiles,
    pub(super) checkpoints: Checkpoints,
    pub(super) docs: Arc<DocsStore>,
    /// Where the numbers start from when this log is empty: production, for another environment.
    parent: Option<Arc<ReleaseLog>>,
    newest: Mutex<Option<State>>,
}

/// A release, and the newest whole map that it was put together from.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) release: Arc<Release>,
    /// The number of that map; `None` if this log has none because it is empty.
    pub(super) whole: Option<u64>,
}

impl State {
    /// That of the whole map in `file`; an empty one if it has changes only.
    fn of(file: ReleaseFile) -> Self {
        let whole = Some(file.head.number);
        let start = Self {
            release: Arc::default(),
            whole,
        };
        start.then(file)
    }

    /// That of the next release.
    fn then(self, next: ReleaseFile) -> Self {
        let number = next.head.number;
        let Release {
            mut relations,
            mut timelines,
            ..
        } = Arc::unwrap_or_clone(self.release);
        let (changed, whole): (Vec<_>, _) = match next.content {
            Content::Relations(all) => {
                let changes = model::changes_between(&relations, &all);
                relations = all;
                (changes.into_keys().collect(), Some(number))
            }
            Content::Changes(changes) => {
                let changed = changes.keys().cloned().collect();
                model::apply(&mut relations, changes);
                (changed, self.whole)
            }
        };
        match next.timelines {
            Some(known) => timelines = known,
            None if next.head.restores.is_some() => timelines.extend(changed.into_iter().map(|name| (name, number))),
            None => {}
        }
        Self {
            release: Arc::new(Release::new(next.head, relations, timelines)),
            whole,
        }
    }
}

impl ReleaseLog {
    /// The log in `folder`.
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        lake: Arc<str>,
        folder: &Path,
        docs: Arc<DocsStore>,
        parent: Option<Arc<ReleaseLog>>,
    ) -> Self {
        let files = |name, what| ReleaseFiles::new(store.clone(), lake.clone(), folder.clone().join(name), what);
        Self {
            files: files("releases", "release"),
            checkpoints: Checkpoints::new(files("checkpoints", "checkpoint"), docs.clone()),
            docs,
            parent,
            newest: Mutex::new(None),
        }
    }

    /// The newest release; number 0 and empty when nothing was ever published.
    ///
    /// Costs one look for the next number once the newest is known.
    ///
    /// # Errors
    /// The releases cannot be read.
    pub async fn newest(&self) -> Result<Arc<Release>> {
        Ok(self.newest_state().await?.release)
    }

    async fn newest_state(&self) -> Result<State> {
        let mut known = self.newest.lock().await;
        // A copy: whoever asks may leave before the next number is looked for.
        let mut state = match &*known {
            Some(state) => state.clone(),
            None => self.open().await?,
        };
        loop {
            let number = state.release.number + 1;
            match self.files.find(number).await? {
                Found::File(next) => state = state.then(next),
                Found::Nothing => break,
                Found::Torn if self.is_last(number).await? => break,
                Found::Torn => {}
            }
        }
        *known = Some(state.clone());
        Ok(state)
    }

    async fn open(&self) -> Result<State> {
        // What the newest checkpoint has seen is not listed again, unless its own release is gone.
        for first in [self.checkpoints.newest().await?, 0] {
            for number in self.files.numbers(first).await?.into_iter().rev() {
                match self.files.find(number).await? {
                    Found::File(_) => return self.state(number).await?.ok_or_else(|| self.incomplete(number)),
                    Found::Torn => tracing::warn!(
                        release = number,
                        "a release is cut off, as after a power cut; it was never published, and is passed over"
                    ),
                    Found::Nothing => {}
                }
            }
        }
        let release = match &self.parent {
            // Boxed because an async fn cannot contain itself.
            Some(parent) => Box::pin(parent.newest()).await?,
            None => Arc::default(),
        };
        Ok(State { release, whole: None })
    }

    /// The release of that number.
    ///
    /// # Errors
    /// No such number (kind config), saying which there are.
    pub async fn get(&self, number: u64) -> Result<Arc<Release>> {
        if let Some(state) = self.state(number).await? {
            return Ok(state.release);
        }
        if number == 0 {
            return Ok(Arc::new(Release::default()));
        }
        let numbers = self.files.numbers(0).await?;
        let known = match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => format!("there are releases {first} to {last}"),
            _ => "nothing was published yet".to_owned(),
        };
        Err(Error::config(format!("reading release {number}"), "there is none of that number").hint(known))
    }

    /// The release of that number, put together from the last whole map before it and the changes since.
    pub(super) async fn state(&self, number: u64) -> Result<Option<State>> {
        let Some(file) = self.files.read(number).await? else {
            return Ok(None);
        };
        if file.is_whole() {
            return Ok(Some(State::of(file)));
        }
        let checkpoint = self.checkpoints.before(number).await?;
        let first = checkpoint.as_ref().map_or(1, |checkpoint| checkpoint.head.number + 1);
        let mut before = stream::iter((first..number).rev())
            .map(|number| self.files.read(number))
            .buffered(PARALLEL_READS);
        let (mut start, mut changed) = (checkpoint, vec![file]);
        while let Some(file) = before.try_next().await? {
            let file = file.ok_or_else(|| self.incomplete(number))?;
            if file.is_whole() {
                start = Some(file);
                break;
            }
            changed.push(file);
        }
        let start = start.ok_or_else(|| self.incomplete(number))?;
        Ok(Some(changed.into_iter().rev().fold(State::of(start), State::then)))
    }

    /// Whether release `number`, which was found torn, is the last one; false if somebody cleared it meanwhile.
    ///
    /// # Errors
    /// Failed: later ones build on it, so that what it changed is missing.
    async fn is_last(&self, number: u64) -> Result<bool> {
        let mut after = number + 1;
        loop {
            match self.files.find(after).await? {
                Found::Nothing => return Ok(true),
                Found::Torn => after += 1,
                Found::File(_) if !matches!(self.files.find(number).await?, Found::Torn) => return Ok(false),
                Found::File(_) => {
                    let why = "it is cut off, and later ones build on it";
                    return Err(Error::failed(format!("reading release {number}"), why)
                        .hint("restore its file from a backup")
                        .with("lake", self.files.lake()));
                }
            }
        }
    }

    /// Puts a release that changes nothing in the place of one that is torn, so that the next has a number.
    async fn clear_torn(&self, newest: &State) -> Result<()> {
        let number = newest.release.number + 1;
        if !self.is_last(number).await? {
            return Ok(());
        }
        let nothing = Draft::new(newest.release.clone(), "recovery", "");
        let (file, _) = self.next(&nothing, newest).await?;
        tracing::warn!(release = number, "cleared a release that was cut off");
        self.files.replace(&file).await
    }

    fn incomplete(&self, number: u64) -> Error {
        let why = "a release before it is missing, whose changes it builds on";
        Error::failed(format!("reading release {number}"), why).with("lake", self.files.lake())
    }

    /// Publishes the draft as the next number.
    ///
    /// When somebody published meanwhile, the draft is rebased if theirs touched other relations.
    ///
    /// # Errors
    /// Conflict: another release changed a relation that this draft changes too. Config: it changes a relation of somebody
    /// else, as [`Release::check_owner`] says. Nothing is published then.
    pub async fn publish(&self, draft: &Draft) -> Result<Arc<Release>> {
        loop {
            let newest = self.newest_state().await?;
            draft.check_owners(&newest.release)?;
            if newest.release.number != draft.base().number {
                draft.check_conflict(&newest.release)?;
            }
            let (file, mut next) = self.next(draft, &newest).await?;
            let number = file.head.number;
            let published = self.files.create(&file).await?
                || match self.files.find(number).await? {
                    // Ours: the store wrote it, and its answer was lost.
                    Found::File(there) => there.head == file.head,
                    Found::Torn => {
                        self.clear_torn(&newest).await?;
                        false
                    }
                    Found::Nothing => false,
                };
            if published {
                self.checkpoints.write_if_due(&mut next).await;
                let release = next.release.clone();
                *self.newest.lock().await = Some(next);
                return Ok(release);
            }
        }
    }

    /// The draft on top of `newest`, as a file and as what its readers make of it. What is said about its relations is
    /// stored before.
    async fn next(&self, draft: &Draft, newest: &State) -> Result<(ReleaseFile, State)> {
        let mut changes = draft.changes_to(&newest.release);
        let mut said = Vec::new();
        for (name, relation) in &mut changes {
            let Some(Relation { docs, .. }) = relation else {
                continue;
            };
            // What the newest release says of the relation is stored, and is not removed before the draft conflicts.
            match newest.release.relation(name) {
                Some(known) if known.docs == *docs => docs.set_stored(),
                _ => said.push(docs),
            }
        }
        self.docs.store(said).await?;
        let number = newest.release.number + 1;
        let mut release = draft.onto(&newest.release, number, changes.clone());
        let file = match newest.whole {
            Some(_) => ReleaseFile {
                head: release.head(),
                content: Content::Changes(changes),
                timelines: None,
            },
            // The first of this log: what it builds on is another environment's.
            None => ReleaseFile::whole(&mut release, &self.docs).await?,
        };
        let state = State {
            release: Arc::new(release),
            whole: newest.whole.or(Some(number)),
        };
        Ok((file, state))
    }
}
