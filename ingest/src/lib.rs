//! Source to raw: landing.
//!
//! A source has streams, and a stream gives chunks of rows, each with the state that the stream is in once they have
//! landed ([`cordada_ingest_source`]). `landing.rs` takes any chunk the same way: it finds or infers the types of its
//! columns, drops or hashes what is personal, holds it against the contract, adds the provenance, and commits rows and
//! state as one, so that nothing lands twice.

mod budget;
mod check;
mod cut_times;
mod far_times;
mod flagged;
mod gate;
mod ingest;
mod kept;
mod keyless;
mod known;
mod landed;
mod landing;
mod listen;
mod naming;
mod rejected;
mod rows;
mod scanned;
mod sources;
mod typed;
mod unnest;

pub use check::{StreamCheck, check};
pub use ingest::{IngestReport, StreamReport, ingest};
pub use listen::listen;
pub use sources::{Selection, SourceFile, load_sources};

/// The journals that landing writes.
pub const JOURNALS: [cordada_lake::Journal; 2] = [ingest::LOADS, rejected::REJECTED_ROWS];
