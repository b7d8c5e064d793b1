//! `ingest`: the sources of the project.

use std::sync::Arc;

use cordada_core::Result;
use cordada_core::progress::Progress;
use cordada_ingest::{IngestReport, Selection, StreamCheck};
use tokio_util::sync::CancellationToken;

use crate::Project;

impl Project {
    /// Lands the selected sources or streams, all if none is selected.
    ///
    /// # Errors
    /// As [`cordada_ingest::ingest`].
    pub async fn ingest(
        &self,
        select: &[Selection],
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> Result<IngestReport> {
        let (sources, key) = (self.sources()?, self.pii_key()?);
        cordada_ingest::ingest(&self.lake, &self.dir, &sources, select, key.as_ref(), progress, cancel).await
    }

    /// Finds out whether the selected sources or streams can be read, without landing anything.
    ///
    /// # Errors
    /// As [`cordada_ingest::check()`].
    pub async fn check(&self, select: &[Selection], cancel: CancellationToken) -> Result<Vec<StreamCheck>> {
        cordada_ingest::check(&self.dir, &self.sources()?, select, cancel).await
    }
}
