//! Bytes to Arrow: CSV, JSON, workbooks and Parquet, with types over the whole file.
//!
//! A [`local`] file becomes [`text`] in UTF-8 on a disk and is read twice, in parallel [`piece`]s: once for the
//! [`shape`] of its columns, gathered from the evidence of their [`values`], and once into columns of the types that
//! follow from it ([`scanned`]). Records that a source yields one by one wait in a [`spool`] to be read the same way.

pub mod csv;
pub mod excel;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used)]
pub mod fuzzing;
pub mod headings;
pub mod json;
pub mod local;
mod naming;
pub mod parquet;
pub mod piece;
pub mod reading;
pub mod record;
pub mod rejected;
pub mod scanned;
pub mod shape;
pub mod spool;
pub mod text;
pub mod values;
