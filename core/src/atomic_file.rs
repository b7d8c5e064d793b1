//! A file that appears whole or not at all.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::{Builder, NamedTempFile};
use tokio::io::AsyncWriteExt;

use crate::local_store::sync_folder;
use crate::{Context, Result, hex};

/// How temporary names end.
const PARTIAL: &str = ".partial";

/// A file under a temporary name beside its target until [`Self::rename`]; dropped before that, it is removed. Only
/// its owner may read it, for it may hold personal data. It is locked as long as somebody writes it: what a process
/// has left that was killed is removed when the next one begins to write the same target.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temporary: NamedTempFile,
    file: tokio::fs::File,
    digest: Sha256,
    bytes: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, in lower-case hexadecimal.
    pub sha256: String,
}

impl AtomicFile {
    /// Begins the file, creating its folder if there is none.
    pub async fn create(target: PathBuf) -> Result<Self> {
        let began = tokio::task::spawn_blocking({
            let target = target.clone();
            move || begin(&target)
        });
        let (temporary, file) = began
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .doing(|| writing(&target))?;
        Ok(Self {
            target,
            temporary,
            file: tokio::fs::File::from_std(file),
            digest: Sha256::new(),
            bytes: 0,
        })
    }

    /// Appends the bytes.
    ///
    /// # Errors
    /// Unavailable: a disk that is full or broken.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).await.doing(|| writing(&self.target))
    }

    /// Makes what was written durable, still under the temporary name.
    pub async fn sync(&mut self) -> Result<()> {
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        synced.await.doing(|| writing(&self.target))
    }

    /// Gives the file its name, replacing an earlier one.
    pub async fn rename(self) -> Result<WrittenFile> {
        let Self {
            target,
            temporary,
            digest,
            bytes,
            ..
        } = self;
        let renamed = tokio::task::spawn_blocking({
            let target = target.clone();
            move || {
                temporary.persist(&target)?;
                sync_folder(target.parent().unwrap_or(Path::new(".")))
            }
        });
        renamed
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .doing(|| writing(&target))?;
        let sha256 = hex::encode(&digest.finalize());
        Ok(WrittenFile { bytes, sha256 })
    }
}

fn begin(target: &Path) -> std::io::Result<(NamedTempFile, std::fs::File)> {
    let folder = target.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder)?;
    let prefix = format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy());
    clear(folder, &prefix)?;
    loop {
        let temporary = Builder::new().prefix(&prefix).suffix(PARTIAL).tempfile_in(folder)?;
        temporary.as_file().lock()?;
        // Somebody else who clears may have had the lock first.
        if temporary.path().exists() {
            let file = temporary.as_file().try_clone()?;
            return Ok((temporary, file));
        }
    }
}

/// Removes what nobody writes any more.
fn clear(folder: &Path, prefix: &str) -> std::io::Result<()> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_partial = |name: &str| name.starts_with(prefix) && name.ends_with(PARTIAL);
        if !name.to_str().is_some_and(is_partial) {
            continue;
        }
        match std::fs::File::open(entry.path()) {
            Ok(file) if file.try_lock().is_ok() => std::fs::remove_file(entry.path())?,
            // Somebody writes it, or has just been done with it.
            _ => {}
        }
    }
    Ok(())
}

fn writing(target: &Path) -> String {
    format!("writing {}", target.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn appears_whole_with_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/a.csv");
        let mut file = AtomicFile::create(target.clone()).await.unwrap();
        file.write(b"a").await.unwrap();
        file.write(b"bc").await.unwrap();
        assert!(!target.exists(), "not before it is whole");
        file.sync().await.unwrap();
        assert!(!target.exists(), "not before it has its name");
        let written = file.rename().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"abc");
        assert_eq!(files(target.parent().unwrap()), ["a.csv"]);
        assert_eq!(written.bytes, 3);
        assert_eq!(
            written.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[tokio::test]
    async fn a_dropped_file_leaves_the_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        std::fs::write(&target, "earlier").unwrap();
        let mut file = AtomicFile::create(target.clone()).await.unwrap();
        file.write(b"half").await.unwrap();
        drop(file);
        assert_eq!(std::fs::read(&target).unwrap(), b"earlier");
        assert_eq!(files(folder.path()), ["a.csv"]);
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        std::fs::write(folder.path().join(".a.csv.x1.partial"), "left").unwrap();
        std::fs::write(folder.path().join(".b.csv.x1.partial"), "another").unwrap();
        let mut one = AtomicFile::create(target.clone()).await.unwrap();
        one.write(b"one").await.unwrap();
        let mut two = AtomicFile::create(target.clone()).await.unwrap();
        two.write(b"two").await.unwrap();
        for file in [&mut one, &mut two] {
            file.sync().await.unwrap();
        }
        two.rename().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"two");
        one.rename().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"one");
        let mut left = files(folder.path());
        left.sort();
        assert_eq!(left, [".b.csv.x1.partial", "a.csv"]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = AtomicFile::create(folder.path().join("file/a.csv")).await.unwrap_err();
        assert!(error.to_string().contains("a.csv"), "{error}");
        assert_eq!(error.kind(), crate::ErrorKind::Unavailable);
    }
}
