//! The kind `files`: files on a disk, in an object store, on a web server or behind FTP, FTPS and SFTP.

mod config;
mod extraction;
mod source;
mod unfinished;

use cordada_core::yaml;
use cordada_ingest_source::Kind;

use crate::config::FilesSource;

/// The kind `files`.
pub const KIND: Kind = Kind {
    name: "files",
    load: |file| {
        let source: FilesSource = yaml::read(file)?;
        source.validate(file)?;
        Ok(Box::new(source))
    },
};
