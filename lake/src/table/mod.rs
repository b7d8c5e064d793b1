//! Writing a table, and what a version of it holds.

pub(crate) mod changes;
pub(crate) mod clock;
pub(crate) mod commit;
pub(crate) mod constraints;
pub(crate) mod data_file;
pub(crate) mod fate;
pub(crate) mod history;
pub(crate) mod incoming;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod mode;
pub(crate) mod outcome;
pub(crate) mod pending;
pub(crate) mod protocol;
pub(crate) mod rival;
pub(crate) mod row_hash;
pub(crate) mod snapshot;
pub(crate) mod snapshots;
pub(crate) mod stage;
pub(crate) mod statistics;
pub(crate) mod superseded;
pub(crate) mod tip;
pub(crate) mod transactions;
pub(crate) mod upsert;
pub(crate) mod write;
