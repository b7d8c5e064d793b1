//! `kind: rest` in `sources/*.yml`: which connector, its configuration, which of its streams.

use std::collections::BTreeMap;

use cordada_http::decode::Format;
use cordada_http::system::limits::{OwnLimits, OwnRetry};
use cordada_http::template::Template;
use cordada_ingest_source::options::Zone;
use cordada_ingest_source::stream;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use crate::manifest::Distance;

stream! {
    /// What a user says about a stream of a connector, over what its manifest says.
    #[derive(Default)]
    pub(crate) struct RestStream {
        /// What a manifest wants to know of this stream.
        #[serde(default)]
        pub(crate) config: ConfigValues,
        /// How far before the last position a load begins, in place of the manifest's.
        #[serde(default)]
        pub(crate) lag: Option<Distance>,
        /// How answers are written, in place of the manifest's.
        #[serde(default)]
        pub(crate) format: Option<Format>,
    }
}

/// Values that a user gives. They may be secrets.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct ConfigValues(pub(crate) Map<String, Json>);

impl std::fmt::Debug for ConfigValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfigValues")
    }
}

/// The file of a source. Not `Debug`: it holds secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestFile {
    #[serde(rename = "kind")]
    _kind: String,
    /// One that ships.
    #[serde(default)]
    pub(crate) connector: Option<String>,
    /// Or a file of the project.
    #[serde(default)]
    pub(crate) manifest: Option<String>,
    #[serde(default)]
    pub(crate) config: Map<String, Json>,
    /// The zone of times that carry none.
    #[serde(default)]
    pub(crate) timezone: Zone,
    /// What is never exceeded, in place of the manifest's.
    #[serde(default)]
    pub(crate) limits: OwnLimits,
    /// How failed requests are repeated, in place of the manifest's.
    #[serde(default)]
    pub(crate) retry: OwnRetry,
    /// Further hosts that addresses of next pages may be of; credentials go to them too.
    #[serde(default)]
    pub(crate) trusted_hosts: Vec<Template>,
    /// As of a stream, for all that are read by the time of their changes.
    #[serde(default)]
    pub(crate) lag: Option<Distance>,
    /// As of a stream, for all.
    #[serde(default)]
    pub(crate) format: Option<Format>,
    /// All if there are none.
    #[serde(default)]
    pub(crate) streams: Option<RestStreams>,
}

/// `[orders, customers]`, or `{orders: {…}}`.
pub(crate) struct RestStreams(pub(crate) BTreeMap<String, RestStream>);

impl<'de> Deserialize<'de> for RestStreams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RestStreams;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of streams, or a mapping from streams to what is said about them")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<RestStreams, A::Error> {
                let mut streams = BTreeMap::new();
                while let Some(name) = items.next_element::<String>()? {
                    if streams.insert(name.clone(), RestStream::default()).is_some() {
                        return Err(A::Error::custom(format!("the stream `{name}` is named twice")));
                    }
                }
                Ok(RestStreams(streams))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<RestStreams, A::Error> {
                let mut streams = BTreeMap::new();
                while let Some((name, stream)) = entries.next_entry::<String, Option<RestStream>>()? {
                    streams.insert(name, stream.unwrap_or_default());
                }
                Ok(RestStreams(streams))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
