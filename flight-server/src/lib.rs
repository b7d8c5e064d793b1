//! Flight SQL over the newest release.
//!
//! Follow a query: `connections` has the wire; at the `gate` it is found out who asks (`authenticator`), in which
//! session (`sessions`); `service` finds out what for (`protocol`); [`cordada_query::Engine`] plans it over a release in
//! which only what may be read has a name, and `wire` says the result's schema; the client comes back with a signed
//! `ticket`, and `rows` runs the plan and streams it. `metadata` answers what is asked about the catalog and the server,
//! and `put` takes what clients send.
//!
//! A session, or a request by its headers, sets these options:
//!
//! | option | takes | what it does |
//! |---|---|---|
//! | `catalog` | `lake` | nothing: there is one |
//! | `schema` | a name; `marts` | the schema of relations that are named without one |
//! | `release` | a number; `newest` | reads that release and no other |
//! | `compression` | `none`, `lz4`, `zstd` | compresses record batches |
//! | `arrow_views` | `false`, `true` | text as Utf8View and bytes as BinaryView, uncopied |
//! | `no_time_zones` | `false`, `true` | times in UTC without their zone; by default for JDBC up to 18.3, which needs it |

mod answers;
mod audit;
mod authenticator;
mod bulk_ingest;
mod client;
mod config;
mod connections;
mod expanded;
mod flights;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used)]
pub mod fuzzing;
mod gate;
mod gathered;
mod message;
mod metadata;
mod options;
mod parameters;
mod peer;
mod plain_bytes;
mod plain_values;
mod prepared;
mod protocol;
mod put;
mod received;
mod reflection;
mod rows;
mod self_woken;
mod server;
mod service;
mod session_messages;
mod sessions;
mod sql_types;
mod status;
mod ticket;
mod tls;
mod uncopied;
mod wire;

pub use config::{ClientCertificates, Config, Tls};
pub use server::Server;
