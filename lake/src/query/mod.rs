//! Reading a release: sessions, their catalog, and the statements that they take.

pub(crate) mod catalog;
mod comparisons;
mod dialect;
mod functions;
mod pinned_view;
pub(crate) mod provider;
mod select_lists;
pub mod session;
mod set_operations;
pub(crate) mod sound_statistics;
pub mod sql;
mod stack;
mod subqueries;
