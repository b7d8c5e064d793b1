//! A local folder as an object store that keeps its word when the power fails.
//!
//! What `object_store` writes is in the page cache when it says that it is written: after a power cut a name may be there
//! without its content, or neither. Here a file is synchronised before it gets its name, and the folder after it, with
//! those above it that are new, so that what was said to be written is on the disk, in the order in which it was said.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// What errors call the store.
const NAME: &str = "local";

/// A folder, or the whole file system.
#[derive(Debug, Clone)]
pub struct LocalStore {
    inner: Arc<LocalFileSystem>,
}

impl LocalStore {
    /// The store of what is in `folder`, which has to be there.
    ///
    /// # Errors
    /// The folder is not there.
    pub fn new(folder: impl AsRef<FilePath>) -> Result<Self> {
        let inner = Arc::new(LocalFileSystem::new_with_prefix(folder)?);
        Ok(Self { inner })
    }

    /// The store whose paths are those of the file system.
    pub fn of_all() -> Self {
        let inner = Arc::new(LocalFileSystem::new());
        Self { inner }
    }
}

impl std::fmt::Display for LocalStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "an update of what is at one version".to_owned(),
                    implementer: NAME.to_owned(),
                });
            }
        };
        let target = self.inner.path_to_filesystem(location)?;
        blocking(move || {
            let mut staged = Staged::new(target)?;
            payload.iter().try_for_each(|bytes| staged.file.write_all(bytes))?;
            staged.finish(replace)
        })
        .await
        .map_err(|error| error.about(location))?;
        Ok(nothing_more())
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let target = self.inner.path_to_filesystem(location)?;
        let staged = blocking(move || Staged::new(target)).await;
        let staged = staged.map_err(|error| error.about(location))?;
        Ok(Box::new(Upload {
            location: location.clone(),
            staged: Arc::new(Mutex::new(Some(staged))),
            parts: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        // Whoever follows a log asks for its next file again and again. That there is none is known in less time than it
        // takes to find a thread that may wait.
        let path = self.inner.path_to_filesystem(location)?;
        match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::NotFound {
                path: location.to_string(),
                source: error.into(),
            }),
            _ => self.inner.get_opts(location, options).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.sync(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await?;
        self.sync(to).await
    }
}

impl LocalStore {
    /// Synchronises what is at `location`, and its name.
    async fn sync(&self, location: &Path) -> Result<()> {
        let path = self.inner.path_to_filesystem(location)?;
        blocking(move || {
            File::open(&path)?.sync_all()?;
            Ok(sync_folder(folder_of(&path)?)?)
        })
        .await
        .map_err(|error| error.about(location))
    }
}

/// A file under the name that lists hide, until all of it is there.
#[derive(Debug)]
struct Staged {
    file: File,
    target: PathBuf,
    /// Until another name is all that it has: then somebody else may have this one.
    path: Option<PathBuf>,
}

impl Staged {
    fn new(target: PathBuf) -> std::result::Result<Self, Failure> {
        let mut number = 1_u32;
        loop {
            let mut path = target.clone().into_os_string();
            path.push(format!("#{number}"));
            let path = PathBuf::from(path);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let path = Some(path);
                    return Ok(Self { file, target, path });
                }
                // Another writer's, or what is left of one that was killed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => create_folders(folder_of(&path)?)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the file its name, once it is on the disk; `replace` says whether another one may have it.
    fn finish(mut self, replace: bool) -> std::result::Result<(), Failure> {
        self.file.sync_all()?;
        let path = self.path.as_deref().ok_or(Failure::Aborted)?;
        if replace {
            std::fs::rename(path, &self.target)?;
            self.path = None;
        } else {
            std::fs::hard_link(path, &self.target).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => Failure::Exists(error),
                _ => error.into(),
            })?;
        }
        Ok(sync_folder(folder_of(&self.target)?)?)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes the files that writers who were killed left in the folder and below it, if they were last written `before`;
/// says how many those were.
///
/// # Errors
/// Those of the file system.
pub fn remove_unfinished(folder: &FilePath, before: SystemTime) -> std::io::Result<u64> {
    let mut removed = 0;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // Others clean up too.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_unfinished(&entry.path(), before)?;
        } else if is_staged(&entry.file_name()) {
            removed += match remove_if_older(&entry.path(), before) {
                Ok(removed) => u64::from(removed),
                // Its writer lives, and was done meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => 0,
                Err(error) => return Err(error),
            };
        }
    }
    Ok(removed)
}

fn remove_if_older(file: &FilePath, before: SystemTime) -> std::io::Result<bool> {
    let is_older = std::fs::metadata(file)?.modified()? < before;
    if is_older {
        std::fs::remove_file(file)?;
    }
    Ok(is_older)
}

/// Whether [`Staged`] gives such names.
fn is_staged(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once('#'));
    number.is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A file that comes in parts, which are written in the order in which they were given.
