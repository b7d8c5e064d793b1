//! SQLite: values have types, columns only prefer them, so a column's type is found by looking at all its values.

mod connect;
mod session;
mod types;

use async_trait::async_trait;
use cordada_core::Result;

use crate::driver::{Driver, SessionRequest};
use crate::session::Session;

/// The driver.
pub(crate) struct Sqlite;

#[async_trait]
impl Driver for Sqlite {
    async fn open(&self, request: SessionRequest<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(session::SqliteSession::open(request).await?))
    }
}
