//! Who may see and run what: what every server that takes SQL stands on, whatever its protocol.
//!
//! Follow a query: [`auth`] says who asks and so what may be read ([`Access`]); [`Engine`] finds the release and plans
//! the statement over a [`Workspace`], in which only what may be read has a name; the server runs the plan and lets
//! its user stop it ([`RunningQueries`]).

mod access;
mod answers;
pub mod auth;
mod bulk_ingest;
mod engine;
mod fixed;
mod newest;
mod parameters;
mod running;
mod several_rows;
mod users;
mod visible_catalog;
mod workspace;

pub use access::{Access, Forbidden};
pub use answers::{Answers, Recording};
pub use bulk_ingest::{BulkIngest, IfExists, IfMissing, Presence};
pub use cordada_core::Recent;
pub use engine::{Engine, PlannedQuery, Question, Scope};
pub use running::{RunningQueries, RunningQuery};
pub use users::{Role, User};
pub use workspace::{DocumentedRelation, ListedRelation, Size, Workspace};
