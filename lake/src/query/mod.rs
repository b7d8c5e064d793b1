//! Reading a release: sessions, their catalog, and the statements that they take.

mod arithmetic;
mod casts;
pub(crate) mod catalog;
mod comparisons;
mod constants;
mod dialect;
mod expressions;
mod flat_filters;
mod functions;
pub mod gate;
pub(crate) mod hot;
mod long_lists;
pub mod metadata;
pub mod nested;
mod operators;
mod pairs;
mod pinned_view;
pub(crate) mod provider;
pub mod readable;
mod relations;
mod select_lists;
pub mod session;
pub mod session_statements;

mod set_operations;
pub(crate) mod sound_statistics;
pub mod sql;
mod stack;
mod subqueries;
mod time_operators;
mod truth;
mod types;
mod walk;
pub(crate) mod views;
