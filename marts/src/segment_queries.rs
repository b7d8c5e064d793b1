//! A compiled segment for whoever wants to count or list it.

use chrono::Utc;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result, TableName};

use crate::compiled::{CompiledNode, CompiledProject};
use crate::jinja::quoted;
use crate::segment_sql::Moment;

/// The queries of a segment, at the moment at which they were asked for.
#[derive(Debug, Clone)]
pub struct SegmentQueries {
    /// The relation of its members.
    pub table: TableName,
    /// Its conditions, in the order in which they are looked at.
    pub steps: Vec<String>,
    /// How many persons fail at which condition (`lacks`, `persons`), by the definition as it is now; `lacks` is null for
    /// those who fail at none.
    pub counts: String,
    /// The members of the release, of whom those who do not consent any more are left out.
    pub members: String,
}

impl CompiledProject {
    /// The queries of the segment of that name.
    ///
    /// # Errors
    /// Config: there is no such segment.
    pub fn segment(&self, name: &str) -> Result<SegmentQueries> {
        let segments = || self.nodes().filter(|node| node.work.segment.is_some());
        let found = segments().find(|node| node.name == name);
        let (node, work) = found
            .and_then(|node| Some((node, node.work.segment.as_ref()?)))
            .ok_or_else(|| {
                let names = segments().map(|node: &CompiledNode| node.name.as_str());
                Error::config(
                    format!("looking for the segment `{name}`"),
                    "there is none of that name",
                )
                .hint(did_you_mean(name, "the segments are", names))
            })?;
        let now = Moment::new(Utc::now().timestamp_micros());
        Ok(SegmentQueries {
            table: node.table.clone(),
            steps: work.steps(),
            counts: work.counts(&now),
            members: work.members_with_consent(&quoted(&node.table), &now),
        })
    }
}
