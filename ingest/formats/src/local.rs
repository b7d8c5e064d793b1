//! A file on a local disk, which must not change while it is read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cordada_core::threads::in_order;
use cordada_core::{Context, Error, Result};
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio_util::sync::CancellationToken;

/// Bytes hashed at a time.
const BLOCK: u64 = 1 << 20;

/// A file on a local disk.
#[derive(Debug)]
pub struct Local {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called in messages and in `_origin`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written last.
    pub modified: Option<SystemTime>,
    /// Removes the file when it is one of ours.
    _temporary: Option<TempPath>,
}

impl Local {
    /// A file that is there, of a size and a time of its last change that were looked up before.
    pub fn found(path: &Path, name: &str, bytes: u64, modified: Option<SystemTime>) -> Local {
        Local {
            path: path.to_owned(),
            name: name.to_owned(),
            bytes,
            modified,
            _temporary: None,
        }
    }

    /// A file of ours, which is removed when it is no longer used.
    pub fn temporary(path: TempPath, name: &str) -> Result<Local> {
        let metadata = std::fs::metadata(&path).doing(|| format!("reading {name}"))?;
        let (bytes, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Local {
            path: path.to_path_buf(),
            name: name.to_owned(),
            bytes,
            modified,
            _temporary: Some(path),
        })
    }

    /// Opens the file.
    ///
    /// # Errors
    /// Conflict if it is not what it was when it was found.
    pub fn open(&self) -> Result<File> {
        let doing = || format!("reading {}", self.name);
        let file = File::open(&self.path).doing(doing)?;
        let metadata = file.metadata().doing(doing)?;
        if metadata.len() == self.bytes && metadata.modified().ok() == self.modified {
            return Ok(file);
        }
        Err(Error::conflict(doing(), "the file changed meanwhile").hint("run again when whoever writes it is done"))
    }
}

/// A hash of a file's content: SHA-256 over the SHA-256 of each of its blocks, which can be had in parallel.
pub fn hash_file(file: &Local, workers: usize, cancel: &CancellationToken) -> Result<Vec<u8>> {
    let doing = || format!("reading {}", file.name);
    let blocks = usize::try_from(file.bytes.div_ceil(BLOCK)).unwrap_or(usize::MAX);
    let hash_block = |block: usize| {
        let mut file = file.open()?;
        file.seek(SeekFrom::Start(block as u64 * BLOCK)).doing(doing)?;
        let mut data = Vec::with_capacity(BLOCK as usize);
        file.take(BLOCK).read_to_end(&mut data).doing(doing)?;
        Ok(Sha256::digest(&data))
    };
    let mut whole = Sha256::new();
    in_order(blocks, workers, cancel, hash_block, |_, hash| {
        whole.update(hash);
        Ok(())
    })?;
    Ok(whole.finalize().to_vec())
}
