//! What is plugged together: kinds of sources into landing, estimators into the graph.

use cordada_ingest_source::Kind;
use cordada_lake::estimator::Estimators;

/// The kinds of sources. A kind is a crate in `ingest/`, and a line here; its driver is a feature of this crate.
pub const KINDS: &[Kind] = &[
    #[cfg(feature = "database")]
    cordada_ingest_database::KIND,
    #[cfg(feature = "events")]
    cordada_ingest_events::KIND,
    #[cfg(feature = "files")]
    cordada_ingest_files::KIND,
    #[cfg(feature = "logs")]
    cordada_ingest_logs::KIND,
    #[cfg(feature = "mqtt")]
    cordada_ingest_mqtt::KIND,
    #[cfg(feature = "rest")]
    cordada_ingest_rest::KIND,
];

/// The estimators that `estimator='…'` can name.
pub fn estimators() -> Estimators {
    cordada_models::estimators()
}
