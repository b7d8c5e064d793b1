//! Reading a release: sessions, their catalog, and the statements that they take.

pub(crate) mod catalog;
mod comparisons;
mod dialect;
mod functions;
pub mod nested;
mod operators;
mod pinned_view;
pub(crate) mod provider;
mod relations;
pub mod session;
pub(crate) mod sound_statistics;
pub mod sql;
