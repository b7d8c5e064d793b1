//! Which log it is that a position belongs to: positions of another server's, or of the same one's before it was restored,
//! mean nothing.

use cordada_core::Result;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::replication::text;
use crate::sql_error::SqlContext;

/// The server's identifier, and its timeline: after a recovery from a backup, or a failover, it is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIdentity {
    /// `None` where the user may not ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    timeline: String,
}

impl LogIdentity {
    /// That of the server's log now.
    ///
    /// # Errors
    /// Unavailable: the server does not answer.
    pub(super) async fn of(client: &Client) -> Result<Self> {
        let doing = || "asking which log the server writes";
        let system = match text(client, "SELECT system_identifier::text FROM pg_control_system()").await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => None,
            system => system.doing_sql(doing)?,
        };
        // The first digits of a segment's name are the timeline.
        let timeline = text(client, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)").await;
        Ok(Self {
            system,
            timeline: timeline.doing_sql(doing)?.unwrap_or_default(),
        })
    }

    /// Whether positions of the one are positions of the other, as far as is known.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same_system = match (&self.system, &other.system) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        is_same_system && self.timeline == other.timeline
    }
}
