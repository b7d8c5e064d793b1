//! A file on a local disk, which must not change while it is read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cordada_core::scratch::ScratchFile;
use cordada_core::threads::in_order;
use cordada_core::{Context, Error, Result};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// Bytes hashed at a time.
const BLOCK: u64 = 1 << 20;

/// A file on a local disk.
#[derive(Debug)]
pub struct Local {
    place: Place,
    /// What it is called in messages and in `_origin`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written last.
    pub modified: Option<SystemTime>,
}

/// Where a file is.
#[derive(Debug)]
enum Place {
    Path(PathBuf),
    Scratch(ScratchFile),
}

impl Local {
    /// A file that is there, of a size and a time of its last change that were looked up before.
    pub fn found(path: &Path, name: &str, bytes: u64, modified: Option<SystemTime>) -> Local {
        Local {
            place: Place::Path(path.to_owned()),
            name: name.to_owned(),
            bytes,
            modified,
        }
    }

    /// A file of ours, which is gone when it is no longer used.
    pub fn temporary(file: ScratchFile, name: &str) -> Result<Local> {
        let metadata = file.file().metadata().doing(|| format!("reading {name}"))?;
        let (bytes, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Local {
            place: Place::Scratch(file),
            name: name.to_owned(),
            bytes,
            modified,
        })
    }

    /// A file of ours with that content.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn holding(content: &[u8], name: &str) -> Result<Local> {
        use std::io::Write;

        let file = ScratchFile::new().doing(|| format!("writing {name}"))?;
        file.file().write_all(content).doing(|| format!("writing {name}"))?;
        Local::temporary(file, name)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// Conflict if it is not what it was when it was found.
    pub fn open(&self) -> Result<File> {
        let doing = || format!("reading {}", self.name);
        let file = match &self.place {
            Place::Path(path) => File::open(path),
            Place::Scratch(file) => file.open(),
        };
        let file = file.doing(doing)?;
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
