//! The errors of delta-rs and its kernel as ours: core, which knows every other library's, does not know these.

use cordada_core::{Classify, Error, Result};
use deltalake::DeltaTableError;

/// [`cordada_core::Context`] for the errors of delta-rs.
pub(crate) trait DeltaContext<T> {
    /// Turns the library's error into ours.
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T> DeltaContext<T> for Result<T, DeltaTableError> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| classified(error, doing().into()))
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
