//! Flight SQL over the newest release.
//!
//! Follow a query: [`server`] takes the connection; [`service`] finds out who asks ([`auth`]) and what for
//! ([`protocol`]); [`engine`] plans it over a release in which only what may be read has a name ([`workspace`],
//! [`visible_catalog`]) and says the result's schema ([`wire`]); the client comes back with a signed [`ticket`], and
//! [`rows`] runs the plan and streams it. [`metadata`] answers what is asked about the catalog and the server.

mod access;
mod auth;
mod config;
mod dialect;
mod engine;
mod metadata;
mod newest;
mod options;
mod prepared;
mod protocol;
mod recent;
mod rows;
mod running;
mod server;
mod service;
mod session_messages;
mod sessions;
mod sql_types;
mod status;
mod ticket;
mod visible_catalog;
mod wire;
mod workspace;

pub use auth::hash_password;
pub use config::{Config, Role, Tls, User};
pub use server::Server;
