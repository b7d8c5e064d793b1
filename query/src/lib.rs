//! Who may see and run what: what every server that takes SQL stands on, whatever its protocol.
//!
//! Follow a query: [`auth`] says who asks and so what may be read ([`Access`]); [`Engine`] finds the release and plans
//! the statement over a [`Workspace`], in which only what may be read has a name, and is there as policies show it; the
//! [`Executor`] runs the plan when it is its turn, within the limits of whoever asks, the server sends the rows of the
//! [`Run`], and [`audit`] puts down what came of it.

mod access;
mod answers;
pub mod audit;
pub mod auth;
mod bulk_ingest;
mod engine;
mod execution;
mod fixed;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used)]
pub mod fuzzing;
mod newest;
mod parameters;
mod policy;
mod several_rows;
mod users;
mod visible_catalog;
mod workspace;

pub use access::{Access, Forbidden};
pub use answers::{Answers, Recording};
pub use bulk_ingest::{BulkIngest, IfExists, IfMissing, Presence};
pub use cordada_core::Recent;
pub use engine::{Engine, PlannedQuery, Question, Scope};
pub use execution::{
    Computes, Exceeded, Executor, Interrupt, Request, RoleLimits, Run, ServerLimits, Statement, StatementLimits, Why,
};
pub use policy::{Mask, Personal};
pub use users::{Role, User};
pub use workspace::{DocumentedRelation, ListedRelation, Size, Workspace};
