//! A source of events in `sources/*.yml`: where the collector listens, what it accepts and what it keeps of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use arrow::datatypes::DataType;
use cordada_core::names::snake_case;
use cordada_core::units::{Size, Span};
use cordada_core::{Error, Result};
use cordada_ingest_source::options::Options;
use cordada_ingest_source::{stream, unknown_stream};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::columns::{Kind as ColumnKind, Protocol};
use super::privacy::{Consent, DoNotTrack, Ip};
use super::proxies::Proxies;
use super::routes::routes;
use cordada_wal::Logs;

stream! {
    /// One stream: the hits of one protocol.
    pub(crate) struct EventsStream {
        /// How its hits are written; the protocol that has the stream's name by default.
        #[serde(default)]
        pub(crate) protocol: Option<Protocol>,
        /// Paths that take its hits, instead of those that the protocol's trackers use by themselves.
        #[serde(default)]
        pub(crate) paths: Vec<String>,
        /// Write keys of which a Segment client must have one; anybody may write when there are none.
        #[serde(default)]
        pub(crate) write_keys: Vec<Secret>,
        /// The `token_auth` that lets a Matomo client speak for other addresses and times.
        #[serde(default)]
        pub(crate) token_auth: Option<Secret>,
        /// Columns taken out of the free-form parts: `{plan: traits.plan}`. Of the type that `columns:` declares, or
        /// text.
        #[serde(default)]
        pub(crate) extract: BTreeMap<String, String>,
    }
}

/// A source of events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// Where the collector listens.
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    /// Which proxies on the way say in `X-Forwarded-For` who sent a hit.
    #[serde(default)]
    pub(crate) behind_proxy: Proxies,
    /// How often hits land in the lake.
    #[serde(default = "default_flush")]
    pub(crate) flush: Span,
    /// What is kept of addresses.
    #[serde(default)]
    pub(crate) ip: Ip,
    /// What becomes of hits of visitors who do not want to be tracked.
    #[serde(default)]
    pub(crate) do_not_track: DoNotTrack,
    /// Whether hits need consent; they do not by default.
    #[serde(default)]
    pub(crate) consent: Option<Consent>,
    /// Pages that may send hits, as `https://shop.example`; any if there are none. Browsers let only those that are
    /// named here send cookies along from other sites.
    #[serde(default)]
    pub(crate) origins: Vec<String>,
    /// An identifier of visitors that the collector sets itself; none by default.
    #[serde(default)]
    pub(crate) cookie: Option<Cookie>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default = "default_streams", deserialize_with = "streams")]
    pub(crate) streams: BTreeMap<String, EventsStream>,
    /// The logs of events that are open.
    #[serde(skip)]
    pub(crate) logs: Logs,
}

/// A cookie that tells visitors apart.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cookie {
    /// Its name.
    pub(crate) name: String,
    /// The domain that it is sent to; only the collector's own host if `None`.
    #[serde(default)]
    pub(crate) domain: Option<String>,
    /// Days after which a visitor is somebody else.
    #[serde(default = "default_days")]
    pub(crate) days: u32,
}

/// What the collector takes at most.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Bytes of one request.
    pub(crate) request: Size,
    /// Bytes of the requests that wait to be written.
    pub(crate) queue: Size,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Of these, how many one address may have, or behind a proxy how many requests at a time: a quarter if `None`.
    pub(crate) connections_per_address: Option<usize>,
    /// How long a request may take to arrive.
    pub(crate) timeout: Span,
    /// Bytes that wait to land.
    pub(crate) backlog: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: Size::mebibytes(1),
            queue: Size::mebibytes(64),
            connections: 1024,
            connections_per_address: None,
            timeout: Span::seconds(10),
            backlog: Size::mebibytes(10 << 10),
        }
    }
}

impl Limits {
    /// How many connections one sender may have.
    pub(crate) fn of_one_sender(&self) -> usize {
        self.connections_per_address.unwrap_or(self.connections / 4).max(1)
    }
}

/// A secret that a client has to know. Only its hash is kept, and nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// Whether the text is the secret. Hashes are compared: how long that takes tells nothing about the secret.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0[..] == Sha256::digest(text)[..]
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Secret(Sha256::digest(text).into()))
    }
}

impl EventsStream {
    fn of(protocol: Protocol) -> Self {
        Self {
            protocol: Some(protocol),
            paths: Vec::new(),
            write_keys: Vec::new(),
            token_auth: None,
            extract: BTreeMap::new(),
            key: Vec::new(),
            disposition: None,
            columns: BTreeMap::new(),
            contract: cordada_ingest_source::contract::Contract::default(),
            deleted: None,
            unnest: BTreeMap::new(),
            trust_clock: false,
            timezone: None,
        }
    }

