//! A source of a database, as landing sees it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::Result;
use cordada_core::progress::Silent;
use cordada_core::source_names::SourceNames;
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Extraction, Request};
use cordada_ingest_source::options::Options;
use cordada_ingest_source::provenance::OURS;
use tokio_util::sync::CancellationToken;

use crate::config::DatabaseSource;
use crate::driver::{SessionRequest, driver_of};
use crate::extraction::{self, RelationExtraction, RelationRequest};

#[async_trait]
impl Source for DatabaseSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        let streams = self.streams.iter();
        streams.map(|(name, stream)| (name.clone(), stream.rows())).collect()
    }

    fn timezone(&self) -> Tz {
        self.timezone.0
    }

    fn is_unrepeatable(&self, stream: &str) -> bool {
        self.streams.get(stream).is_some_and(|stream| stream.changes.is_some())
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let stream = self.stream(request.stream)?;
        let known = match request.replace {
            true => None,
            false => request.landed.schema().await?,
        };
        let session = SessionRequest {
            source: self,
            stream,
            names: (request.source, request.stream),
            project: request.project,
            known: known.unwrap_or_else(|| Arc::new(Schema::empty())),
            columns: request.columns,
            parallelism: self.parallelism.map_or(request.parallelism, NonZeroUsize::get),
            task: request.task,
            cancel: request.cancel,
        };
        if stream.changes.is_some() {
            let log = self.change_log(request.stream)?;
            return log.follow(session, request.state, request.landed).await;
        }
        let session = driver_of(self.connection.url())?.open(session).await?;
        let request = RelationRequest {
            stream,
            replace: request.replace,
            state: request.state,
            existing: request.landed,
        };
        Ok(Box::new(RelationExtraction::new(session, request).await?))
    }

    async fn check(&self, project: &Path, source: &str, name: &str, cancel: &CancellationToken) -> Result<()> {
        let stream = self.stream(name)?;
        let session = SessionRequest {
            source: self,
            stream,
            names: (source, name),
            project,
            known: Arc::new(Schema::empty()),
            columns: Arc::new(SourceNames::new(stream.rows().given_names(), OURS.to_vec())),
            parallelism: 1,
            task: Arc::new(Silent),
            cancel: cancel.clone(),
        };
        if stream.changes.is_some() {
            return self.change_log(name)?.check(session).await;
        }
        let mut session = driver_of(self.connection.url())?.open(session).await?;
        extraction::check(session.as_mut(), stream).await.map(drop)
    }
}
