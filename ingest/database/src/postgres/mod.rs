//! PostgreSQL: binary COPY over several connections that share a snapshot, and the changes that its log tells.

mod changes;
mod column;
mod connect;
mod copy;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod numeric;
mod pgoutput;
mod replication;
mod session;
mod types;

pub(crate) use changes::Changes;
pub(crate) use connect::Server;
pub(crate) use session::PostgresSession;