    /// How its hits are written.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol.unwrap_or(Protocol::Snowplow)
    }

    /// What it says about its rows, with what its protocol says about its columns.
    pub(crate) fn all_options(&self) -> Options {
        let mut options = self.options();
        for column in self.protocol().columns() {
            let declared = options.columns.entry(column.name.to_owned()).or_default();
            declared.data_type.get_or_insert_with(|| column.kind.data_type());
            if declared.pii.is_none() {
                declared.pii = column.pii.map(str::to_owned);
            }
        }
        for (name, path) in &self.extract {
            let declared = options.columns.entry(name.clone()).or_default();
            declared.data_type.get_or_insert(DataType::Utf8);
            // It is as personal as what it is taken from.
            let from = path.split('.').next().and_then(|from| self.protocol().column(from));
            declared.pii = declared
                .pii
                .take()
                .or(from.and_then(|from| from.pii).map(str::to_owned));
        }
        options
    }

    /// Why it makes no sense, and what to do.
    fn validate(&self) -> Result<(), (String, &'static str)> {
        let wrong = |why: String, hint| Err((why, hint));
        let (protocol, has_keys) = (self.protocol(), !self.write_keys.is_empty());
        if has_keys && protocol != Protocol::Segment {
            return wrong(
                "only Segment has `write_keys`".into(),
                "leave it out, or set `protocol: segment`",
            );
        }
        if self.token_auth.is_some() && protocol != Protocol::Matomo {
            return wrong(
                "only Matomo has a `token_auth`".into(),
                "leave it out, or set `protocol: matomo`",
            );
        }
        let is_path = |path: &&String| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
            !(path.starts_with('/') && path.chars().all(legal))
        };
        if let Some(path) = self.paths.iter().find(is_path) {
            return wrong(format!("`{path}` is not a path"), "write it as /collect");
        }
        let taken = |name: &&String| protocol.column(name).is_some();
        if let Some(name) = self.extract.keys().find(taken) {
            return wrong(
                format!("there is a column `{name}` already"),
                "give the extracted one another name",
            );
        }
        let unknown = |name: &&String| {
            let column = snake_case(name.split('.').next().unwrap_or(name));
            protocol.column(&column).is_none() && !self.extract.contains_key(&column)
        };
        if let Some(name) = self.columns.keys().find(unknown) {
            let why = format!("there is no column `{name}`");
            return wrong(why, "there are those of the protocol, and those that `extract:` names");
        }
        let from = |path: &&String| {
            let column = path.split('.').next().and_then(|first| protocol.column(first));
            !column.is_some_and(|column| column.kind == ColumnKind::Json) || !path.contains('.')
        };
        if let Some(path) = self.extract.values().find(from) {
            let free: Vec<_> = protocol
                .columns()
                .filter(|column| column.kind == ColumnKind::Json)
                .collect();
            let names: Vec<_> = free.iter().map(|column| column.name).collect();
            let why = format!(
                "`{path}` leads into no free-form column; there are {}",
                names.join(", ")
            );
            return wrong(why, "write it as properties.plan");
        }
        Ok(())
    }
}

impl EventsSource {
    /// One of its streams.
    ///
    /// # Errors
    /// Config: it has none of that name.
    pub(crate) fn stream(&self, name: &str) -> Result<&EventsStream> {
        let missing = || unknown_stream(name, self.streams.keys().map(String::as_str));
        self.streams.get(name).ok_or_else(missing)
    }

    /// Fills in what follows from names, and says why it makes no sense and what to do.
    ///
    /// # Errors
    /// Config.
    pub(crate) fn validate(&mut self, file: &Path) -> Result<()> {
        let error =
            |doing: String, why: String, hint: &str| Error::config(doing, why).hint(hint).at(file.display(), 0, 0);
        for (name, stream) in &mut self.streams {
            let named = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
            stream.protocol = stream.protocol.or(named);
            let doing = || format!("reading stream {name}");
            if stream.protocol.is_none() {
                let why = "its protocol is not known".to_owned();
                return Err(error(doing(), why, "set `protocol:` to snowplow, matomo or segment"));
            }
            stream.validate().map_err(|(why, hint)| error(doing(), why, hint))?;
        }
        let doing = || "reading the limits".to_owned();
        if self.limits.queue < self.limits.request || u32::try_from(self.limits.queue.0).is_err() {
            let why = "`queue` has to hold one `request`, and be less than 4GiB".to_owned();
            return Err(error(doing(), why, "64MiB is the default"));
        }
        let limits = &self.limits;
        let nothing = limits.connections == 0
            || limits.connections_per_address == Some(0)
            || limits.request.0 == 0
            || limits.backlog.0 == 0;
        if nothing || limits.timeout.0.is_zero() || self.flush.0.is_zero() {
            let why =
                "`connections`, `connections_per_address`, `request`, `backlog`, `timeout` and `flush` cannot be 0";
            let why = why.to_owned();
            return Err(error(doing(), why, "leave them out for the defaults"));
        }
        let legal = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if let Some(cookie) = &self.cookie
            && (cookie.name.is_empty() || !legal(&cookie.name) || !cookie.domain.as_deref().is_none_or(legal))
        {
            let why = "its name or its domain has characters that cookies cannot have".to_owned();
            return Err(error(
                "reading the cookie".into(),
                why,
                "use letters, digits, `-`, `_` and `.`",
            ));
        }
        let seen: Vec<_> = routes(self).map(|(path, _)| path).collect();
        let mut known = BTreeSet::new();
        if let Some(path) = seen.iter().find(|path| !known.insert(path.as_str())) {
            let why = format!("two streams take hits at {path}");
            return Err(error(
                "reading the streams".into(),
                why,
                "give one of them `paths:` of its own",
            ));
        }
        Ok(())
    }
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8080).into()
}

