//! The kind `database`: tables and queries of PostgreSQL, MySQL, MariaDB and SQLite, with exact types.
//!
//! Follow a load from the [`source`]: a [`driver`] opens a [`session`], which holds one snapshot; [`extraction`] cuts it
//! into chunks after the stream's [`position`], and the systems' own modules decode rows straight into Arrow columns, on
//! their way in a [`feed`]. Why these drivers: docs/adr/0006-database-drivers.md.

// Each driver leaves some of what they share to the others.
#![cfg_attr(
    not(all(feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(dead_code)
)]

mod config;
#[cfg(all(test, any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
mod contract;
mod decimal;
mod driver;
mod extraction;
mod feed;
mod keys;
#[cfg(feature = "mysql")]
mod mysql;
mod position;
#[cfg(feature = "postgres")]
mod postgres;
mod row_builder;
mod session;
mod source;
mod sql_error;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
mod value_error;

use cordada_core::yaml;
use cordada_ingest_source::Kind;

use crate::config::DatabaseSource;
#[cfg(all(feature = "postgres", any(test, feature = "fuzzing")))]
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