#[derive(Debug)]
struct Upload {
    location: Path,
    staged: Arc<Mutex<Option<Staged>>>,
    parts: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (staged, location, start) = (self.staged.clone(), self.location.clone(), self.parts);
        self.parts += data.content_length() as u64;
        let write = move || {
            let staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
            let file = &staged.as_ref().ok_or(Failure::Aborted)?.file;
            let mut at = start;
            for bytes in &data {
                write_at(file, bytes, at)?;
                at += bytes.len() as u64;
            }
            Ok(())
        };
        blocking(write)
            .map(move |written| written.map_err(|error| error.about(&location)))
            .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.clone();
        blocking(move || {
            let staged = staged.lock().unwrap_or_else(PoisonError::into_inner).take();
            staged.ok_or(Failure::Aborted)?.finish(true)
        })
        .await
        .map_err(|error| error.about(&self.location))?;
        Ok(nothing_more())
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

/// Writes all `bytes` at that byte of the file.
#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Writes all `bytes` at that byte of the file.
#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    use std::io::Seek;
    file.seek(std::io::SeekFrom::Start(at))?;
    file.write_all(bytes)
}

fn folder_of(path: &FilePath) -> std::io::Result<&FilePath> {
    path.parent()
        .ok_or_else(|| std::io::Error::other("it is not in a folder"))
}

/// Creates the folder and those above it, each durable.
fn create_folders(folder: &FilePath) -> std::io::Result<()> {
    match std::fs::create_dir(folder) {
        Ok(()) => sync_folder(folder_of(folder)?),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_folders(folder_of(folder)?)?;
            create_folders(folder)
        }
        Err(error) => Err(error),
    }
}

/// Makes the names in the folder durable; only Unix has and needs it.
///
/// # Errors
/// Those of the file system.
pub fn sync_folder(folder: &FilePath) -> std::io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

fn nothing_more() -> PutResult {
    PutResult {
        e_tag: None,
        version: None,
    }
}

/// Why something was not written.
enum Failure {
    Exists(std::io::Error),
    Aborted,
    Io(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl Failure {
    fn about(self, location: &Path) -> Error {
        let path = location.to_string();
        match self {
            Self::Exists(source) => Error::AlreadyExists {
                path,
                source: source.into(),
            },
            Self::Aborted => generic("the upload was given up".into()),
            Self::Io(source) if source.kind() == ErrorKind::PermissionDenied => Error::PermissionDenied {
                path,
                source: source.into(),
            },
            Self::Io(source) => generic(source.into()),
        }
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: NAME, source }
}

/// Runs `work` where it may block; here if there is no runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Failure> + Send + 'static,
) -> std::result::Result<T, Failure> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(std::io::Error::other(error).into()),
        },
        Err(_) => work(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    fn store() -> (tempfile::TempDir, LocalStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::new(folder.path()).unwrap();
        (folder, store)
    }

    async fn names(store: &LocalStore) -> Vec<String> {
        let all: Vec<_> = store.list(None).try_collect().await.unwrap();
        let mut names: Vec<_> = all.into_iter().map(|meta| meta.location.to_string()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn what_is_put_is_there_and_nothing_beside_it() {
        let (folder, store) = store();
        store.put(&"a/b/c".into(), "one".into()).await.unwrap();
        store.put(&"a/b/c".into(), "two".into()).await.unwrap();
        assert_eq!(store.get(&"a/b/c".into()).await.unwrap().bytes().await.unwrap(), "two");
        assert_eq!(names(&store).await, ["a/b/c"]);
        assert_eq!(std::fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn only_the_first_creates() {
        let (folder, store) = store();
        let create = |text: &'static str| {
            let store = store.clone();
            async move { store.put_opts(&"x".into(), text.into(), PutMode::Create.into()).await }
        };
        create("one").await.unwrap();
        let refused = create("two").await.unwrap_err();
        assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused}");
        assert_eq!(store.get(&"x".into()).await.unwrap().bytes().await.unwrap(), "one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_writers_of_one_file_do_not_meet() {
        let (folder, store) = store();
        let writers = (0..16).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    store.put(&"x".into(), format!("{writer}").into()).await?;
                }
                Ok::<_, Error>(())
            })
        });
        for written in futures::future::join_all(writers).await {
            written.unwrap().unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn parts_are_one_file_once_they_are_complete() {
        let (folder, store) = store();
        let mut upload = store.put_multipart(&"t/p".into()).await.unwrap();
        let parts = [upload.put_part("first ".into()), upload.put_part("second".into())];
        futures::future::try_join_all(parts.into_iter().rev()).await.unwrap();
        assert!(names(&store).await.is_empty(), "not before it is complete");
        upload.complete().await.unwrap();
        let bytes = store.get(&"t/p".into()).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes, "first second");
        drop(store.put_multipart(&"t/q".into()).await.unwrap());
        assert_eq!(std::fs::read_dir(folder.path().join("t")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_killed_writers_left_goes_once_it_is_old() {
        let (folder, store) = store();
        store.put(&"a/b".into(), "one".into()).await.unwrap();
        for left in ["a/b#1", "a/c.parquet#12"] {
            std::fs::write(folder.path().join(left), "half").unwrap();
        }
        std::fs::write(folder.path().join("a/b#one"), "somebody's").unwrap();
        let upload = store.put_multipart(&"a/d".into()).await.unwrap();
        let remove = |before| remove_unfinished(folder.path(), before).unwrap();
        assert_eq!(remove(SystemTime::now() - Duration::from_secs(60)), 0);
        assert_eq!(
            remove(SystemTime::now() + Duration::from_secs(60)),
            3,
            "one is of a writer that lives"
        );
        assert_eq!(remove(SystemTime::now() + Duration::from_secs(60)), 0);
        drop(upload);
        let left = std::fs::read_dir(folder.path().join("a")).unwrap();
        let mut left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["b", "b#one"]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_an_error() {
        let (folder, store) = store();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(store.put(&"file/x".into(), "".into()).await.is_err());
    }
}
