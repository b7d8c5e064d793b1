//! What a table keeps with the rows of a stream.

use std::collections::BTreeMap;

use cordada_core::{Context, Result, TableName};
use cordada_ingest_formats::shape::Shape;
use cordada_ingest_source::extract::State;
use cordada_lake::{Lake, Tip};
use serde::{Deserialize, Serialize};

use crate::naming::RenamedFields;

/// What the values of a table's columns look like, by the columns' names, as far as their types do not say it.
pub(crate) type Shapes = BTreeMap<String, Shape>;

/// What is kept with the rows of a chunk: what the source remembers, whether more chunks were to follow that belong to
/// one replacement of the table, what the source calls the fields of records, and what the values look like that have
/// landed.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct KeptState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<State>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) incomplete: bool,
    /// `None` of a table that was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renamed: Option<RenamedFields>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shapes: Shapes,
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
