//! Sources of kind `database`: tables and queries of PostgreSQL, MySQL, MariaDB and SQLite, with exact types.
//!
//! Follow a load through [`open`]: a [`session`] holds one snapshot of the source, [`reading`] cuts it into chunks
//! after the stream's [`position`], and the systems' own modules decode rows straight into Arrow columns. Why these
//! drivers: docs/adr/0006-database-drivers.md.

mod builder;
mod config;
mod decimal;
mod keys;
mod lake_keys;
mod mysql;
mod position;
mod postgres;
mod reading;
mod session;
mod sqlite;
mod unreadable;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use config::{DatabaseStream, System};
use cordada_core::Result;
use cordada_core::progress::{Silent, Task};
use lake_keys::LakeKeys;
use reading::{Reading, Wanted};
use session::Session;
use tokio_util::sync::CancellationToken;
pub(crate) use config::DatabaseSource;

use crate::extract::{Extraction, Request};
use crate::kind::Kind;
use crate::options::Options;

#[async_trait]
impl Kind for DatabaseSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        let streams = self.streams.iter();
        streams.map(|(name, stream)| (name.clone(), stream.rows())).collect()
    }

    fn timezone(&self) -> Tz {
        self.timezone.0
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let stream = self.stream(request.stream)?;
        let around = Around {
            project: request.project,
            parallelism: request.lake.parallelism(),
            task: request.task.clone(),
            cancel: request.cancel.clone(),
        };
        if stream.changes.is_some() {
            let server = postgres::Server::new(self.connection.url(), self.timeout)?;
            let (names, existing) = (
                (request.source, request.stream),
                LakeKeys::new(request.lake, request.table),
            );
            let changes =
                postgres::Changes::open(&server, stream, names, self.timezone.0, around, request.state, existing);
            return Ok(Box::new(changes.await?));
        }
        let session = self.session(stream, around).await?;
        let wanted = Wanted {
            stream,
            replace: request.replace,
            state: request.state,
            existing: LakeKeys::new(request.lake, request.table),
        };
        Ok(Box::new(Reading::new(session, wanted).await?))
    }

    async fn check(&self, project: &Path, source: &str, name: &str, cancel: &CancellationToken) -> Result<()> {
        let stream = self.stream(name)?;
        if stream.changes.is_some() {
            let server = postgres::Server::new(self.connection.url(), self.timeout)?;
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
                let server = postgres::Server::new(url, self.timeout)?;
                Ok(Box::new(
                    postgres::PostgresSession::open(&server, stream, zone, around).await?,
                ))
            }
            System::Mysql => Ok(Box::new(
                mysql::MysqlSession::open(url, self.timeout, stream, zone, around).await?,
            )),
            System::Sqlite => Ok(Box::new(
                sqlite::SqliteSession::open(url, self.timeout, stream, around).await?,
            )),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
