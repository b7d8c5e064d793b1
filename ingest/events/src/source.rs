//! A source of events, as landing sees it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::threads::blocking;
use cordada_core::{Context, Result};
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Extraction, Request};
use cordada_ingest_source::listener::Listener;
use cordada_ingest_source::options::Options;
use cordada_ingest_source::transform::PiiKey;
use cordada_wal::Log;
use tokio_util::sync::CancellationToken;

use crate::collector::Collector;
use crate::config::EventsSource;
use crate::extraction::Events;

/// Bytes of a segment of the log.
const SEGMENT: u64 = 64 << 20;

impl EventsSource {
    /// The log of a stream; `None` if another process has it.
    ///
    /// # Errors
    /// As [`cordada_wal::Logs::open`].
    pub(crate) fn log(&self, project: &Path, source: &str, stream: &str) -> Result<Option<Arc<Log>>> {
        self.logs.open(&log_dir(project, source, stream), self.log_limits())
    }

    fn log_limits(&self) -> cordada_wal::Limits {
        cordada_wal::Limits {
            what: "the log of events",
            segment: SEGMENT,
            backlog: self.limits.backlog.0,
        }
    }
}

/// The folder of a stream's log.
fn log_dir(project: &Path, source: &str, stream: &str) -> PathBuf {
    project.join(".cordada/events").join(source).join(stream)
}

#[async_trait]
impl Source for EventsSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        self.streams
            .iter()
            .map(|(name, stream)| (name.clone(), stream.all_options()))
            .collect()
    }

    /// What it says of columns comes from protocols; columns that are dropped are never there.
    fn may_lack(&self, _stream: &str, _column: &str) -> bool {
        true
    }

    fn is_unrepeatable(&self, _stream: &str) -> bool {
        true
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let stream = self.stream(request.stream)?;
        let dir = log_dir(request.project, request.source, request.stream);
        let (logs, limits) = (self.logs.clone(), self.log_limits());
        // A collector that has never run has left nothing; one that was killed may have left much to read.
        let open = move || {
            let is_there = dir.try_exists();
            match is_there.doing(|| format!("opening the log of events in {}", dir.display()))? {
                true => logs.open(&dir, limits),
                false => Ok(None),
            }
        };
        let log = blocking("opening the log of events", open).await?;
        Ok(Box::new(Events::new(request, stream, log)))
    }

    async fn check(&self, project: &Path, source: &str, stream: &str, _cancel: &CancellationToken) -> Result<()> {
        self.stream(stream)?;
        self.log(project, source, stream).map(|_| ())
    }

    async fn listen<'a>(
        &'a self,
        project: &Path,
        source: &'a str,
        key: Option<&PiiKey>,
    ) -> Result<Option<Box<dyn Listener + 'a>>> {
        let collector = Collector::bind(self, project, source, key)?;
        Ok(Some(Box::new(collector)))
    }
}
