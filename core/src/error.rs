//! The one error type of every crate.
//!
//! An error says what was being done, to what, why it failed and what to do about it; values come last as
//! `key=value`, so that a log line can be searched. The kind decides the exit code and the gRPC status.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use datafusion_common::DataFusionError;
use parquet::errors::ParquetError;

use crate::shown::without_secrets;

/// The result of everything.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it was: as few as callers need to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Wrong usage or configuration: somebody has to change a file or a command line.
    Config,
    /// The work failed: a query, a load, a test.
    Failed,
    /// Somebody else changed the same thing first; running again is safe.
    Conflict,
    /// Something outside (an object store, a server, a disk) is unavailable.
    Unavailable,
    /// The caller asked to stop.
    Cancelled,
    /// A fault of the program itself: it panicked.
    Internal,
}

/// An error with its place, its cause and what to do about it.
///
/// ```
/// use cordada_core::Error;
///
/// let error = Error::config("reading the stream orders", "unknown key `pth`")
///     .hint("did you mean `path`?")
///     .at("sources/shop.yml", 4, 5)
///     .with("stream", "orders");
/// assert_eq!(
///     error.to_string(),
///     "sources/shop.yml:4:5: reading the stream orders: unknown key `pth`; did you mean `path`? stream=orders"
/// );
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    doing: String,
    why: String,
    hint: Option<String>,
    place: Option<FilePosition>,
    values: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A place in a user's file. Lines and columns count from 1; 0 means unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// The file, as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl FilePosition {
    /// The error, at this place.
    pub fn mark(&self, error: Error) -> Error {
        error.at(&self.file, self.line, self.column)
    }
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

impl Error {
    /// An error of `kind` while `doing` something ("reading table raw_shop.orders"), because of `why`. Addresses in
    /// either lose what lets in whoever reads it: see [`without_secrets`].
    pub fn new(kind: ErrorKind, doing: impl Into<String>, why: impl fmt::Display) -> Self {
        let shown = |text: String| match without_secrets(&text) {
            Cow::Owned(shown) => shown,
            Cow::Borrowed(_) => text,
        };
        Self(Box::new(Inner {
            kind,
            doing: shown(doing.into()),
            why: shown(why.to_string()),
            hint: None,
            place: None,
            values: Vec::new(),
            source: None,
        }))
    }

    /// Wrong usage or configuration.
    pub fn config(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Config, doing, why)
    }

    /// The work failed.
    pub fn failed(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Failed, doing, why)
    }

    /// Somebody else changed the same thing first.
    pub fn conflict(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Conflict, doing, why)
    }

    /// Something outside is unavailable.
    pub fn unavailable(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unavailable, doing, why)
    }

    /// The caller asked to stop.
    pub fn cancelled(doing: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, doing, "cancelled")
    }

    /// The program itself has a fault, and panicked. The panic has been reported where it happened.
    pub fn panicked(doing: impl Into<String>) -> Self {
        let why = "the program has a fault and stopped at it";
        Self::new(ErrorKind::Internal, doing, why).hint("report it, with what was printed before")
    }

    /// What the reader should do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Where in a user's file it is; 0 for a line or column that is not known.
    pub fn at(mut self, file: impl fmt::Display, line: usize, column: usize) -> Self {
        self.0.place = Some(FilePosition {
            file: file.to_string(),
            line,
            column,
        });
        self
    }

    /// A value to print last, as `key=value`. Never a secret, never personal data.
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        let value = without_secrets(&value.to_string()).into_owned();
        self.0.values.push((key, value));
        self
    }

    /// The underlying error, for programs; its text is not printed a second time.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The same error for somebody else who meets it, without its cause.
    pub fn again(&self) -> Self {
        let Inner {
            kind,
            doing,
            why,
            hint,
            place,
            values,
            ..
        } = &*self.0;
        Self(Box::new(Inner {
            kind: *kind,
            doing: doing.clone(),
            why: why.clone(),
            hint: hint.clone(),
            place: place.clone(),
            values: values.clone(),
            source: None,
        }))
    }

    /// What sort of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Why it failed, without the context around it.
    pub fn why(&self) -> &str {
        &self.0.why
    }

    /// Where in a user's file it is, if it is in one.
    pub fn place(&self) -> Option<&FilePosition> {
        self.0.place.as_ref()
    }

    /// The process's exit code: 1 the work failed, 2 usage or configuration, 3 something outside is unavailable.
    pub fn exit_code(&self) -> u8 {
        match self.0.kind {
            ErrorKind::Config => 2,
            ErrorKind::Unavailable => 3,
            ErrorKind::Failed | ErrorKind::Conflict | ErrorKind::Cancelled | ErrorKind::Internal => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            doing,
            why,
            hint,
            place,
            values,
            ..
        } = &*self.0;
        if let Some(place) = place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{doing}: {why}")?;
        if let Some(hint) = hint {
            write!(f, "; {hint}")?;
        }
        for (key, value) in values {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// Says what was being done when a library's error came up, and sorts the error into a kind.
pub trait Context<T> {
    /// Turns the library's error into ours.
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Classify> Context<T> for std::result::Result<T, E> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.classify(doing().into()))
    }
}

