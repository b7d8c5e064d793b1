//! A source of access logs, as landing sees it.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::Result;
use cordada_ingest_discovery::discover;
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Extraction, Request};
use cordada_ingest_source::options::Options;
use tokio_util::sync::CancellationToken;

use crate::config::{LogStream, LogsSource};
use crate::extraction::Logs;

#[async_trait]
impl Source for LogsSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        let options = |(name, stream): (&String, &LogStream)| (name.clone(), stream.options());
        self.streams.iter().map(options).collect()
    }

    fn timezone(&self) -> Tz {
        self.timezone.0
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let stream = self.stream(request.stream)?;
        Ok(Box::new(Logs::start(request, self, stream).await?))
    }

    async fn check(&self, project: &Path, _source: &str, stream: &str, _cancel: &CancellationToken) -> Result<()> {
        let stream = self.stream(stream)?;
        let allow_outside = self.allow_outside || stream.allow_outside;
        discover::find(project, &stream.path, allow_outside, &self.storage)
            .await
            .map(|_| ())
    }
}
