//! The SQL project: a folder in dbt's layout, with its segments, becomes tables and views of a lake.
//!
//! [`Project::load`] reads the folder, [`compile()`] type-checks all of it with the planner that will run it,
//! [`build()`] runs what is stale in graph order, tests it and publishes it as one release.

mod build;
mod compile;
mod compiled;
mod config;
mod contract;
mod data_test;
mod estimated;
mod files;
mod graph;
mod ignored;
mod indicator;
mod jinja;
mod keys;
mod load;
mod model;
mod node;
mod plan_error;
mod planned;
mod project;
mod project_file;
mod properties;
mod seed;
mod segment;
mod segment_members;
mod segment_sql;
mod selector;
mod severity;
mod snapshot;
mod snapshot_sql;
mod source_file;
mod text;
mod unit_test;

pub use build::{BuildOptions, BuildReport, JOURNALS, NodeReport, NodeStatus, TestReport, TestStatus, build};
pub use compile::compile;
pub use compiled::{CompiledNode, CompiledProject, CompiledTest};
pub use config::Materialization;
pub use estimated::Estimated;
pub use node::{Node, NodeId};
pub use project::{LoadOptions, Project};
pub use segment_members::{Members, SegmentCounts};
pub use severity::Severity;
