//! What an extraction asks about the table that its rows land in.

use std::collections::HashMap;

use async_trait::async_trait;
use cordada_core::Result;
use datafusion_execution::SendableRecordBatchStream;

/// Which of the tables of that name it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The identifier of the lake, which no other has.
    pub lake: String,
    /// The target; `None` for production.
    pub target: Option<String>,
}

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

    /// Where the table is: what tells it from those of the same name in other lakes and targets.
    ///
    /// # Errors
    /// What the lake says.
    async fn environment(&self) -> Result<Environment>;
}
