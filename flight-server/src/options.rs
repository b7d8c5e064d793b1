//! The options of a session, which a client sets by action or sends as headers.

use arrow::ipc::CompressionType;
use cordada_lake::query::session::{CATALOG, DEFAULT_SCHEMA};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::client::Client;
use crate::session_messages::{OptionError, OptionValue};
use crate::wire::Types;

/// How a session reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// The schema of relations that are named without one.
    pub(crate) schema: String,
    /// The release it is pinned to; the newest one at each statement if `None`.
    pub(crate) release: Option<u64>,
    /// How record batches are compressed on the wire.
    pub(crate) compression: Compression,
    /// Whether its client takes text and bytes as the engine has them.
    pub(crate) arrow_views: bool,
    /// Whether times go out without their zone; as its client needs it if `None`.
    pub(crate) no_time_zones: Option<bool>,
}

/// How record batches are compressed on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Compression {
    /// Not at all: fastest on a local network.
    #[default]
    None,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// As the Arrow format names it.
    pub(crate) fn codec(self) -> Option<CompressionType> {
        match self {
            Self::None => None,
            Self::Lz4 => Some(CompressionType::LZ4_FRAME),
            Self::Zstd => Some(CompressionType::ZSTD),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        let schema = DEFAULT_SCHEMA.to_owned();
        Self {
            schema,
            release: None,
            compression: Compression::None,
            arrow_views: false,
            no_time_zones: None,
        }
    }
}

impl Options {
    /// The options that may be sent as headers. `catalog` is not among them: clients send it for other servers too.
    const HEADERS: [&'static str; 5] = ["schema", "release", "compression", "arrow_views", "no_time_zones"];

    /// The types that a client takes.
    pub(crate) fn types(&self, client: Client) -> Types {
        Types {
            views: self.arrow_views,
            no_time_zones: self.no_time_zones.unwrap_or(!client.reads_zones()),
        }
    }

    /// Sets one; no value, or an empty one, takes it back to its default.
    pub(crate) fn set(&mut self, name: &str, value: Option<&OptionValue>) -> Result<(), OptionError> {
        let default = Self::default();
        let text = match value {
            None => String::new(),
            Some(OptionValue::Text(text)) => text.trim().to_owned(),
            Some(OptionValue::Bool(value)) => value.to_string(),
            Some(OptionValue::Int(value)) => value.to_string(),
            Some(OptionValue::Double(_) | OptionValue::List(_)) => return Err(OptionError::InvalidValue),
        };
        let invalid = OptionError::InvalidValue;
        match (name, text.as_str()) {
            ("catalog", "" | CATALOG) => {}
            ("schema", "") => self.schema = default.schema,
            ("schema", schema) => self.schema = schema.to_owned(),
            ("release", "" | "newest") => self.release = None,
            ("release", number) => self.release = Some(number.parse().map_err(|_| invalid)?),
            ("compression", "" | "none") => self.compression = Compression::None,
            ("compression", "lz4") => self.compression = Compression::Lz4,
            ("compression", "zstd") => self.compression = Compression::Zstd,
            ("arrow_views", "") => self.arrow_views = default.arrow_views,
            ("arrow_views", value) => self.arrow_views = value.parse().map_err(|_| invalid)?,
            ("no_time_zones", "") => self.no_time_zones = default.no_time_zones,
            ("no_time_zones", value) => self.no_time_zones = Some(value.parse().map_err(|_| invalid)?),
            ("catalog", _) | ("compression", _) => return Err(invalid),
            _ => return Err(OptionError::InvalidName),
        }
        Ok(())
    }

    /// All of them with their values.
    pub(crate) fn list(&self) -> Vec<(&'static str, Option<OptionValue>)> {
        let text = |text: &str| Some(OptionValue::Text(text.to_owned()));
        vec![
            ("catalog", text(CATALOG)),
            ("schema", text(&self.schema)),
            (
                "release",
                self.release
                    .and_then(|number| i64::try_from(number).ok())
                    .map(OptionValue::Int),
            ),
            ("compression", text(self.compression.name())),
            ("arrow_views", Some(OptionValue::Bool(self.arrow_views))),
            ("no_time_zones", self.no_time_zones.map(OptionValue::Bool)),
        ]
    }

    /// With those that a request's headers set: JDBC sends the unknown parameters of its URL this way.
    pub(crate) fn with_headers(mut self, headers: &MetadataMap) -> Result<Self, Status> {
        for name in Self::HEADERS {
            let Some(value) = headers.get(name) else { continue };
            let value = value.to_str().ok().map(|text| OptionValue::Text(text.to_owned()));
            self.set(name, value.as_ref()).map_err(|_| {
                Status::invalid_argument(format!(
                    "the header `{name}` has a value that it does not take; {}",
                    Self::explain(name)
                ))
            })?;
        }
        Ok(self)
    }

    fn explain(name: &str) -> &'static str {
        match name {
            "release" => "it takes the number of a release, or `newest`",
            "compression" => "it takes none, lz4 or zstd",
            "arrow_views" | "no_time_zones" => "it takes true or false",
            _ => "it takes a name",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(text: &str) -> OptionValue {
        OptionValue::Text(text.to_owned())
    }

    #[test]
    fn options_take_text_and_numbers_and_go_back_to_their_defaults() {
        let mut options = Options::default();
        for (name, value) in [
            ("catalog", text("lake")),
            ("schema", text("warehouse")),
            ("release", OptionValue::Int(7)),
            ("compression", text("zstd")),
            ("arrow_views", OptionValue::Bool(true)),
            ("no_time_zones", OptionValue::Bool(true)),
        ] {
            options.set(name, Some(&value)).unwrap();
            assert!(options.list().contains(&(name, Some(value))), "{name}");
        }
        for (name, _) in Options::default().list() {
            options.set(name, None).unwrap();
        }
        assert_eq!(options, Options::default());
    }

    #[test]
    fn times_go_out_as_the_client_reads_them_unless_it_says_how() {
        let mut options = Options::default();
        assert!(options.types(Client::OldJdbc).no_time_zones && !options.types(Client::Other).no_time_zones);
        for asked in [true, false] {
            options.set("no_time_zones", Some(&OptionValue::Bool(asked))).unwrap();
            assert_eq!(options.types(Client::OldJdbc).no_time_zones, asked);
            assert_eq!(options.types(Client::Other).no_time_zones, asked);
        }
    }

    #[test]
    fn what_is_wrong_is_refused_and_changes_nothing() {
        let mut options = Options::default();
        for (name, value, error) in [
            ("catalog", text("other"), OptionError::InvalidValue),
            ("release", text("twelve"), OptionError::InvalidValue),
            ("release", OptionValue::Int(-1), OptionError::InvalidValue),
            ("release", OptionValue::Double(1.0), OptionError::InvalidValue),
            ("compression", text("gzip"), OptionError::InvalidValue),
            ("arrow_views", text("perhaps"), OptionError::InvalidValue),
            ("colour", text("red"), OptionError::InvalidName),
        ] {
            assert_eq!(options.set(name, Some(&value)), Err(error), "{name}");
        }
        assert_eq!(options, Options::default());
    }

    #[test]
    fn headers_set_options_too() {
        let mut headers = MetadataMap::new();
        headers.insert("release", "3".parse().unwrap());
        assert_eq!(Options::default().with_headers(&headers).unwrap().release, Some(3));
        headers.insert("release", "three".parse().unwrap());
        let status = Options::default().with_headers(&headers).unwrap_err();
        assert!(status.message().contains("number of a release"), "{status}");
    }
}