/// A library's error that knows which of our kinds it is.
pub trait Classify {
    /// The error as ours, with what was being done.
    fn classify(self, doing: String) -> Error;
}

impl Classify for std::io::Error {
    fn classify(self, doing: String) -> Error {
        use std::io::ErrorKind as Io;
        let error = match self.kind() {
            Io::NotFound => Error::config(doing, "there is no such file or directory"),
            Io::PermissionDenied => Error::unavailable(doing, "permission denied").hint("check the owner and the mode"),
            Io::ReadOnlyFilesystem => {
                Error::unavailable(doing, "the file system is read-only").hint("mount it for writing")
            }
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
                Error::unavailable(doing, "the disk is full").hint("free some space and run again: nothing was lost")
            }
            _ => Error::unavailable(doing, &self),
        };
        error.caused_by(self)
    }
}

impl Classify for object_store::Error {
    fn classify(self, doing: String) -> Error {
        if let Some(kind) = io_kind(&self).filter(|kind| *kind != std::io::ErrorKind::NotFound) {
            return std::io::Error::from(kind).classify(doing).caused_by(self);
        }
        let error = match &self {
            object_store::Error::NotFound { path, .. } => {
                Error::failed(doing, "there is no such object").with("path", path)
            }
            object_store::Error::AlreadyExists { path, .. } | object_store::Error::Precondition { path, .. } => {
                Error::conflict(doing, "somebody else wrote it first")
                    .hint("run again")
                    .with("path", path)
            }
            object_store::Error::PermissionDenied { path, .. } | object_store::Error::Unauthenticated { path, .. } => {
                Error::unavailable(doing, "the object store refuses these credentials").with("path", path)
            }
            other => Error::unavailable(doing, other),
        };
        error.caused_by(self)
    }
}

impl Classify for DataFusionError {
    fn classify(self, doing: String) -> Error {
        match self.find_root() {
            DataFusionError::ResourcesExhausted(why) => Error::failed(doing, format!("memory limit reached: {why}"))
                .hint("raise `memory:` in cordada.yml or make the query smaller"),
            DataFusionError::External(external) => {
                if let Some(ours) = external.downcast_ref::<Error>() {
                    return ours.duplicate();
                }
                Error::failed(doing, external)
            }
            DataFusionError::ObjectStore(store) => {
                if let Some(kind) = io_kind(store.as_ref()) {
                    return std::io::Error::from(kind).classify(doing);
                }
                Error::unavailable(doing, store)
            }
            DataFusionError::IoError(io) => {
                std::io::Error::from(io_kind(io).unwrap_or_else(|| io.kind())).classify(doing)
            }
            DataFusionError::ArrowError(arrow, _) => Error::failed(doing, without_values(&arrow.to_string())),
            root @ DataFusionError::ParquetError(parquet) if is_of_the_store(parquet) => {
                Error::unavailable(doing, root.strip_backtrace())
            }
            root => Error::failed(doing, root.strip_backtrace()),
        }
        .caused_by(self)
    }
}

/// The message of a cast or a computation that failed, without the value it failed on: that may be personal data,
/// and errors are logged and kept.
fn without_values(message: &str) -> String {
    match (message.find('\''), message.rfind('\'')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &message[..=first], &message[last..]),
        _ => message.to_owned(),
    }
}

