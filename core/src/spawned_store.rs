//! A store that is asked on one runtime, whoever asks it.
//!
//! A connection lives on the runtime that opened it, and is used by whoever asks the store next. Queries have runtimes of
//! their own, which come and go and may be busy: none of them may be what a connection depends on.
//!
//! What it gives is as long as it says: HTTP does not tell a body that somebody on the way cut from a whole one, and readers
//! trust what they get.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, coalesce_ranges,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// Items of a stream that may wait for whoever reads it.
const WAITING: usize = 2;

/// A store, and where it is asked.
#[derive(Debug)]
pub struct SpawnedStore {
    inner: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl SpawnedStore {
    /// The store, asked on `runtime`, which has to be there as long as it is.
    pub fn new(inner: Arc<dyn ObjectStore>, runtime: Handle) -> Self {
        Self { inner, runtime }
    }

    /// Does something with the store, until it is done or nobody waits for it any more.
    async fn ask<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        question: impl FnOnce(Arc<dyn ObjectStore>) -> F,
    ) -> Result<T> {
        let asked = self.runtime.spawn(question(self.inner.clone()));
        AbortOnDropHandle::new(asked)
            .await
            .unwrap_or_else(|error| Err(broken_off(error)))
    }

    /// The items of a stream, which is read on the runtime of the store.
    fn read<T: Send + 'static>(&self, mut items: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let reading = self.runtime.spawn(async move {
            while let Some(item) = items.next().await {
                if sender.send(item).await.is_err() {
                    break;
                }
            }
        });
        let state = (receiver, Some(AbortOnDropHandle::new(reading)));
        let next = |(mut receiver, mut reading): (mpsc::Receiver<Result<T>>, Option<AbortOnDropHandle<()>>)| async move {
            if let Some(item) = receiver.recv().await {
                return Some((item, (receiver, reading)));
            }
            // A stream that broke off is not at its end.
            let error = reading.take()?.await.err()?;
            Some((Err(broken_off(error)), (receiver, None)))
        };
        stream::unfold(state, next).boxed()
    }
}

fn broken_off(error: JoinError) -> Error {
    Error::Generic {
        store: "spawned",
        source: Box::new(error),
    }
}

async fn get_range(store: &Arc<dyn ObjectStore>, location: &Path, range: Range<u64>) -> Result<Bytes> {
    let options = GetOptions::new().with_range(Some(range));
    let got = store.get_opts(location, options).await?;
    let length = length(&got);
    let bytes = got.bytes().await?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(cut_off(location, bytes.len() as u64, length)),
    }
}

/// How many bytes an answer says that it is.
fn length(got: &GetResult) -> u64 {
    got.range.end.saturating_sub(got.range.start)
}

/// The bytes, and an error if they are not so many.
fn whole(bytes: BoxStream<'static, Result<Bytes>>, location: Path, length: u64) -> BoxStream<'static, Result<Bytes>> {
    let next = move |state| async move {
        let (mut bytes, location, given): (BoxStream<'static, Result<Bytes>>, Path, u64) = state?;
        match bytes.next().await {
            Some(Ok(part)) => {
                let given = given + part.len() as u64;
                Some((Ok(part), Some((bytes, location, given))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None if given == length => None,
            None => Some((Err(cut_off(&location, given, length)), None)),
        }
    };
    stream::unfold(Some((bytes, location, 0)), next).boxed()
}

fn cut_off(location: &Path, given: u64, length: u64) -> Error {
    Error::Generic {
        store: "spawned",
        source: format!("{location} was cut off on the way: {given} bytes came of {length}").into(),
    }
}

impl std::fmt::Display for SpawnedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for SpawnedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let location = location.clone();
        self.ask(|store| async move { store.put_opts(&location, payload, options).await })
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // Whoever writes does so on the runtime of the store: queries only read.
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let location = location.clone();
        let got = self.ask(|store| async move { store.get_opts(&location, options).await });
        let mut got = got.await?;
        let (location, length) = (got.meta.location.clone(), length(&got));
        got.payload = match got.payload {
            GetResultPayload::Stream(bytes) => GetResultPayload::Stream(whole(self.read(bytes), location, length)),
            file => file,
        };
        Ok(got)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (location, ranges) = (location.clone(), ranges.to_vec());
        self.ask(|store| async move {
            let get = |range| get_range(&store, &location, range);
            coalesce_ranges(&ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await
        })
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.read(self.inner.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.read(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.read(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned();
        self.ask(|store| async move { store.list_with_delimiter(prefix.as_ref()).await })
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.ask(|store| async move { store.copy_opts(&from, &to, options).await })
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.ask(|store| async move { store.rename_opts(&from, &to, options).await })
            .await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn it_gives_what_the_store_gives() {
        let inner = Arc::new(InMemory::new());
        let store = SpawnedStore::new(inner.clone(), Handle::current());
        let (a, b) = (Path::from("x/a"), Path::from("x/b"));
        store.put(&a, "0123456789".into()).await.unwrap();
        store.copy(&a, &b).await.unwrap();
        assert_eq!(inner.get(&b).await.unwrap().bytes().await.unwrap(), "0123456789");
        assert_eq!(store.get(&a).await.unwrap().bytes().await.unwrap(), "0123456789");
        assert_eq!(store.get_ranges(&a, &[1..3, 7..9]).await.unwrap(), ["12", "78"]);
        let listed: Vec<_> = store
            .list(None)
            .map_ok(|found| found.location)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed, [a.clone(), b.clone()]);
        store.rename(&b, &Path::from("x/c")).await.unwrap();
        store.delete(&a).await.unwrap();
        let left = store.list_with_delimiter(Some(&Path::from("x"))).await.unwrap();
        assert_eq!(left.objects[0].location, Path::from("x/c"));
        assert!(matches!(store.get(&a).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_is_not_at_its_end() {
        let store = SpawnedStore::new(Arc::new(InMemory::new()), Handle::current());
        let items = stream::iter(0..3).map(|n| match n {
            2 => panic!("a bug of a store"),
            n => Ok(n),
        });
        let read: Vec<_> = store.read(items.boxed()).collect().await;
        assert!(matches!(read.as_slice(), [Ok(0), Ok(1), Err(_)]), "{read:?}");
    }

    #[tokio::test]
    async fn a_body_that_is_cut_is_not_whole() {
        let parts = || stream::iter([Ok(Bytes::from_static(b"01234")), Ok(Bytes::from_static(b"56"))]).boxed();
        let read = async |length| whole(parts(), Path::from("a"), length).try_collect::<Vec<_>>().await;
        assert_eq!(read(7).await.unwrap().concat(), b"0123456");
        let refused = read(10).await.unwrap_err().to_string();
        assert!(refused.contains("7 bytes came of 10"), "{refused}");
    }
}
