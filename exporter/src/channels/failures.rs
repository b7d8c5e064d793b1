//! Rows that a channel does not take.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// A row that a channel does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number within the batch, from 0.
    pub row: usize,
    /// Why, in the program's own words: what a platform answers may quote the row, and no two answers be alike.
    pub reason: &'static str,
}

/// Failures, counted by their reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Failures(BTreeMap<&'static str, u64>);

impl Failures {
    /// Counts some more.
    pub(crate) fn add(&mut self, failures: &[Failure]) {
        for failure in failures {
            *self.0.entry(failure.reason).or_default() += 1;
        }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// The reasons, most frequent first: "the address is missing (3), the address is not valid (1)".
impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<_> = self.0.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (at, (reason, count)) in reasons.into_iter().enumerate() {
            write!(f, "{}{reason} ({count})", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
