//! A source of messages in `sources/*.yml`: which broker, which topics, and what their payloads are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use chrono_tz::Tz;
use cordada_core::names::snake_case;
use cordada_core::units::Span;
use cordada_core::yaml::one_or_many;
use cordada_core::{Error, Result};
use cordada_ingest_formats::values::evidence::timestamp;
use cordada_ingest_source::options::{Disposition, Options, Zone};
use cordada_ingest_source::{stream, unknown_stream};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::packet::Qos;
use crate::records::{RECEIVED_AT, RETAINED, TOPIC};
use crate::session::Sessions;
use crate::topics::TopicFilter;

stream! {
    /// One stream: the messages that make one table.
    pub(crate) struct MqttStream {
        /// Topic filters, in which levels may have names: `plants/{plant}/+`.
        #[serde(deserialize_with = "one_or_many")]
        pub(crate) topics: Vec<String>,
        /// The most that is asked of each delivery: 0, 1 or 2.
        #[serde(default = "at_least_once", deserialize_with = "qos")]
        pub(crate) qos: Qos,
        /// What payloads are.
        #[serde(default)]
        pub(crate) format: PayloadFormat,
        /// How payloads in CSV are written.
        #[serde(default)]
        pub(crate) csv: CsvPayload,
        /// Whether messages land that the broker had retained before the first load.
        #[serde(default = "yes")]
        pub(crate) retained: bool,
    }
}

/// What payloads are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PayloadFormat {
    /// An object is a record, each object of a list one; any other value is the column `value`.
    #[default]
    Json,
    /// A row a line.
    Csv,
    /// The column `value`.
    Text,
}

/// How payloads in CSV are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CsvPayload {
    pub(crate) delimiter: char,
    /// The columns; the first line of each payload if there are none.
    pub(crate) columns: Vec<String>,
}

impl Default for CsvPayload {
    fn default() -> Self {
        Self {
            delimiter: ',',
            columns: Vec::new(),
        }
    }
}

/// A quality of service, as its number.
fn qos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Qos, D::Error> {
    let known = Qos::of(u8::deserialize(deserializer)?);
    known.ok_or_else(|| serde::de::Error::custom("a quality of service is 0, 1 or 2"))
}

fn at_least_once() -> Qos {
    Qos::AtLeastOnce
}

/// A source of messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MqttSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// `mqtt://user:password@host:1883`, or `mqtts://` over TLS.
    pub(crate) broker: Broker,
    /// What the broker knows the source by, each stream with its name behind it; derived from the lake and the source's
    /// name if `None`.
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) tls: Tls,
    /// How long the broker keeps messages for us while we are away.
    #[serde(default = "a_week")]
    pub(crate) session_expiry: Span,
    /// How long the broker may take to answer.
    #[serde(default = "thirty_seconds")]
    pub(crate) timeout: Span,
    /// How long a load waits for another message before it ends.
    #[serde(default = "a_second")]
    pub(crate) wait: Span,
    /// How often messages land while `cordada up` stays connected, and the longest that one waits for others.
    #[serde(default = "five_seconds")]
    pub(crate) flush: Span,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) retry: Retry,
    /// The zone of times that carry none.
    #[serde(default)]
    pub(crate) timezone: Zone,
    pub(crate) streams: BTreeMap<String, MqttStream>,
    /// Sessions that stay connected between loads.
    #[serde(skip)]
    pub(crate) sessions: Sessions,
}

/// Whom to trust and who we are, over TLS.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Certificates in PEM to trust instead of those that this machine trusts.
    pub(crate) ca: Option<PathBuf>,
    /// Our own certificate in PEM, for brokers that ask for one.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

/// How much is on its way.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Messages that are delivered and not acknowledged (the Receive Maximum); that many land at once.
    pub(crate) in_flight: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 10_000 }
    }
}

/// How often is tried to reach the broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retry {
    /// Attempts in a row before the load fails.
    pub(crate) attempts: u32,
    /// The wait after the first; each further one is twice as long.
    pub(crate) first: Span,
    /// The longest wait.
    pub(crate) max: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Span::seconds(1),
            max: Span::seconds(60),
        }
    }
}

/// What is said of what is no broker. What it is may hold the password, so it is not quoted.
const NO_BROKER: &str =
    "write mqtt://user:${PASSWORD}@host:1883, or mqtts:// for TLS, special characters percent-encoded";

