//! Sources that are asked over HTTP, each described by a [`manifest`].
//!
//! Follow a stream through [`extraction`]: it goes through ranges of positions ([`mark`], [`tracker`]) and asks for
//! their [`pages`], for each of its [`parents`] if it has some, or by a [`job`]. For a page the [`engine`] sends what
//! [`outgoing`] made of the manifest's request, with credentials ([`auth`]), within limits ([`budget`]), again where it
//! makes sense ([`verdict`], [`retry`]). The records of its [`answer`] are found without being parsed ([`scan`]) and go
//! through the [`sink`] into a spool.

mod answer;
mod auth;
mod budget;
mod check;
mod client;
mod clock;
mod config;
pub(crate) mod decode;
mod engine;
mod extraction;
mod job;
pub(crate) mod manifest;
mod mark;
mod moment;
mod outgoing;
mod pages;
mod paginate;
mod parents;
mod plan;
mod retry;
mod scan;
mod sink;
mod template;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod tracker;
mod values;
mod verdict;

pub(crate) use config::RestSource;
