//! Temporary files that nothing is left of, however the process ends: on Linux they have no name.

use std::fs::File;
use std::path::PathBuf;

/// A temporary file in the folder that `TMPDIR` names, or the system's, which nobody else can open. It is gone when it is
/// not open any more.
#[derive(Debug)]
pub struct ScratchFile {
    #[cfg(target_os = "linux")]
    file: File,
    // Elsewhere a file can be opened again by its name alone.
    #[cfg(not(target_os = "linux"))]
    file: tempfile::NamedTempFile,
}

impl ScratchFile {
    /// An empty one.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new() -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        let file = tempfile::tempfile()?;
        #[cfg(not(target_os = "linux"))]
        let file = tempfile::NamedTempFile::new()?;
        Ok(Self { file })
    }

    /// Where they are, for messages.
    pub fn folder() -> PathBuf {
        std::env::temp_dir()
    }

    /// The file, for writing.
    pub fn file(&self) -> &File {
        #[cfg(target_os = "linux")]
        return &self.file;
        #[cfg(not(target_os = "linux"))]
        return self.file.as_file();
    }

    /// The file, opened once more to be read from its beginning, whoever else reads or writes it.
    ///
    /// # Errors
    /// Those of opening a file.
    pub fn open(&self) -> std::io::Result<File> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
        }
        #[cfg(not(target_os = "linux"))]
        self.file.reopen()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn whoever_opens_it_has_a_place_of_his_own() {
        let scratch = ScratchFile::new().unwrap();
        scratch.file().write_all(b"abc").unwrap();
        let (mut one, mut two) = (scratch.open().unwrap(), scratch.open().unwrap());
        one.seek(SeekFrom::Start(1)).unwrap();
        scratch.file().write_all(b"de").unwrap();
        drop(scratch);
        let read = |file: &mut File| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!((read(&mut two).as_str(), read(&mut one).as_str()), ("abcde", "bcde"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_has_no_name() {
        use std::os::unix::fs::MetadataExt;

        let scratch = ScratchFile::new().unwrap();
        assert_eq!(scratch.file().metadata().unwrap().nlink(), 0);
    }
}
