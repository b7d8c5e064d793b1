//! Who may see and run what: what every server that takes SQL stands on, whatever its protocol.
//!
//! Follow a query: [`auth`] says who asks and so what may be read ([`Access`]); [`Engine`] finds the release and plans
//! the statement over a [`Workspace`], in which only what may be read has a name; the [`Executor`] runs the plan when it
//! is its turn, within the limits of whoever asks, and the server sends the rows of the [`Run`].

mod access;
pub mod auth;
mod engine;
mod execution;
mod newest;
mod recent;
mod users;
mod visible_catalog;
mod workspace;

pub use access::{Access, Forbidden};
pub use engine::{Engine, PlannedQuery, Scope};
pub use execution::{
    Exceeded, Executor, Interrupt, Request, RoleLimits, Run, ServerLimits, Statement, StatementLimits, Why,
};
pub use recent::Recent;
pub use users::{Role, User};
pub use workspace::{DocumentedRelation, ListedRelation, Workspace};
