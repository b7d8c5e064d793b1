//! Takes rows out of Parquet data without decoding it.
//!
//! An upsert takes a few rows out of nearly every page. To decode all values, filter and encode them again would cost
//! ten times what the change is worth, so pages are cut where they are encoded: plain values are copied in stretches,
//! dictionaries stay and only the indexes into them are packed again, and statistics stay as long as rows with the
//! least and the greatest value do. That needs to know a page down to its bits, so it is done to pages as
//! [`crate::table::data_file`] has them written, and whatever else is found is decoded and encoded.

mod bits;
mod bounds;
mod chunk;
mod delta;
mod hybrid;
mod page;
mod values;

pub(crate) use chunk::Chunk;