/// Where the broker is. Its password is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Broker {
    /// Host and port, for messages.
    pub(crate) fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            _ => return None,
        };
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(Into::into);
        let host = url.host_str().filter(|host| bare && !host.is_empty())?;
        Some(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(if tls { 8883 } else { 1883 }),
            tls,
            user: decoded(url.username())?,
            password: decoded(url.password().unwrap_or_default())?,
        })
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({})", self.place())
    }
}

impl<'de> Deserialize<'de> for Broker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Self::parse(&text) {
            Some(broker) => Ok(broker),
            // It is read once more when the environment's values are in it.
            None if text.contains("${") => Ok(Self::default()),
            None => Err(serde::de::Error::custom(NO_BROKER)),
        }
    }
}

impl MqttStream {
    /// Its filters.
    ///
    /// # Errors
    /// Config, which validation has found before.
    pub(crate) fn filters(&self) -> Result<Vec<TopicFilter>> {
        let filters = self.topics.iter().map(|topic| TopicFilter::parse(topic));
        let filters: Result<_, _> = filters.collect();
        filters.map_err(|why: String| Error::config("reading `topics`", why))
    }

    /// What it says about its rows, with what is known of the columns that are not in payloads.
    pub(crate) fn all_options(&self) -> Options {
        let mut options = self.options();
        let filters = self.filters().unwrap_or_default();
        let named = filters.iter().flat_map(TopicFilter::names);
        let known = named.map(|name| (name, DataType::Utf8)).chain([
            (TOPIC, DataType::Utf8),
            (RECEIVED_AT, timestamp()),
            (RETAINED, DataType::Boolean),
        ]);
        for (name, data_type) in known {
            let declared = options.columns.entry(name.to_owned()).or_default();
            declared.data_type.get_or_insert(data_type);
        }
        options
    }

    fn validate(&self) -> Result<(), (String, &'static str)> {
        let wrong = |why: String, hint| Err((why, hint));
        if self.topics.is_empty() {
            return wrong("`topics` is empty".to_owned(), "name the topics to land");
        }
        let mut subscriptions = BTreeSet::new();
        for topic in &self.topics {
            let filter = TopicFilter::parse(topic).map_err(|why| (why, "write it as plants/{plant}/#"))?;
            if !subscriptions.insert(filter.subscription()) {
                let why = format!("the broker knows no difference between `{topic}` and another one of `topics`");
                return wrong(why, "leave one of them out");
            }
            let mut names = BTreeSet::from([TOPIC, RECEIVED_AT, RETAINED].map(str::to_owned));
            if let Some(name) = filter.names().find(|name| !names.insert(snake_case(name))) {
                let why = format!("there is a column `{name}` already");
                return wrong(why, "give the level of the topic another name");
            }
        }
        if self.disposition == Some(Disposition::Replace) {
            return wrong(
                "a message comes once, so that the next load would leave nothing of it".to_owned(),
                "set `disposition: merge` and a `key`, for the newest of each key",
            );
        }
        if !self.csv.delimiter.is_ascii() {
            return wrong("a delimiter is one character of ASCII".to_owned(), "write it as \";\"");
        }
        let names = self.csv.columns.iter().map(|name| snake_case(name));
        if names.collect::<BTreeSet<_>>().len() < self.csv.columns.len() {
            return wrong("two of `csv.columns` have one name".to_owned(), "name each differently");
        }
        Ok(())
    }
}

impl MqttSource {
    /// One of its streams.
    ///
    /// # Errors
    /// Config: it has none of that name.
    pub(crate) fn stream(&self, name: &str) -> Result<&MqttStream> {
        let missing = || unknown_stream(name, self.streams.keys().map(String::as_str));
        self.streams.get(name).ok_or_else(missing)
    }

    /// The zone of times that carry none.
    pub(crate) fn zone(&self) -> Tz {
        self.timezone.0
    }

