//! Sources of kind `database`: tables and queries of PostgreSQL, MySQL, MariaDB and SQLite, with exact types.
//!
//! Follow a load through [`open`]: a [`session`] holds one snapshot of the source, [`reading`] cuts it into chunks
//! after the stream's [`position`], and the systems' own modules decode rows straight into Arrow columns. Why these
//! drivers: docs/adr/0006-database-drivers.md.

mod config;
mod keys;
mod position;
mod postgres;
mod reading;
mod session;
mod sql;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use chrono_tz::Tz;
use cordada_lake::Result;

pub(crate) use config::{Database, DatabaseStream};
use config::{Changes, System};
use reading::{Reading, Wanted};
use session::Session;

use crate::extract::{Extraction, Request};
use crate::stream::Disposition;

/// Opens a stream: nothing of its rows has been read then.
///
/// # Errors
/// Unavailable: the database does not answer. Config: it refuses the credentials, or what the stream names is not
/// there.
pub(crate) async fn open(
    database: &Database,
    stream: &DatabaseStream,
    zone: Tz,
    request: Request<'_>,
) -> Result<Box<dyn Extraction>> {
    let session = session(database, stream, zone, &request).await?;
    let wanted = Wanted {
        stream,
        key: &stream.key,
        merge: stream.disposition == Disposition::Merge,
        replace: request.replace,
        state: request.state,
        existing_keys: request.existing_keys,
        origin: stream.label().to_owned(),
    };
    Ok(Box::new(Reading::new(session, wanted).await?))
}

async fn session(
    database: &Database,
    stream: &DatabaseStream,
    zone: Tz,
    request: &Request<'_>,
) -> Result<Box<dyn Session>> {
    let url = database.connection.url();
    match database.connection.system()? {
        System::Postgres => {
            let server = postgres::Server::new(url, database.timeout)?;
            let opening = postgres::Opening {
                stream,
                zone,
                parallelism: database.parallelism.map_or(request.parallelism, Into::into),
                task: request.task.clone(),
                cancel: request.cancel.clone(),
            };
            Ok(Box::new(postgres::PostgresSession::open(&server, opening).await?))
        }
        System::Mysql | System::Sqlite => unimplemented!(),
    }
}

/// Proves that the database answers, takes the credentials, and has the stream's table and columns. Lands nothing.
///
/// # Errors
/// As [`open`].
pub(crate) async fn check(database: &Database, stream: &DatabaseStream, zone: Tz, request: Request<'_>) -> Result<()> {
    let mut session = session(database, stream, zone, &request).await?;
    let repeatable = request.replace || stream.disposition == Disposition::Merge;
    reading::check(session.as_mut(), stream, &stream.key, repeatable).await.map(drop)
}
