//! A source of a database, as landing sees it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::Result;
use cordada_core::progress::{Silent, Task};
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Extraction, Request};
use cordada_ingest_source::options::Options;
use tokio_util::sync::CancellationToken;

use crate::config::{DatabaseSource, DatabaseStream, System};
use crate::reading::{self, Reading, Wanted};
use crate::session::Session;
use crate::{mysql, postgres, sqlite};

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
        let around = Around {
            project: request.project,
            parallelism: request.parallelism,
            task: request.task.clone(),
            cancel: request.cancel.clone(),
        };
        if stream.changes.is_some() {
            let server = postgres::Server::new(self.connection.url(), self.timeout.0)?;
            let (names, existing) = ((request.source, request.stream), request.landed);
            let changes =
                postgres::Changes::open(&server, stream, names, self.timezone.0, around, request.state, existing);
            return Ok(Box::new(changes.await?));
        }
        let session = self.session(stream, around).await?;
        let wanted = Wanted {
            stream,
            replace: request.replace,
            state: request.state,
            existing: request.landed,
        };
        Ok(Box::new(Reading::new(session, wanted).await?))
    }

    async fn check(&self, project: &Path, source: &str, name: &str, cancel: &CancellationToken) -> Result<()> {
        let stream = self.stream(name)?;
        if stream.changes.is_some() {
            let server = postgres::Server::new(self.connection.url(), self.timeout.0)?;
            return postgres::Changes::check(&server, stream, (source, name), self.timezone.0, cancel).await;
        }
        let around = Around {
            project,
            parallelism: 1,
            task: Arc::new(Silent),
            cancel: cancel.clone(),
        };
        let mut session = self.session(stream, around).await?;
        reading::check(session.as_mut(), stream).await.map(drop)
    }
}

/// What a session needs to know besides what it reads.
pub(crate) struct Around<'a> {
    pub(crate) project: &'a Path,
    /// How many connections may read at the same time.
    pub(crate) parallelism: usize,
    pub(crate) task: Arc<dyn Task>,
    pub(crate) cancel: CancellationToken,
}

impl DatabaseSource {
    /// Opens a session: nothing of the rows has been read then.
    ///
    /// # Errors
    /// Unavailable: the database does not answer. Config: it refuses the credentials, or what the stream names is not
    /// there.
    async fn session(&self, stream: &DatabaseStream, mut around: Around<'_>) -> Result<Box<dyn Session>> {
        let (url, zone) = (self.connection.url(), self.timezone.0);
        if let Some(parallelism) = self.parallelism {
            around.parallelism = parallelism.into();
        }
        match self.connection.system()? {
            System::Postgres => {
                let server = postgres::Server::new(url, self.timeout.0)?;
                Ok(Box::new(
                    postgres::PostgresSession::open(&server, stream, zone, around).await?,
                ))
            }
            System::Mysql => Ok(Box::new(
                mysql::MysqlSession::open(url, self.timeout.0, stream, zone, around).await?,
            )),
            System::Sqlite => Ok(Box::new(
                sqlite::SqliteSession::open(url, self.timeout.0, stream, around).await?,
            )),
        }
    }
}
