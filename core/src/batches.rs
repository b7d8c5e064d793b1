//! How many rows and bytes are on their way at once, whatever they are read from.

/// Rows of a batch that is read row by row.
pub const BATCH_ROWS: usize = 16 * 1024;

/// Batches that wait for their reader, each partition.
pub const WAITING_BATCHES: usize = 2;

/// Bytes of a chunk, about, where a stream can be cut.
pub const CHUNK_BYTES: u64 = 256 << 20;
