//! A source, and a kind of source.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use crate::extract::{Extraction, Request};
use crate::listener::Listener;
use crate::options::Options;
use crate::transform::PiiKey;

/// A kind of source: a crate of its own, and a line in the registry of whoever loads sources.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What `kind:` says.
    pub name: &'static str,
    /// Reads and validates the file of a source of this kind.
    ///
    /// # Errors
    /// Config, with file, line and column.
    pub load: fn(&Path) -> Result<Box<dyn Source>>,
}

/// A source as its kind knows it: what its file in `sources/` says, validated. What it promises besides its signatures
/// is a suite of tests that each kind inherits: `ingest/source/contract/`.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its streams, by name, and what each says about its rows: known before anything has been asked.
    fn streams(&self) -> BTreeMap<String, Options>;

    /// The zone of times that carry none.
    fn timezone(&self) -> Tz {
        Tz::UTC
    }

    /// Whether a stream may be without a column that something is said about: what a connector says of columns holds
    /// for accounts that have them.
    fn may_lack(&self, _stream: &str, _column: &str) -> bool {
        false
    }

    /// A load or a check of its streams begins. What it keeps of the one before, such as that the system refused the
    /// credentials, may no longer be so.
    fn begin(&self) {}

    /// Whether it shows the progress of its streams itself.
    fn shows_progress(&self) -> bool {
        false
    }

    /// Whether the stream's rows cannot be had again once they have landed, because what they came from is let go of.
    fn is_unrepeatable(&self, _stream: &str) -> bool {
        false
    }

    /// Begins to extract the stream of the request.
    ///
    /// # Errors
    /// Unavailable for a source that cannot be reached; config for one that refuses the credentials, and for a stream
    /// that there is not. Whatever goes wrong, a reader who has many sources can tell where, and reads nothing secret
    /// or personal.
    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>>;

    /// Proves that a stream can be read, without reading it: the source answers, takes the credentials, has the table.
    /// What a load would take is still there.
    ///
    /// # Errors
    /// As [`Source::extract`].
    async fn check(&self, project: &Path, source: &str, stream: &str, cancel: &CancellationToken) -> Result<()>;

    /// Begins to listen, if it is a source that is told of events; it is called `source`, in the folder `project`.
    ///
    /// # Errors
    /// Conflict if another process listens for it; unavailable if the address is taken; config for a transform without
    /// a key.
    async fn listen<'a>(
        &'a self,
        _project: &Path,
        _source: &'a str,
        _key: Option<&PiiKey>,
    ) -> Result<Option<Box<dyn Listener + 'a>>> {
        Ok(None)
    }
}

/// The error about a stream that a source does not have; `streams` are those that it has.
pub fn unknown_stream<'a>(name: &str, streams: impl IntoIterator<Item = &'a str>) -> Error {
    Error::config("looking for a stream", format!("there is no stream `{name}`")).hint(did_you_mean(
        name,
        "the streams are",
        streams,
    ))
}
