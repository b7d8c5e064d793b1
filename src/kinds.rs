//! The kinds of sources.

use cordada_ingest_source::Kind;

/// All of them, by name. A kind is a crate in `ingest/`, and a line here.
pub const KINDS: &[Kind] = &[
    cordada_ingest_database::KIND,
    cordada_ingest_events::KIND,
    cordada_ingest_files::KIND,
    cordada_ingest_logs::KIND,
    cordada_ingest_rest::KIND,
];
