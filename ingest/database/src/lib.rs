//! The kind `database`: tables and queries of PostgreSQL, MySQL, MariaDB and SQLite, with exact types.
//!
//! Follow a load from the [`source`]: a [`session`] holds one snapshot of it, [`reading`] cuts it into chunks after the
//! stream's [`position`], and the systems' own modules decode rows straight into Arrow columns. Why these drivers:
//! docs/adr/0006-database-drivers.md.

mod builder;
mod config;
mod decimal;
mod keys;
mod mysql;
mod position;
mod postgres;
mod reading;
mod session;
mod source;
mod sqlite;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
mod unreadable;

use cordada_core::yaml;
use cordada_ingest_source::Kind;

use crate::config::DatabaseSource;
#[cfg(any(test, feature = "fuzzing"))]
pub use crate::postgres::fuzzing;

/// The kind `database`.
pub const KIND: Kind = Kind {
    name: "database",
    load: |file| {
        let source: DatabaseSource = yaml::read(file)?;
        source.validate(file)?;
        Ok(Box::new(source))
    },
};
