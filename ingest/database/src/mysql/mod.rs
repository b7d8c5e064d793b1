//! MySQL and MariaDB: the binary protocol of prepared statements, row by row, over one connection.
//!
//! One, because neither system lets a second connection into a snapshot without locking all tables.

mod connect;
mod session;
mod types;

pub(crate) use session::MysqlSession;
