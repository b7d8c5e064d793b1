//! What the lake keeps to itself: small files beside its tables that hold keys, hashes of credentials, and sessions.
//! On a local disk only their owner may look into them; on an object store, whoever may read the lake's bucket.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cordada_core::threads::blocking;
use cordada_core::{Context, Result, private};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};

use crate::lake::Lake;

/// Where they are.
const FOLDER: &str = "_cordada/private";

/// The private files of a lake. All its environments share them.
#[derive(Debug, Clone)]
pub struct Vault {
    store: Arc<dyn ObjectStore>,
    /// The lake's folder, if it is a local one.
    local: Option<PathBuf>,
}

/// A file of the vault, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultFile {
    /// Its name: `/` separates folders.
    pub name: String,
    /// Differs once it is written again.
    pub version: String,
    /// When it was written, in milliseconds since 1970 by the clock of the store.
    pub written: i64,
}

impl Lake {
    /// The private files of this lake. Nothing is read or written yet.
    pub fn vault(&self) -> Vault {
        Vault {
            store: self.object_store().clone(),
            local: self.local_folder().map(FilePath::to_owned),
        }
    }
}

impl Vault {
    /// The files whose names begin with `folder`, in no order.
    ///
    /// # Errors
    /// Unavailable: the store cannot be listed.
    pub async fn list(&self, folder: &str) -> Result<Vec<VaultFile>> {
        let root = Path::from(FOLDER);
        let prefix = path(folder);
        let listed: Vec<ObjectMeta> = self.store.list(Some(&prefix)).try_collect().await.doing(doing)?;
        let file = |object: ObjectMeta| {
            let parts: Vec<_> = object.location.prefix_match(&root)?.collect();
            let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
            let name = parts.join("/");
            let written = object.last_modified;
            let version = object.e_tag.unwrap_or_else(|| format!("{written}-{}", object.size));
            Some(VaultFile {
                name,
                version,
                written: written.timestamp_millis(),
            })
        };
        Ok(listed.into_iter().filter_map(file).collect())
    }

    /// What is in a file; `None` if it is not there.
    ///
    /// # Errors
    /// Unavailable: it cannot be read.
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        match self.store.get(&path(name)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => found.doing(doing)?.bytes().await.doing(doing).map(Some),
        }
    }

    /// Writes a file that is not there yet; says whether it was not.
    ///
    /// # Errors
    /// Unavailable: it cannot be written.
    pub async fn create(&self, name: &str, content: Vec<u8>) -> Result<bool> {
        match self.put(name, content, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(error).doing(doing),
        }
    }

    /// Writes a file, whether it is there or not.
    ///
    /// # Errors
    /// Unavailable: it cannot be written.
    pub async fn write(&self, name: &str, content: Vec<u8>) -> Result<()> {
        self.put(name, content, PutMode::Overwrite).await.doing(doing)
    }

    /// Removes a file; says whether it was there.
    ///
    /// # Errors
    /// Unavailable: it cannot be removed.
    pub async fn remove(&self, name: &str) -> Result<bool> {
        // Object stores say nothing of a file that was not there.
        if self.read(name).await?.is_none() {
            return Ok(false);
        }
        match self.store.delete(&path(name)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            deleted => deleted.doing(doing).map(|()| true),
        }
    }

    async fn put(&self, name: &str, content: Vec<u8>, mode: PutMode) -> object_store::Result<()> {
        let path = path(name);
        let private = async |make: fn(&FilePath) -> std::io::Result<()>, relative: &str| {
            let Some(local) = self.local.as_ref().map(|local| local.join(relative)) else {
                return Ok(());
            };
            let made = blocking("keeping a file private", move || make(&local).doing(doing)).await;
            made.map_err(|error| object_store::Error::Generic {
                store: "local",
                source: Box::new(error),
            })
        };
        // The folder first, so that nobody else sees the file before it is its owner's alone.
        private(private::folder, FOLDER).await?;
        self.store.put_opts(&path, content.into(), mode.into()).await?;
        private(private::narrow, path.as_ref()).await
    }
}

fn path(name: &str) -> Path {
    Path::from(format!("{FOLDER}/{name}"))
}

fn doing() -> &'static str {
    "using the lake's private files"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn a_file_is_created_once_and_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::default();
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings);
        let vault = lake.await.unwrap().vault();
        assert_eq!(vault.list("keys").await.unwrap(), []);
        assert_eq!(vault.read("keys/1").await.unwrap(), None);
        let (one, two) = tokio::join!(
            vault.create("keys/1", b"one".to_vec()),
            vault.create("keys/1", b"two".to_vec())
        );
        assert!(one.unwrap() != two.unwrap(), "one of the two is first");
        let before = vault.list("keys").await.unwrap();
        assert_eq!((before.len(), before[0].name.as_str()), (1, "keys/1"));
        vault.write("keys/1", b"three".to_vec()).await.unwrap();
        assert_ne!(vault.list("keys").await.unwrap(), before);
        assert_eq!(vault.read("keys/1").await.unwrap().unwrap(), &b"three"[..]);
        assert!(vault.remove("keys/1").await.unwrap());
        assert!(!vault.remove("keys/1").await.unwrap());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn on_a_disk_others_look_into_neither_folder_nor_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::default();
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings);
        lake.await.unwrap().vault().write("keys/1", vec![1]).await.unwrap();
        let mode = |path: &str| {
            std::fs::metadata(folder.path().join(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((mode(FOLDER), mode("_cordada/private/keys/1")), (0o700, 0o600));
    }
}
