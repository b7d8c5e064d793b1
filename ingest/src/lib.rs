//! Source to raw: kinds of sources, and landing.
//!
//! A source is of a [`kind`]: each has streams, and an [`extract::Extraction`] of a stream gives chunks of rows, each
//! with the state that the stream is in once they have landed. [`landing`] takes any chunk the same way: it finds or
//! infers the types of its columns, drops or hashes what is personal ([`transform`]), holds it against the
//! [`contract`], adds the [`provenance`], and commits rows and state as one, so that nothing lands twice.

mod check;
mod config;
mod connectors;
mod contract;
mod database;
mod events;
mod extract;
mod files;
mod identity;
mod ingest;
mod kind;
mod landing;
mod logs;
mod options;
mod provenance;
mod rejected;
mod rest;
mod rows;
mod shape;
mod spool;
mod transform;
mod unnest;
mod values;

pub use check::{Checked, check};
pub use config::{Selection, Source, load_sources};
pub use connectors::{Connector, index as connector_index};
pub use events::Collector;
pub use ingest::{IngestReport, StreamReport, ingest};
pub use transform::PiiKey;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
