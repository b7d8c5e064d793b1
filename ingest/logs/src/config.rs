//! Sources of access logs in `sources/*.yml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono_tz::Tz;
use cordada_core::yaml::one_or_many;
use cordada_core::{Error, Result};
use cordada_ingest_formats::reading::encoding;
use cordada_ingest_source::options::Zone;
use cordada_ingest_source::{stream, unknown_stream};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Deserializer};

use super::address::Addresses;
use super::custom::Custom;
use super::format::Format;
use super::query::Queries;
use super::record::Policy;

stream! {
    /// One stream: the logs that make one table.
    pub(crate) struct LogStream {
        /// Paths or URLs, with wildcards; those of rotated logs as well, so that what is written last is not lost.
        #[serde(deserialize_with = "one_or_many")]
        pub(crate) path: Vec<String>,
        /// Whether they may be outside of the project's folder.
        #[serde(default)]
        pub(crate) allow_outside: bool,
        #[serde(default)]
        pub(crate) format: FormatOption,
        #[serde(default = "utf8", deserialize_with = "encoding")]
        pub(crate) encoding: &'static Encoding,
        /// What becomes of the addresses of visitors.
        #[serde(default)]
        pub(crate) ip: Addresses,
        /// What becomes of query strings.
        #[serde(default)]
        pub(crate) query: Queries,
    }
}

fn utf8() -> &'static Encoding {
    UTF_8
}

impl LogStream {
    /// How its files are read.
    pub(crate) fn log_options(&self) -> LogOptions {
        LogOptions {
            format: self.format.clone(),
            encoding: self.encoding,
        }
    }

    /// What of them may land.
    pub(crate) fn policy(&self, zone: Tz) -> Policy {
        Policy {
            addresses: self.ip,
            queries: self.query.clone(),
            zone,
        }
    }

    fn validate(&self) -> Result<(), (String, &'static str)> {
        if self.path.is_empty() {
            return Err(("`path` is empty".to_owned(), "name the logs to land"));
        }
        if [UTF_16LE, UTF_16BE].contains(&self.encoding) {
            return Err((
                "logs in UTF-16 cannot be read while they grow".to_owned(),
                "have the server write UTF-8",
            ));
        }
        self.options().validate()
    }
}

/// A source of access logs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogsSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// The zone of times that carry none.
    #[serde(default)]
    pub(crate) timezone: Zone,
    /// Options of the object store, for paths that are URLs.
    #[serde(default)]
    pub(crate) storage: BTreeMap<String, String>,
    /// Whether files of all its streams may be outside of the project's folder.
    #[serde(default)]
    pub(crate) allow_outside: bool,
    pub(crate) streams: BTreeMap<String, LogStream>,
}

impl LogsSource {
    /// Why it makes no sense, and what to do.
    pub(crate) fn validate(&self, file: &Path) -> Result<()> {
        for (name, stream) in &self.streams {
            let place = |(why, hint): (String, &'static str)| {
                let error = Error::config(format!("reading stream {name}"), why);
                error.hint(hint).at(file.display(), 0, 0)
            };
            stream.validate().map_err(place)?;
        }
        Ok(())
    }

    /// One of its streams.
    ///
    /// # Errors
    /// Config: it has none of that name.
    pub(crate) fn stream(&self, name: &str) -> Result<&LogStream> {
        let missing = || unknown_stream(name, self.streams.keys().map(String::as_str));
        self.streams.get(name).ok_or_else(missing)
    }
}

/// The format that a stream says its files are in.
#[derive(Debug, Clone, Default)]
pub(crate) enum FormatOption {
    /// Told by the first lines of each file.
    #[default]
    Auto,
    Known(Format),
    Custom(Arc<Custom>),
}

impl<'de> Deserialize<'de> for FormatOption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = FormatOption;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a format, or {regex: …, time: …}")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<FormatOption, E> {
                match name {
                    "auto" => Ok(FormatOption::Auto),
                    "custom" => Err(E::custom("describe the format as {regex: …, time: …}")),
                    name => Format::deserialize(serde::de::value::StrDeserializer::new(name)).map(FormatOption::Known),
                }
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, map: M) -> Result<FormatOption, M::Error> {
                let custom = Custom::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(FormatOption::Custom(Arc::new(custom)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// How logs are read.
#[derive(Debug, Clone)]
pub(crate) struct LogOptions {
    pub(crate) format: FormatOption,
    pub(crate) encoding: &'static Encoding,
}