fn default_flush() -> Span {
    Span::seconds(5)
}

fn default_days() -> u32 {
    365
}

fn default_streams() -> BTreeMap<String, EventsStream> {
    let streams = Protocol::ALL.into_iter();
    streams
        .map(|protocol| (protocol.name().to_owned(), EventsStream::of(protocol)))
        .collect()
}

/// A list of protocols, or streams by name.
fn streams<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, EventsStream>, D::Error> {
    struct Streams;

    impl<'de> Visitor<'de> for Streams {
        type Value = BTreeMap<String, EventsStream>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of protocols, or streams by name")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
            let mut streams = BTreeMap::new();
            while let Some(protocol) = names.next_element::<Protocol>()? {
                streams.insert(protocol.name().to_owned(), EventsStream::of(protocol));
            }
            Ok(streams)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut streams = BTreeMap::new();
            while let Some((name, stream)) = entries.next_entry()? {
                streams.insert(name, stream);
            }
            Ok(streams)
        }
    }

    deserializer.deserialize_any(Streams)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<EventsSource> {
        let file = Path::new("web.yml");
        let mut source: EventsSource = cordada_core::yaml::parse(file, text)?;
        source.validate(file)?;
        Ok(source)
    }

    #[test]
    fn everything_but_the_kind_has_a_default() {
        let source = load("kind: events\n").unwrap();
        assert_eq!(source.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(
            source.streams.keys().collect::<Vec<_>>(),
            ["matomo", "segment", "snowplow"]
        );
        assert_eq!(source.flush, Span::seconds(5));
        let options = cordada_ingest_source::Source::streams(&source)
            .remove("snowplow")
            .unwrap();
        assert_eq!(options.declared("tr_total"), Some(&DataType::Decimal128(18, 4)));
        assert_eq!(options.pii("user_ipaddress").as_deref(), Some("ip"));
        assert_eq!(options.pii("page_url").as_deref(), Some("url"));
        assert_eq!(source.limits.of_one_sender(), 256);
    }

    #[test]
    fn streams_are_a_list_or_named() {
        let source = load("kind: events\nstreams: [matomo]\n").unwrap();
        assert_eq!(source.streams.keys().collect::<Vec<_>>(), ["matomo"]);
        let text = "kind: events\nflush: 500ms\nlimits: {request: 64KB}\nstreams:\n  pages: {protocol: snowplow, paths: \
                    [/collect], columns: {user_id: {transform: drop}}}\n  \
                    segment: {extract: {plan: traits.plan}, columns: {plan: {type: integer}}}\n";
        let source = load(text).unwrap();
        assert_eq!(source.streams["pages"].protocol(), Protocol::Snowplow);
        assert_eq!(source.limits.request, Size(64_000));
        let segment = cordada_ingest_source::Source::streams(&source)
            .remove("segment")
            .unwrap();
        assert_eq!(segment.declared("plan"), Some(&DataType::Int64));
        assert_eq!(segment.pii("plan").as_deref(), Some("traits"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, expected) in [
            ("flushh: 5s", "unknown key `flushh`; did you mean `flush`"),
            ("ip: whole", "whole"),
            ("flush: 5", "not a duration"),
            ("flush: 0s", "cannot be 0"),
            ("limits: {connections_per_address: 0}", "cannot be 0"),
            ("limits: {request: many}", "not a size"),
            ("limits: {request: 2MB, queue: 1MB}", "has to hold one"),
            ("streams: [plausible]", "plausible"),
            ("streams: {pages: {}}", "protocol is not known"),
            (
                "streams: {pages: {protocol: matomo}, matomo: {}}",
                "two streams take hits at /",
            ),
            ("streams: {matomo: {paths: [collect]}}", "is not a path"),
            ("streams: {matomo: {write_keys: [a]}}", "only Segment"),
            ("streams: {snowplow: {token_auth: a}}", "only Matomo"),
            (
                "streams: {segment: {extract: {plan: plan}}}",
                "leads into no free-form column",
            ),
            (
                "streams: {segment: {extract: {type: traits.type}}}",
                "there is a column `type`",
            ),
            ("streams: {segment: {dispositon: append}}", "did you mean `disposition`"),
            (
                "streams: {matomo: {columns: {visitor: {pii: id}}}}",
                "there is no column `visitor`",
            ),
            ("cookie: {name: 'a;b'}", "characters that cookies cannot have"),
        ] {
            let Err(error) = load(&format!("kind: events\n{text}\n")) else {
                unreachable!("{text}")
            };
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let source = load("kind: events\nstreams: {segment: {write_keys: [hunter2]}}\n").unwrap();
        let key = &source.streams["segment"].write_keys[0];
        assert!(key.is("hunter2") && !key.is("hunter"));
        assert_eq!(format!("{:?}", source.streams["segment"].write_keys), "[Secret]");
    }
}
