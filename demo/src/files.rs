//! Files as the systems leave them: compressed, in their own encoding, written line by line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use cordada_core::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// A file that is being written.
pub struct Output {
    path: PathBuf,
    writer: Box<dyn Finish>,
    latin1: Option<Vec<u8>>,
    rows: u64,
}

/// A compressor that has a last word to write.
trait Finish: Write + Send {
    fn finish(self: Box<Self>) -> std::io::Result<BufWriter<File>>;
}

impl Finish for GzEncoder<BufWriter<File>> {
    fn finish(self: Box<Self>) -> std::io::Result<BufWriter<File>> {
        GzEncoder::finish(*self)
    }
}

impl Finish for zstd::Encoder<'static, BufWriter<File>> {
    fn finish(self: Box<Self>) -> std::io::Result<BufWriter<File>> {
        zstd::Encoder::finish(*self)
    }
}

impl Finish for BufWriter<File> {
    fn finish(self: Box<Self>) -> std::io::Result<BufWriter<File>> {
        Ok(*self)
    }
}

impl Output {
    /// Creates the file; its ending, `.gz` or `.zst`, says how it is compressed.
    pub fn create(path: PathBuf) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(|| format!("creating the folder {}", folder.display()))?;
        }
        let creating = || format!("creating {}", path.display());
        let file = BufWriter::with_capacity(1 << 16, File::create(&path).doing(creating)?);
        let writer: Box<dyn Finish> = match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Box::new(GzEncoder::new(file, Compression::fast())),
            Some("zst") => Box::new(zstd::Encoder::new(file, 1).doing(creating)?),
            _ => Box::new(file),
        };
        Ok(Self {
            path,
            writer,
            latin1: None,
            rows: 0,
        })
    }

    /// Creates the file for text in ISO 8859-1.
    pub fn create_latin1(path: PathBuf) -> Result<Self> {
        Ok(Self {
            latin1: Some(Vec::new()),
            ..Self::create(path)?
        })
    }

    /// Writes text that is not a row: a byte order mark, a header.
    pub fn head(&mut self, text: &str) -> Result<()> {
        let bytes = match &mut self.latin1 {
            Some(buffer) => {
                buffer.clear();
                // Everything that is generated fits into Latin-1.
                buffer.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')));
                buffer.as_slice()
            }
            None => text.as_bytes(),
        };
        self.writer
            .write_all(bytes)
            .doing(|| format!("writing {}", self.path.display()))
    }

    /// Writes one row, which brings its own line end.
    pub fn row(&mut self, text: &str) -> Result<()> {
        self.rows += 1;
        self.head(text)
    }

    /// Writes what is left; the rows that were written.
    pub fn finish(self) -> Result<u64> {
        let writing = || format!("writing {}", self.path.display());
        self.writer.finish().and_then(|mut file| file.flush()).doing(writing)?;
        Ok(self.rows)
    }
}

/// How many bytes the files below `folder` have.
pub fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    let reading = || format!("reading the folder {}", folder.display());
    for entry in std::fs::read_dir(folder).doing(reading)? {
        let entry = entry.doing(reading)?;
        let metadata = entry.metadata().doing(reading)?;
        sum += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(sum)
}

/// Cents as a web system writes them: `-1234.50`.
pub fn point(cents: i64) -> impl std::fmt::Display {
    std::fmt::from_fn(move |f| {
        let sign = if cents < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_their_sign_and_zeros() {
        let written: Vec<String> = [0, 5, -5, -123_450].map(|cents| point(cents).to_string()).into();
        assert_eq!(written, ["0.00", "0.05", "-0.05", "-1234.50"]);
    }
}
