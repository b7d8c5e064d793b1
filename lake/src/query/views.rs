//! The plans of views that stay as they were tested. Such a view reads what it names for itself, so that its plan is the
//! same in every release that has it: a new release plans only the views that it changed.

use std::sync::Arc;

use cordada_core::{Context, Recent, Result};
use datafusion::datasource::ViewTable;
use sha2::{Digest, Sha256};

use crate::journal;
use crate::lake::Lake;
use crate::query::session::DEFAULT_SCHEMA;
use crate::query::sql;
use crate::release::{RelationKind, Relations, Release};

/// Views that are kept.
const KEPT: usize = 4096;

/// Views by the hash of their query and of what it reads.
#[derive(Debug)]
pub(crate) struct PinnedViews(Recent<[u8; 32], Arc<ViewTable>>);

impl Default for PinnedViews {
    fn default() -> Self {
        Self(Recent::new(KEPT))
    }
}

#[cfg(test)]
impl PinnedViews {
    /// How many are kept.
    pub(crate) fn kept(&self) -> usize {
        self.0.weight()
    }
}

impl Lake {
    /// The view of that kind, which is the query `sql` over the relations `reads`.
    ///
    /// # Errors
    /// Failed: the SQL is wrong. Unavailable: what it reads cannot be read.
    pub(crate) async fn view_over(&self, kind: &RelationKind, sql: &str, reads: &Relations) -> Result<Arc<ViewTable>> {
        let doing = || "looking up a view";
        let key = Sha256::digest(serde_json::to_vec(kind).doing(doing)?).into();
        if let Some(known) = self.views().0.get(&key) {
            return Ok(known);
        }
        let pinned = Release {
            relations: reads.clone(),
            ..Release::default()
        };
        let plan = sql::plan(self, &self.session(&Arc::new(pinned)), sql).await?;
        // A journal is read as it is now; and versions that wait for their commit may yet be others.
        let keep = self.pending().is_none() && !journal::is_read_by(&plan, DEFAULT_SCHEMA).doing(doing)?;
        let view = Arc::new(ViewTable::new(plan, Some(sql.to_owned())));
        if keep {
            self.views().0.insert(key, view.clone(), 1);
        }
        Ok(view)
    }
}
