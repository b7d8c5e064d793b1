//! What a stream remembers of its session: which messages of QoS 2 have landed whose delivery is not complete.
//!
//! A message of QoS 2 has an identifier that the broker uses for nothing else until its delivery is complete (MQTT 5,
//! 4.3.3). It is in the state of the commit that lands the message, so that the message is known again if it is
//! delivered once more; PUBREC goes out after that commit. Once the broker has let go of the message (PUBREL), the next
//! commit is without the identifier, and only then PUBCOMP tells that it may be used anew. So there is no moment at which
//! a crash loses or doubles one. A message with such an identifier that was not sent before is of another session: then
//! nothing is known of what was received. For QoS 1 there is no such protocol: what was not acknowledged comes again.

use std::collections::BTreeSet;

use cordada_core::{Error, Result};
use cordada_ingest_source::extract::State;
use serde::{Deserialize, Serialize};

/// Identifiers of packets, in runs from the first to the last: a window of them is mostly one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, u16)>", into = "Vec<(u16, u16)>")]
pub(crate) struct PacketIds(BTreeSet<u16>);

impl PacketIds {
    pub(crate) fn contains(&self, id: u16) -> bool {
        self.0.contains(&id)
    }

    pub(crate) fn insert(&mut self, id: u16) {
        self.0.insert(id);
    }

    pub(crate) fn remove(&mut self, id: u16) {
        self.0.remove(&id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<(u16, u16)>> for PacketIds {
    fn from(runs: Vec<(u16, u16)>) -> Self {
        Self(runs.into_iter().flat_map(|(first, last)| first..=last).collect())
    }
}

impl From<PacketIds> for Vec<(u16, u16)> {
    fn from(ids: PacketIds) -> Self {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for id in ids.0 {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(id) => *last = id,
                _ => runs.push((id, id)),
            }
        }
        runs
    }
}

/// The state of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionState {
    /// Whose session it is: the client's identifier. Another one's identifiers of packets mean nothing.
    pub(crate) client: String,
    /// The filters that the session has, as the broker knows them.
    pub(crate) filters: BTreeSet<String>,
    /// Chunks that have landed: `_origin` counts them.
    pub(crate) chunks: u64,
    /// Messages of QoS 2 that have landed and of which the broker has not been told to forget the identifier.
    #[serde(default, skip_serializing_if = "PacketIds::is_empty")]
    pub(crate) received: PacketIds,
}

impl SessionState {
    /// The state that a load begins with.
    ///
    /// # Errors
    /// Failed: it is none of this kind.
    pub(crate) fn read(state: Option<&State>) -> Result<Self> {
        let Some(state) = state else {
            return Ok(Self::default());
        };
        Self::deserialize(state).map_err(|error| Error::failed("reading the state of the stream", error))
    }

    /// As it is committed.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn write(&self) -> Result<State> {
        serde_json::to_value(self).map_err(|error| Error::failed("writing the state of the stream", error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn identifiers_are_written_in_runs(ids in prop::collection::btree_set(any::<u16>(), 0..50)) {
            let ids = PacketIds(ids);
            let json = serde_json::to_string(&ids).unwrap();
            prop_assert_eq!(serde_json::from_str::<PacketIds>(&json).unwrap(), ids);
        }
    }

    #[test]
    fn a_window_is_short() {
        let ids = PacketIds((1..=80).chain([65_534, 65_535]).collect());
        assert_eq!(serde_json::to_string(&ids).unwrap(), "[[1,80],[65534,65535]]");
    }
}
