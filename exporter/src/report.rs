//! What a run of a campaign did.

use std::path::PathBuf;

use crate::channels::{Description, Failures, Receipt};

/// What a run of a campaign did or, as a dry run, would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// Rows that the channel took; after a dry run, those that it would have been given.
    pub rows: u64,
    /// Rows that the channel did not take; none after a dry run.
    pub failures: Failures,
    /// Rows of the audience that were not sent for want of consent; nothing for a campaign that is not over persons.
    pub withheld_without_consent: Option<u64>,
    /// The fields, in order.
    pub columns: Vec<String>,
    /// The channel.
    pub channel: Description,
    /// The release that was read, if the server tells.
    pub release: Option<u64>,
    /// What was published; nothing by a dry run.
    pub published: Option<PublishedDelivery>,
}

/// A delivery that is in sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedDelivery {
    /// What the channel says of it.
    pub receipt: Receipt,
    /// The file that holds the receipt, the numbers of rows and where they came from.
    pub manifest: PathBuf,
}
