//! PostgreSQL: binary COPY over several connections that share a snapshot.

mod column;
mod connect;
mod copy;
mod numeric;
mod session;
mod types;

pub(crate) use connect::Server;
pub(crate) use session::PostgresSession;
