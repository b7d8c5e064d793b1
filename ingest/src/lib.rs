//! Source to raw: streams, type inference, landing.
//!
//! Follow a file through [`ingest`]: [`files`] finds it and reads it once, for its records and the types of its
//! columns; [`landing`] decides what of it is new, reads it again into batches with their [`provenance`], and
//! commits them together with its [`identity`], so that nothing lands twice.

mod config;
mod files;
mod identity;
mod ingest;
mod landing;
mod parallel;
mod provenance;
mod rejected;
#[allow(dead_code)]
mod rest;
mod rows;
mod shape;
mod stream;
mod values;

pub use config::{Selection, Source, load_sources};
pub use ingest::{IngestReport, StreamReport, ingest};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
