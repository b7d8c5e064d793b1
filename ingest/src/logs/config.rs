//! A stream of access logs in `sources/*.yml`.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::address::Addresses;
use super::custom::Custom;
use super::format::Format;
use super::query::Queries;

/// The format that a stream says its files are in.
#[derive(Debug, Clone, Default)]
pub(crate) enum Written {
    /// Told by the first lines of each file.
    #[default]
    Auto,
    Known(Format),
    Custom(Arc<Custom>),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Written;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a format, or {regex: …, time: …}")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Written, E> {
                match name {
                    "auto" => Ok(Written::Auto),
                    "custom" => Err(E::custom("describe the format as {regex: …, time: …}")),
                    name => Format::deserialize(serde::de::value::StrDeserializer::new(name)).map(Written::Known),
                }
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, map: M) -> Result<Written, M::Error> {
                let custom = Custom::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Written::Custom(Arc::new(custom)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What of a log lands: the part of a stream that its files are read with.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) format: Written,
    pub(crate) encoding: &'static encoding_rs::Encoding,
    pub(crate) addresses: Addresses,
    pub(crate) queries: Queries,
}
