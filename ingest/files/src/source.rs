//! A source of files, as landing sees it.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::Result;
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Extraction, Request};
use cordada_ingest_source::options::Options;
use tokio_util::sync::CancellationToken;

use crate::config::FilesSource;
use crate::extraction::Files;

#[async_trait]
impl Source for FilesSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        self.streams
            .iter()
            .map(|(name, stream)| (name.clone(), stream.options()))
            .collect()
    }

    fn timezone(&self) -> Tz {
        self.timezone.0
    }

    fn shows_progress(&self) -> bool {
        true
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let stream = self.stream(request.stream)?;
        Ok(Box::new(Files::new(request, self, stream)))
    }

    async fn check(&self, project: &Path, _source: &str, stream: &str, _cancel: &CancellationToken) -> Result<()> {
        let stream = self.stream(stream)?;
        self.find(project, stream).await.map(drop)
    }
}