macro_rules! classify_as_failed {
    ($($error:ty),*) => {$(
        impl Classify for $error {
            fn classify(self, doing: String) -> Error {
                match io_kind(&self) {
                    Some(kind) => std::io::Error::from(kind).classify(doing).caused_by(self),
                    None => Error::failed(doing, without_values(&self.to_string())).caused_by(self),
                }
            }
        }
    )*};
}

classify_as_failed!(
    arrow::error::ArrowError,
    parquet::errors::ParquetError,
    serde_json::Error
);

impl Error {
    /// A copy without the source, for the rare place where a library hands our own error back by reference.
    fn duplicate(&self) -> Self {
        let Inner {
            kind,
            doing,
            why,
            hint,
            place,
            values,
            ..
        } = &*self.0;
        Self(Box::new(Inner {
            kind: *kind,
            doing: doing.clone(),
            why: why.clone(),
            hint: hint.clone(),
            place: place.clone(),
            values: values.clone(),
            source: None,
        }))
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// Whether a file could not be read because the store did not give it. Who reads the footer of one only quotes what the
/// store said; that it has no such object is not about the store.
fn is_of_the_store(error: &ParquetError) -> bool {
    let mut next = Some(error as &(dyn StdError + 'static));
    while let Some(current) = next {
        if let Some(store) = current.downcast_ref::<object_store::Error>() {
            return !matches!(store, object_store::Error::NotFound { .. });
        }
        next = current.source();
    }
    let text = error.to_string();
    text.contains("Object Store error: ") && !text.contains("Object at location ")
}

/// What the operating system said, if it said something, among `error` and its causes.
///
/// An I/O error made by [`std::io::Error::other`] is only a wrapper, and leaves what it wraps out of its sources.
pub fn io_kind(error: &(dyn StdError + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(current) = next {
        next = match current.downcast_ref::<std::io::Error>() {
            Some(io) if io.kind() != std::io::ErrorKind::Other => return Some(io.kind()),
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn says_place_action_reason_hint_and_values_in_this_order() {
        let error = Error::config("reading sources/shop.yml", "unknown key `pth`")
            .hint("did you mean `path`?")
            .at("sources/shop.yml", 3, 5)
            .with("stream", "orders");
        assert_eq!(
            error.to_string(),
            "sources/shop.yml:3:5: reading sources/shop.yml: unknown key `pth`; did you mean `path`? stream=orders"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_failed_cast_does_not_tell_the_value() {
        let arrow = arrow::error::ArrowError::CastError("Cannot cast string 'ana@o'hara.org' to value of Int64".into());
        let error = DataFusionError::ArrowError(Box::new(arrow), None).classify("running the query".into());
        assert_eq!(
            error.to_string(),
            "running the query: Cast error: Cannot cast string '…' to value of Int64"
        );
    }

    #[test]
    fn an_address_is_told_without_its_signature() {
        let url = "https://ana:pw@b.example/x.csv?X-Amz-Signature=abc";
        let error = Error::failed(format!("looking for {url}"), format!("no answer from {url}")).with("url", url);
        let shown = "https://…@b.example/x.csv?…";
        assert_eq!(
            error.to_string(),
            format!("looking for {shown}: no answer from {shown} url={shown}")
        );
    }

    #[test]
    fn a_store_that_fails_behind_parquet_is_something_outside() {
        let generic = || object_store::Error::Generic {
            store: "S3",
            source: "503".into(),
        };
        let missing = object_store::Error::NotFound {
            path: "a".to_owned(),
            source: "404".into(),
        };
        let quoted = DataFusionError::from(generic());
        for (parquet, kind) in [
            (ParquetError::External(Box::new(generic())), ErrorKind::Unavailable),
            (
                ParquetError::General(format!("Failed to fetch: {quoted}")),
                ErrorKind::Unavailable,
            ),
            (ParquetError::External(Box::new(missing)), ErrorKind::Failed),
            (ParquetError::General("corrupt footer".to_owned()), ErrorKind::Failed),
        ] {
            let error = DataFusionError::ParquetError(Box::new(parquet)).classify("running the query".into());
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn a_full_disk_is_something_outside() {
        let io = std::io::Error::other(object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
        });
        let store = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io),
        };
        let error = Err::<(), _>(DataFusionError::ObjectStore(Box::new(store)))
            .doing(|| "writing")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            "writing: the disk is full; free some space and run again: nothing was lost"
        );
    }
}
