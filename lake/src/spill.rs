//! Where queries and writes put what does not fit into memory: files of which nothing is left when the process is killed.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cordada_core::scratch::ScratchFile;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures::{Stream, TryStreamExt};
use tokio_util::io::ReaderStream;

/// Bytes read at a time.
const BUFFER: usize = 128 << 10;

/// Makes the files.
pub(crate) struct Spills;

impl TempFileFactory for Spills {
    fn create_temp_file(&self, description: &str) -> Result<Arc<dyn SpillFile>> {
        let file = ScratchFile::new().map_err(|error| {
            let folder = ScratchFile::folder();
            let context = format!("making a file for {description} in {}", folder.display());
            DataFusionError::IoError(error).context(context)
        })?;
        Ok(Arc::new(Spill {
            file,
            bytes: Arc::default(),
        }))
    }
}

/// A file, and how much has been written to it.
struct Spill {
    file: ScratchFile,
    bytes: Arc<AtomicU64>,
}

impl SpillFile for Spill {
    fn size(&self) -> Option<u64> {
        Some(self.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let file = tokio::fs::File::from_std(self.file.open()?);
        Ok(Box::pin(ReaderStream::with_capacity(file, BUFFER).err_into()))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writer {
            file: self.file.file().try_clone()?,
            bytes: self.bytes.clone(),
        }))
    }
}

struct Writer {
    file: std::fs::File,
    bytes: Arc<AtomicU64>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(self.flush()?)
    }
}
