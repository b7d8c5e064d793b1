//! Where a table goes on: what the next load of it builds on.
//!
//! Versions of a Delta table only grow, releases also go back. After a rollback the newest version of a table is one that
//! was undone, and whoever appended to it would bring back what was undone. So each version says on which timeline it
//! was written, which is the release of the last rollback of its table ([`crate::release::Release::timeline`]): a version
//! of an earlier timeline counts only if it is published.

use cordada_core::{Error, Result, TableName};

use super::snapshot::TableSnapshot;
use crate::lake::Lake;

/// The table property that keeps the timeline of a version.
pub(crate) const TIMELINE: &str = "cordada.timeline";

/// What the next load of a table builds on, as of some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The version whose rows count and whose state is the stream's; `None` if nothing counts.
    pub version: Option<u64>,
    /// The newest version of the table, whether it counts or not.
    pub(crate) newest: Option<u64>,
    /// The timeline of the table.
    pub timeline: u64,
}

impl Tip {
    /// The tip once `version` was written on it.
    #[must_use]
    pub fn then(self, version: u64) -> Self {
        Self {
            version: Some(version),
            newest: Some(version),
            ..self
        }
    }

    /// Whether versions of the table were undone that no load has built over yet.
    pub fn undoes(self) -> bool {
        self.version != self.newest
    }
}

impl Lake {
    /// Where the table goes on now: at its newest version, published or not, unless that was undone by a rollback; then
    /// at the published one.
    ///
    /// # Errors
    /// The table or the releases cannot be read.
    pub async fn tip(&self, table: &TableName) -> Result<Tip> {
        let path = self.path_of(table);
        let release = self.releases().newest().await?;
        let published = release.published_version(table, &path);
        let timeline = release.timeline(table);
        let newest = self.latest_version_at(&path).await?;
        let counts = match newest {
            Some(newest) if published != Some(newest) => {
                timeline_of(self.snapshot(&path, newest).await?.as_ref())? >= timeline
            }
            _ => true,
        };
        Ok(Tip {
            version: if counts { newest } else { published },
            newest,
            timeline,
        })
    }

    /// The text that the write of `version` left in the table; see [`Lake::state`].
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn state_of(&self, table: &TableName, tip: Tip) -> Result<Option<String>> {
        match tip.version {
            Some(version) => self.state_at(&self.path_of(table), version).await,
            None => Ok(None),
        }
    }
}

fn timeline_of(snapshot: &TableSnapshot) -> Result<u64> {
    let text = snapshot.property(TIMELINE).unwrap_or("0");
    text.parse().map_err(|error| {
        let doing = format!(
            "reading version {} of the table at {}",
            snapshot.version(),
            snapshot.path()
        );
        Error::failed(doing, error).with("property", TIMELINE)
    })
}
