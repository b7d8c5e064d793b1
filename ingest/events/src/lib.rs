//! The kind `events`: a collector that takes the hits of web trackers over HTTP.
//!
//! Follow a hit: [`http`] takes the request on a [`connection`]; [`snowplow`], [`matomo`] or [`segment`] makes a
//! [`record`] of it; [`privacy`] decides what is kept; the [`sink`] writes that to a [log](cordada_wal), and only then is
//! the request answered. Every few seconds the [`collector`] lands what is in the log, by way of the [`extraction`]
//! that `cordada ingest` uses too.

mod addresses;
mod collector;
mod columns;
mod config;
mod connection;
mod extraction;
mod freeform;
mod hit;
mod http;
mod matomo;
mod pages;
mod privacy;
mod proxies;
mod record;
mod routes;
mod segment;
mod senders;
mod sink;
mod snowplow;
mod source;

use cordada_core::yaml;
use cordada_ingest_source::Kind;

use crate::config::EventsSource;

/// The kind `events`.
pub const KIND: Kind = Kind {
    name: "events",
    load: |file| {
        let mut source: EventsSource = yaml::read(file)?;
        source.validate(file)?;
        Ok(Box::new(source))
    },
};
