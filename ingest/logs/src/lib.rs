//! The kind `logs`: access logs of web servers, proxies, load balancers and content delivery networks.
//!
//! Each line becomes a record: [`mod@format`] tells which format a file is in, a module a family of formats takes lines
//! apart, [`fields`] says which columns they share, and [`record`] writes them, with as much of what is personal as
//! [`address`] and [`query`] let through. [`places`] knows how far each log has been read, wherever rotation has put
//! it, [`lines`] gives out what is complete of the rest, and [`extraction`] makes chunks of that.

mod address;
mod clf;
mod config;
mod custom;
mod extraction;
mod fields;
mod format;
mod haproxy;
mod json;
mod lines;
mod places;
mod positional;
mod query;
mod reader;
mod record;
mod source;
mod time;
mod tokens;
mod w3c;

use cordada_core::yaml;
use cordada_ingest_source::Kind;

use crate::config::LogsSource;

/// The kind `logs`.
pub const KIND: Kind = Kind {
    name: "logs",
    load: |file| {
        let source: LogsSource = yaml::read(file)?;
        source.validate(file)?;
        Ok(Box::new(source))
    },
};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
