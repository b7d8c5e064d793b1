//! MySQL and MariaDB: the binary protocol of prepared statements, row by row, over one connection.
//!
//! One, because neither system lets a second connection into a snapshot without locking all tables.

mod connect;
mod session;
mod types;

use async_trait::async_trait;
use cordada_core::Result;

use crate::driver::{Driver, SessionRequest};
use crate::session::Session;

/// The driver.
pub(crate) struct Mysql;

#[async_trait]
impl Driver for Mysql {
    async fn open(&self, request: SessionRequest<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(session::MysqlSession::open(request).await?))
    }
}
