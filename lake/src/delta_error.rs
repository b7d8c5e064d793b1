//! The errors of delta-rs and its kernel as ours: core, which knows every other library's, does not know these.

use cordada_core::{Classify, Error, Result};
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;

/// [`cordada_core::Context`] for the errors of delta-rs.
pub(crate) trait DeltaContext<T> {
    /// Turns the library's error into ours.
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T> DeltaContext<T> for Result<T, DeltaTableError> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| {
            let doing = doing().into();
            match &error {
                DeltaTableError::Transaction {
                    source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_),
                }
                | DeltaTableError::VersionAlreadyExists(_) => {
                    Error::conflict(doing, "another writer changed the table meanwhile")
                        .hint("run again")
                        .caused_by(error)
                }
                _ => classified(error, doing),
            }
        })
    }
}

impl<T> DeltaContext<T> for Result<T, deltalake::kernel::Error> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| classified(error, doing().into()))
    }
}

/// What the operating system said, if it said something; failed otherwise.
fn classified(error: impl std::error::Error + Send + Sync + 'static, doing: String) -> Error {
    match cordada_core::error::io_kind(&error) {
        Some(kind) => std::io::Error::from(kind).classify(doing).caused_by(error),
        None => Error::failed(doing, &error).caused_by(error),
    }
}
