//! Estimators that score customers: one file each, and one line in [`estimators`].

#[cfg(test)]
mod contract;
mod exact;
mod features;
mod identity;
mod kmeans;
mod parameters;
mod sample;
mod silhouette;
mod standardise;

use std::sync::Arc;

use cordada_lake::estimator::Estimators;

/// Every estimator that a model can name with `estimator='…'`.
pub fn estimators() -> Estimators {
    let mut estimators = Estimators::default();
    estimators.register(Arc::new(identity::Identity));
    estimators.register(Arc::new(kmeans::KMeans::default()));
    estimators
}
