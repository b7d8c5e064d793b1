//! The estimators that a project can name.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};

use super::Estimator;

/// The estimators that a project can name.
#[derive(Debug, Clone, Default)]
pub struct Estimators(BTreeMap<&'static str, Arc<dyn Estimator>>);

impl Estimators {
    /// Adds one under its own name.
    pub fn register(&mut self, estimator: Arc<dyn Estimator>) {
        self.0.insert(estimator.name(), estimator);
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Estimator>> {
        self.0.values()
    }

    /// The estimator of that name.
    ///
    /// # Errors
    /// An unknown name, with the valid one that it may mean.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Estimator>> {
        self.0.get(name).ok_or_else(|| {
            Error::config(format!("finding the estimator `{name}`"), "there is none of that name").hint(did_you_mean(
                name,
                "use one of",
                self.0.keys().copied(),
            ))
        })
    }
}
