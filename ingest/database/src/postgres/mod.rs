//! PostgreSQL: binary COPY over several connections that share a snapshot, and the changes that its log tells.

mod changes;
mod column;
mod connect;
mod copy;
mod follower;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod log_identity;
mod numeric;
mod pgoutput;
mod relation;
mod replication;
mod session;
mod text_format;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::Result;
use cordada_core::sql_text::Dialect;
use cordada_ingest_source::Landed;
use cordada_ingest_source::extract::{Extraction, State};

use self::changes::TableChanges;
use self::connect::PostgresServer;
use self::session::PostgresSession;
use crate::driver::{ChangeLog, Driver, SessionRequest};
use crate::session::Session;

const SQL: Dialect = Dialect::Standard;

/// The driver.
pub(crate) struct Postgres;

#[async_trait]
impl Driver for Postgres {
    async fn open(&self, request: SessionRequest<'_>) -> Result<Box<dyn Session>> {
        let server = PostgresServer::of(request.source)?;
        Ok(Box::new(PostgresSession::open(&server, request).await?))
    }

    fn change_log(&self) -> Option<&dyn ChangeLog> {
        Some(self)
    }
}

#[async_trait]
impl ChangeLog for Postgres {
    async fn follow(
        &self,
        request: SessionRequest<'_>,
        state: Option<State>,
        landed: Arc<dyn Landed>,
    ) -> Result<Box<dyn Extraction>> {
        let server = PostgresServer::of(request.source)?;
        Ok(Box::new(TableChanges::open(&server, request, state, landed).await?))
    }

    async fn check(&self, request: SessionRequest<'_>) -> Result<()> {
        let server = PostgresServer::of(request.source)?;
        TableChanges::check(&server, request).await
    }
}
