//! The foundation: Delta tables, releases over them, and the query sessions that read a release.
//!
//! [`table`] is the wing of those who write: batches become Parquet files and one Delta commit. [`query`] is the wing
//! of those who read: a [`Release`] becomes a catalog whose tables are pinned lists of files.

mod delta_error;
pub mod estimator;
mod identity;
pub mod journal;
mod lake;
pub mod maintain;
pub mod query;
pub mod release;
mod resources;
mod rollback;
mod spill;
mod table;
mod vault;

pub use journal::{Journal, JournalType};
pub use lake::Lake;
pub use query::provider::{PinnedReference, PinnedTable};
pub use release::{Draft, Relation, RelationKind, Release, ReleaseLog};
pub use resources::Settings;
pub use rollback::RolledBack;
pub use table::changes::Changes;
pub use table::constraints::{BrokenRow, TakeBroken};
pub use table::mode::{Base, Evolution, MissingKey, Mode, Superseded, Write, WriteReport};
pub use table::tip::Tip;
pub use vault::{Vault, VaultFile};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
