//! The kinds of sources. Each is a module of its own that implements [`Kind`], and a line in [`load`].

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::{Result, yaml};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::database::DatabaseSource;
use crate::events::config::EventsSource;
use crate::extract::{Extraction, Request};
use crate::files::config::FilesSource;
use crate::logs::config::LogsSource;
use crate::options::Options;
use crate::rest::RestSource;

/// A source as its kind knows it: what its file in `sources/` says, validated.
#[async_trait]
pub(crate) trait Kind: Send + Sync {
    /// Its streams, by name, and what each says about its rows.
    fn streams(&self) -> BTreeMap<String, Options>;

    /// The zone of times that carry none.
    fn timezone(&self) -> Tz {
        Tz::UTC
    }

    /// Whether what it says of columns comes from a connector that ships, so that they may be missing.
    fn is_connector(&self) -> bool {
        false
    }

    /// Whether it shows the progress of its streams itself.
    fn shows_progress(&self) -> bool {
        false
    }

    /// What a collector of events is to do, if it is a source of those.
    fn events(&self) -> Option<&EventsSource> {
        None
    }

    /// Begins to extract the stream of the request.
    ///
    /// # Errors
    /// Unavailable for a source that cannot be reached; config for one that refuses the credentials.
    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>>;

    /// Proves that a stream can be read, without reading it: the source answers, takes the credentials, has the table.
    ///
    /// # Errors
    /// As [`Kind::extract`].
    async fn check(&self, project: &Path, source: &str, stream: &str, cancel: &CancellationToken) -> Result<()>;
}

/// The names of the kinds.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Database,
    Events,
    Files,
    Logs,
    Rest,
}

#[derive(Deserialize)]
struct Head {
    kind: Name,
}

/// Reads the file of a source.
///
/// # Errors
/// Config, with file, line and column.
pub(crate) fn load(file: &Path) -> Result<Box<dyn Kind>> {
    let Head { kind } = yaml::read(file)?;
    Ok(match kind {
        Name::Database => {
            let source: DatabaseSource = yaml::read(file)?;
            source.validate(file)?;
            Box::new(source)
        }
        Name::Events => {
            let mut source: EventsSource = yaml::read(file)?;
            source.validate(file)?;
            Box::new(source)
        }
        Name::Files => {
            let source: FilesSource = yaml::read(file)?;
            source.validate(file)?;
            Box::new(source)
        }
        Name::Logs => {
            let source: LogsSource = yaml::read(file)?;
            source.validate(file)?;
            Box::new(source)
        }
        Name::Rest => Box::new(RestSource::read(file)?),
    })
}
