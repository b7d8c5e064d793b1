//! The manifest beside a file: what it holds and where that came from.

use std::path::{Path, PathBuf};

use cordada_core::atomic_file::AtomicFile;
use cordada_core::{Context, Error, Result};
use serde::Serialize;

use crate::consent::Consent;

/// What is written, as JSON, to `<file>.manifest.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Manifest<'a> {
    pub campaign: &'a str,
    /// The file's name, without its folder.
    pub file: String,
    pub rows: u64,
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: &'a str,
    pub columns: Vec<&'a str>,
    /// The release that the rows were read from, if the server told.
    pub release: Option<u64>,
    /// The query as it was sent, consent included.
    pub query: &'a str,
    /// The consent it rests on; null for a campaign that is not over persons.
    pub consent: Option<&'a Consent>,
    pub withheld_without_consent: Option<u64>,
    /// UTC, RFC 3339.
    pub written_at: String,
}

/// The path of a file's manifest.
pub(crate) fn path_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".manifest.json");
    PathBuf::from(name)
}

/// Removes the manifest of an earlier file, so that no manifest ever stands beside another file than its own.
pub(crate) async fn remove(path: &Path) -> Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.doing(|| format!("removing the manifest of the earlier file, {}", path.display())),
    }
}

impl Manifest<'_> {
    /// Writes it.
    pub(crate) async fn write(&self, path: PathBuf) -> Result<()> {
        let json =
            serde_json::to_vec_pretty(self).map_err(|why| Error::failed(format!("writing {}", path.display()), why))?;
        let mut file = AtomicFile::create(path).await?;
        file.write(&json).await?;
        file.sync().await?;
        file.rename().await.map(drop)
    }
}
