//! Writing a table, and what a version of it holds.

pub(crate) mod chunk_writer;
pub(crate) mod commit;
pub(crate) mod data_file;
pub(crate) mod fate;
pub(crate) mod history;
pub(crate) mod incoming;
pub(crate) mod keys;
pub(crate) mod mode;
pub(crate) mod outcome;
pub(crate) mod pages;
pub(crate) mod rewrite;
pub(crate) mod rival;
pub(crate) mod row_hash;
pub(crate) mod snapshot;
pub(crate) mod stage;
pub(crate) mod tip;
pub(crate) mod upsert;
pub(crate) mod write;
