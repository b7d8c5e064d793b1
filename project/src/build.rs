//! `build` and `compile`: the SQL project.

use std::sync::Arc;

use cordada_core::Result;
use cordada_core::progress::Progress;
use cordada_marts::{BuildOptions, BuildReport, CompiledProject};
use tokio_util::sync::CancellationToken;

use crate::{Project, registry};

/// Which nodes of the SQL project, as dbt writes it; all if nothing is selected.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Nodes to take.
    pub select: Vec<String>,
    /// Nodes to leave out.
    pub exclude: Vec<String>,
}

impl Project {
    /// Type-checks the whole SQL project.
    ///
    /// # Errors
    /// Config, with file, line and column, for what does not fit.
    pub async fn compile(&self) -> Result<CompiledProject> {
        cordada_marts::compile(&self.sql()?, &self.lake, &registry::estimators()).await
    }

    /// Compiles, runs what is stale, tests it and publishes all of it as one release.
    ///
    /// # Errors
    /// As [`Project::compile`], and what the lake says. A node or a test that failed is in the report.
    pub async fn build(
        &self,
        selection: Selection,
        full_refresh: bool,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> Result<BuildReport> {
        let compiled = self.compile().await?;
        let options = BuildOptions {
            select: selection.select,
            exclude: selection.exclude,
            full_refresh,
            threads: self.lake.parallelism(),
        };
        cordada_marts::build(
            &compiled,
            &self.lake,
            &registry::estimators(),
            &options,
            progress,
            cancel,
        )
        .await
    }
}
