//! Where a stream with a cursor is: what it remembers between loads.

use cordada_core::{Error, Result};
use cordada_ingest_source::extract::State;
use serde::{Deserialize, Serialize};

use crate::config::DatabaseStream;

/// The cursor of the last row that landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// What it is the cursor of: see [`definition`].
    pub(crate) of: String,
    /// Its columns' values as text; none if no row had one.
    pub(crate) cursor: Vec<String>,
    /// What the rows with exactly that cursor were, where others may join them: see [`crate::keys::digest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ties: Option<String>,
}

/// What a position belongs to: when it changes, the position means nothing any more.
pub(crate) fn definition(stream: &DatabaseStream) -> String {
    let relation = stream.table.as_deref().or(stream.query.as_deref()).unwrap_or_default();
    format!("{} by {}", relation.trim(), stream.cursor.join(", "))
}

impl Position {
    /// Reads what the last load left; `None` if there was none, or it was of another table or cursor and the rows may
    /// land again.
    ///
    /// # Errors
    /// Config: it was of another table or cursor, and rows that land again would be doubled.
    pub(crate) fn of_state(state: Option<State>, stream: &DatabaseStream) -> Result<Option<Self>> {
        let Some(state) = state else {
            return Ok(None);
        };
        let of = definition(stream);
        let doing = || format!("continuing {}", stream.label());
        let position: Option<Position> = serde_json::from_value(state).ok();
        match position {
            Some(position) if position.of == of => Ok(Some(position)),
            _ if !stream.is_repeatable() => Err(Error::config(
                doing(),
                "the table, query or cursor is another than at the last load, so that nothing tells what is new",
            )
            .hint("undo the change, give the stream another name, or load once with `disposition: replace`")),
            _ => {
                tracing::warn!(
                    stream = stream.label(),
                    "the table, query or cursor is another than at the last load: everything is read again"
                );
                Ok(None)
            }
        }
    }
}
