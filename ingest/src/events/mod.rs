//! The `events` source: a collector that takes the hits of web trackers over HTTP.
//!
//! Follow a hit: [`http`] takes the request on a [`connection`]; [`snowplow`], [`matomo`] or [`segment`] makes a
//! [`record`] of it; [`privacy`] decides what is kept; the [`sink`] writes that to the log in [`wal`], and only then is
//! the request answered. Every few seconds the [`collector`] lands what is in the log, by way of the [`extraction`]
//! that `cordada ingest` uses too.

mod collector;
mod columns;
pub(crate) mod config;
mod connection;
mod extraction;
mod hit;
mod http;
mod matomo;
mod pages;
mod privacy;
mod record;
mod routes;
mod segment;
mod sink;
mod snowplow;
mod wal;

pub use collector::Collector;
