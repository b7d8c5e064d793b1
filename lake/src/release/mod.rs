//! Releases: what was published, all of it at once.
//!
//! A release maps every relation to the Delta version that it is published at, so a reader that pins a release sees one
//! moment of the whole lake, and a writer publishes any number of tables in one atomic step: one numbered JSON file
//! under `_cordada/releases/`, written with put-if-absent as Delta's own log is.
//!
//! The file holds what the release changed; the first of a log holds the whole map. Every so many releases a checkpoint
//! holds the whole map too, so that reading a release takes few files. Documentation is apart, by its content's hash.

mod checkpoint;
mod docs;
mod docs_store;
mod draft;
mod file;
mod history;
mod log;
mod model;
mod retention;

pub use docs::{ColumnDocs, Docs, DocsRef, ForeignKey};
pub(crate) use docs_store::DocsStore;
pub use draft::Draft;
pub use history::PastRelease;
pub use log::ReleaseLog;
pub use model::{Changes, Head, Relation, RelationKind, Relations, Release, Timelines};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
