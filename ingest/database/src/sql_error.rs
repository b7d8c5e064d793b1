//! Drivers' errors as ours. They are foreign to the lake, so that core's `Context` does not know them.

use cordada_core::{Error, Result};

/// A driver's error that knows which of our kinds it is.
pub(crate) trait SqlError {
    /// The error as ours, with what was being done; without what may quote a value.
    fn classify(self, doing: String) -> Error;
}

/// [`cordada_core::Context`] for drivers' errors.
pub(crate) trait SqlContext<T> {
    /// Turns the driver's error into ours.
    fn doing_sql<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: SqlError> SqlContext<T> for std::result::Result<T, E> {
    fn doing_sql<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.classify(doing().into()))
    }
}
