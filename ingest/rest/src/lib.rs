//! The kind `rest`: systems that are asked over HTTP, each described by a [`manifest`].
//!
//! Follow a stream through [`extraction`]: it goes through ranges of positions ([`mark`], [`tracker`]) and asks for
//! their [`pages`], for each of its [`parents`] if it has some, or by a [`job`]. How one of them is asked for is told
//! in [`cordada_http`]. The records of an answer go through the [`sink`] into a spool.

mod check;
mod config;
mod connectors;
mod extraction;
mod job;
mod manifest;
mod mark;
mod page;
mod pages;
mod paginate;
mod parents;
mod personal;
mod plan;
mod sink;
mod source;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod tracker;

use cordada_ingest_source::Kind;

use crate::source::RestSource;

pub use connectors::{Connector, index as connector_index};

/// The kind `rest`.
pub const KIND: Kind = Kind {
    name: "rest",
    load: |file| Ok(Box::new(RestSource::read(file)?)),
};
