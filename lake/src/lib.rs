//! The foundation: Delta tables, releases over them, and the query sessions that read a release.
//!
//! Follow a write through [`write`]: batches become Parquet files ([`data_file`]) and one Delta commit. Follow a
//! read through [`session`]: a [`Release`] becomes a catalog ([`catalog`]) whose tables are pinned file lists
//! ([`snapshot`], [`provider`]).

pub mod catalog;
mod commit;
pub mod data_file;
pub mod error;
pub mod estimator;
pub mod history;
pub mod journal;
mod keys;
pub mod lake;
pub mod names;
pub mod progress;
pub mod provider;
pub mod release;
mod row_hash;
pub mod session;
pub mod snapshot;
pub mod sql;
mod stage;
pub mod storage;
pub mod types;
mod upsert;
pub mod write;
pub mod yaml;

pub use error::{Classify, Context, Error, ErrorKind, Result};
pub use journal::Journal;
pub use lake::{Lake, Settings};
pub use names::TableName;
pub use progress::Progress;
pub use release::{Draft, Relation, RelationKind, Release, ReleaseLog};
pub use write::{Base, Missing, Mode, Write, Written};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
