//! The store as one actor sees it: each operation that others can notice, or that could find what others did, waits for
//! its turn.
//!
//! What cannot matter to others goes on at once, so that there are few enough orders to try all of them: data files,
//! which nobody can find before the commit that names them; what is read and will never change; the journals, which are
//! no part of a release.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::{mpsc, oneshot};

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done.
    Done,
    /// The process is killed before it; nothing that it asks for is done any more.
    Killed,
    /// It is done, and the answer is lost.
    Unanswered,
    /// It is done, its answer is lost, and the client asked again by itself, as those of S3 do: it finds its own file.
    AskedTwice,
}

/// An operation that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) actor: usize,
    pub(super) operation: String,
    /// What may become of it, but for being done.
    pub(super) faults: &'static [Fate],
    pub(super) turn: oneshot::Sender<Fate>,
}

/// The store of one actor.
#[derive(Debug, Clone)]
pub(super) struct TurnStore {
    inner: Arc<InMemory>,
    actor: usize,
    waiting: mpsc::UnboundedSender<Waiting>,
}

impl TurnStore {
    pub(super) fn new(inner: Arc<InMemory>, actor: usize, waiting: mpsc::UnboundedSender<Waiting>) -> Self {
        Self { inner, actor, waiting }
    }

    /// Whether what is there now will be there for ever: somebody may still write what is not there, and writes what is
    /// torn again.
    async fn is_settled(&self, location: &Path) -> bool {
        match self.inner.get(location).await {
            Ok(found) => found
                .bytes()
                .await
                .is_ok_and(|bytes| bytes.ends_with(b"}") || bytes.ends_with(b"\n")),
            Err(_) => false,
        }
    }

    async fn turn(&self, operation: String, faults: &'static [Fate]) -> Result<Fate> {
        let (turn, decided) = oneshot::channel();
        let waiting = Waiting {
            actor: self.actor,
            operation,
            faults,
            turn,
        };
        let dead = || generic("the process was killed");
        self.waiting.send(waiting).map_err(|_| dead())?;
        match decided.await {
            Ok(Fate::Killed) | Err(_) => Err(dead()),
            Ok(fate) => Ok(fate),
        }
    }
}

/// Whether others can notice what is written there.
fn is_shared(path: &Path) -> bool {
    let path = path.as_ref();
    let is_log = path.contains("/_delta_log") && !path.starts_with("ops/");
    (is_log || is_release(path)) && !path.ends_with("_last_checkpoint")
}

fn is_release(path: &str) -> bool {
    path.contains("_cordada/releases")
}

fn generic(why: &str) -> Error {
    Error::Generic {
        store: "turns",
        source: why.into(),
    }
}

impl fmt::Display for TurnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store of actor {}", self.actor)
    }
}

#[async_trait]
impl ObjectStore for TurnStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !is_shared(location) {
            return self.inner.put_opts(location, payload, options).await;
        }
        let faults: &[Fate] = match options.mode {
            PutMode::Create => &[Fate::Killed, Fate::Unanswered, Fate::AskedTwice],
            _ => &[Fate::Killed, Fate::Unanswered],
        };
        let fate = self.turn(format!("put {location}"), faults).await?;
        let answer = self.inner.put_opts(location, payload, options).await?;
        match fate {
            Fate::Unanswered => Err(generic("the answer was lost")),
            Fate::AskedTwice => Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "the first of two requests was answered too late".into(),
            }),
            Fate::Done | Fate::Killed => Ok(answer),
        }
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        assert!(!is_shared(at), "{at} is written in one request");
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if is_shared(location) && !self.is_settled(location).await {
            self.turn(format!("get {location}"), &[]).await?;
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (own, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            if let Some(prefix) = prefix.as_ref().filter(|prefix| is_shared(prefix))
                && let Err(error) = own.turn(format!("list {prefix}"), &[]).await
            {
                return futures::stream::iter([Err(error)]).boxed();
            }
            own.inner.list(prefix.as_ref())
        };
        listed.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        assert!(!is_shared(to), "{to} is not a copy");
        self.inner.copy_opts(from, to, options).await
    }
}
