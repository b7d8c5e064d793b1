//! Who may see and run what: what every server that takes SQL stands on, whatever its protocol.
//!
//! Follow a query: [`auth`] says who asks and so what may be read ([`Access`]); [`Engine`] finds the release and plans
//! the statement over a [`Workspace`], in which only what may be read has a name, and is there as policies show it; the server runs the plan and lets
//! its user stop it ([`RunningQueries`]), and [`audit`] puts down what came of it.

mod access;
pub mod audit;
pub mod auth;
mod engine;
mod newest;
mod policy;
mod recent;
mod running;
mod users;
mod visible_catalog;
mod workspace;

pub use access::{Access, Forbidden};
pub use engine::{Engine, PlannedQuery, Scope};
pub use policy::{Mask, Personal};
pub use recent::Recent;
pub use running::{RunningQueries, RunningQuery};
pub use users::{Role, User};
pub use workspace::{DocumentedRelation, ListedRelation, Workspace};