    /// Why it makes no sense, and what to do.
    ///
    /// # Errors
    /// Config.
    pub(crate) fn validate(&self, file: &Path) -> Result<()> {
        let error =
            |doing: String, why: String, hint: &str| Error::config(doing, why).hint(hint).at(file.display(), 0, 0);
        for (name, stream) in &self.streams {
            let wrong = |(why, hint): (String, &'static str)| error(format!("reading stream {name}"), why, hint);
            stream.validate().map_err(wrong)?;
        }
        if self.broker.host.is_empty() {
            return Err(error(
                "reading `broker`".into(),
                "it is no address".to_owned(),
                NO_BROKER,
            ));
        }
        let nothing = self.timeout.0.is_zero() || self.flush.0.is_zero();
        if nothing || self.limits.in_flight == 0 || self.retry.attempts == 0 {
            let why = "`timeout`, `flush`, `limits.in_flight` and `retry.attempts` cannot be 0".to_owned();
            return Err(error(
                "reading the source".into(),
                why,
                "leave them out for the defaults",
            ));
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            let why = "a certificate is of use with its key alone".to_owned();
            return Err(error("reading `tls`".into(), why, "name both `certificate` and `key`"));
        }
        if !self.broker.tls && (self.tls.ca.is_some() || self.tls.key.is_some()) {
            let why = "the broker is not asked over TLS".to_owned();
            return Err(error("reading `tls`".into(), why, "write `broker: mqtts://…`"));
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}

fn a_week() -> Span {
    Span::seconds(7 * 24 * 60 * 60)
}

fn thirty_seconds() -> Span {
    Span::seconds(30)
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

fn a_second() -> Span {
    Span::seconds(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<MqttSource> {
        let file = Path::new("plant.yml");
        let source: MqttSource = cordada_core::yaml::parse(file, &format!("kind: mqtt\n{text}\n"))?;
        source.validate(file)?;
        Ok(source)
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let source = load("broker: mqtt://hub\nstreams: {readings: {topics: 'plants/{plant}/#'}}").unwrap();
        assert_eq!(source.broker.place(), "hub:1883");
        let stream = source.stream("readings").unwrap();
        assert_eq!(stream.qos, Qos::AtLeastOnce);
        let options = stream.all_options();
        assert_eq!(options.declared("plant"), Some(&DataType::Utf8));
        assert_eq!(options.declared("mqtt_received_at"), Some(&timestamp()));
    }

    #[test]
    fn a_broker_may_come_from_the_environment() {
        // It is there where this runs.
        let broker = "mqtt://hub/${CARGO_PKG_NAME}";
        let error = load(&format!("broker: {broker}\nstreams: {{}}"))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("write mqtt://"), "{error}");
        assert!(load("broker: mqtt://${CARGO_PKG_NAME}\nstreams: {}").is_ok());
    }

    #[test]
    fn a_broker_is_a_url_whose_password_is_not_printed() {
        let broker = Broker::parse("mqtts://us%40er:pass%2Fword@[::1]").unwrap();
        assert_eq!((broker.user.as_str(), broker.password.as_str()), ("us@er", "pass/word"));
        assert_eq!(broker.place(), "[::1]:8883");
        assert_eq!(format!("{broker:?}"), "Broker([::1]:8883)");
        for text in ["hub", "http://hub", "mqtt://", "mqtt://hub/topic", "mqtt://hub?x=1"] {
            assert_eq!(Broker::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, expected) in [
            ("broker: hunter2\nstreams: {}", "write mqtt://"),
            ("broker: $${hunter2}\nstreams: {}", "write mqtt://"),
            ("broker: mqtt://hub\nstreams: {r: {topics: []}}", "`topics` is empty"),
            (
                "broker: mqtt://hub\nstreams: {r: {topics: 'a#'}}",
                "is not a topic filter",
            ),
            (
                "broker: mqtt://hub\nstreams: {r: {topics: ['a/+', 'a/{b}']}}",
                "knows no difference",
            ),
            (
                "broker: mqtt://hub\nstreams: {r: {topics: 'a/{mqtt_topic}'}}",
                "already",
            ),
            ("broker: mqtt://hub\nstreams: {r: {topics: 'a/{b}/{b}'}}", "already"),
            ("broker: mqtt://hub\nstreams: {r: {topics: a, qos: 3}}", "0, 1 or 2"),
            (
                "broker: mqtt://hub\nstreams: {r: {topics: a, disposition: replace}}",
                "a message comes once",
            ),
            (
                "broker: mqtt://hub\nwait: 1\nstreams: {r: {topics: a}}",
                "not a duration",
            ),
            (
                "broker: mqtt://hub\nlimits: {in_flight: 0}\nstreams: {r: {topics: a}}",
                "cannot be 0",
            ),
            (
                "broker: mqtt://hub\ntls: {ca: ca.pem}\nstreams: {r: {topics: a}}",
                "not asked over TLS",
            ),
            (
                "broker: mqtts://hub\ntls: {key: key.pem}\nstreams: {r: {topics: a}}",
                "with its key alone",
            ),
        ] {
            let error = load(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
