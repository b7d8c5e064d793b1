//! What a source is: streams that a kind of source extracts, chunk by chunk, and what every stream can say of itself.
//!
//! A [`Source`] is what one file in `sources/` describes, and a [`Kind`] reads such a file. An [`extract::Extraction`]
//! gives chunks of rows, each with the state that the stream is in once they have landed. What a user says about rows
//! is in the [`options`]: [`contract`]s, [`transform`]s of personal columns. Values that cannot land are [`misfits`]. A
//! [`listener`] is told of events instead.

pub mod contract;
pub mod extract;
pub mod landed;
pub mod listener;
pub mod misfits;
pub mod options;
pub mod provenance;
pub mod seen;
mod source;
pub mod transform;

pub use landed::{Environment, Landed};
pub use source::{Kind, Source, unknown_stream};
