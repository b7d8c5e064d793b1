//! The SQL project: a folder in dbt's layout becomes tables and views of a lake.
//!
//! [`Project::load`] reads the folder, [`compile`] type-checks all of it with the planner that will run it, [`build`]
//! runs what is stale in graph order, tests it and publishes it as one release.

mod build;
mod compile;
mod config;
mod contract;
mod plan_error;
mod planned;
mod seed;
mod data_test;
mod files;
mod graph;
mod jinja;
mod load;
mod node;
mod project;
mod project_file;
mod properties;
mod selector;
mod text;

pub use build::{BuildOptions, BuildReport, NodeReport, NodeStatus, TestReport, TestStatus, build};
pub use compile::{Compiled, CompiledNode, CompiledTest, compile};
pub use config::Materialization;
pub use node::{Node, NodeId, Severity};
pub use project::{LoadOptions, Project};
