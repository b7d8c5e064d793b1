//! Reading a release: sessions, their catalog, and the statements that they take.

mod casts;
pub(crate) mod catalog;
mod comparisons;
mod dialect;
mod functions;
mod pinned_view;
pub(crate) mod provider;
pub mod readable;
pub mod session;
pub(crate) mod sound_statistics;
pub mod sql;
mod time_operators;
mod types;
