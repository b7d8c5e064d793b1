//! What an extraction asks about the table that its rows land in.

use std::collections::HashMap;

use async_trait::async_trait;
use cordada_core::Result;
use datafusion_execution::SendableRecordBatchStream;

/// The table that a stream lands in, as it is now.
#[async_trait]
pub trait Landed: Send + Sync {
    /// The numbers of transactions that went into the table, by their ids, for the ids asked for; see
    /// [`crate::seen::Identity`].
    ///
    /// # Errors
    /// What the lake says.
    async fn transactions(&self, ids: &[String]) -> Result<HashMap<String, i64>>;

    /// Those columns (by their names in the lake) of all rows; `None` if there is no table.
    ///
    /// # Errors
    /// What the lake says.
    async fn keys(&self, columns: &[String]) -> Result<Option<SendableRecordBatchStream>>;
}
