//! What a table keeps with the rows of a stream.

use cordada_core::{Context, Result, TableName};
use cordada_ingest_source::extract::State;
use cordada_lake::{Lake, Tip};
use serde::{Deserialize, Serialize};

/// What is kept with the rows of a chunk: what the source remembers, and whether more chunks were to follow that
/// belong to one replacement of the table.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct KeptState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<State>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) incomplete: bool,
}

impl KeptState {
    /// What is kept where a table goes on.
    ///
    /// # Errors
    /// Failed for a text that is none of ours.
    pub(crate) async fn of(lake: &Lake, table: &TableName, tip: Tip) -> Result<KeptState> {
        let Some(text) = lake.state_of(table, tip).await? else {
            return Ok(KeptState::default());
        };
        serde_json::from_str(&text).doing(|| format!("reading the state of {table}"))
    }
}
