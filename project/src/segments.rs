//! `segment`: who belongs to a segment, counted and listed.

use cordada_core::Result;
use cordada_marts::{Members, SegmentCounts};

use crate::Project;

impl Project {
    /// Counts a segment, condition by condition, by its definition as it is now over the newest release.
    ///
    /// # Errors
    /// As [`Project::compile`]; config for a segment that there is not.
    pub async fn count_segment(&self, name: &str) -> Result<SegmentCounts> {
        self.compile().await?.count_segment(&self.lake, name).await
    }

    /// The members of a segment as they are published; who does not consent any more is left out.
    ///
    /// # Errors
    /// As [`Project::count_segment`].
    pub async fn segment_members(&self, name: &str) -> Result<Members> {
        self.compile().await?.segment_members(&self.lake, name).await
    }
}
