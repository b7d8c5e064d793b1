//! What every crate speaks: errors, the YAML that people write, names, units, the types that tables store, progress, TLS.

pub mod atomic_file;
pub mod batches;
pub mod clock;
pub mod conform;
pub mod error;
pub mod hex;
mod latin;
pub mod local_store;
pub mod names;
pub mod places;
pub mod private;
pub mod progress;
mod recent;
pub mod scratch;
pub mod shown;
pub mod source_names;
pub mod spawned_store;
pub mod spelling;
pub mod sql_text;
pub mod storage;
pub mod suggest;
pub mod threads;
pub mod tls;
pub mod types;
pub mod units;
pub mod yaml;

pub use error::{Classify, Context, Error, ErrorKind, FilePosition, Result};
pub use names::TableName;
pub use recent::Recent;
