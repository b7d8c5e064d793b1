//! What is kept of a visitor: decided before anything of a hit touches a disk.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::addresses::address;
use super::columns::{Anonymous, Kind, Protocol};
use super::freeform::{harmless, impersonal, keep_addresses, keep_addresses_of, plain_address};
use super::hit::Hit;
use super::record::Record;

/// What is kept of the address that a hit came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ip {
    /// The network: 24 bits of IPv4, 48 of IPv6.
    #[default]
    Truncate,
    /// Nothing.
    Drop,
    /// All of it.
    Full,
}

/// What becomes of hits that say that the visitor does not want to be tracked (`DNT: 1`, `Sec-GPC: 1`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DoNotTrack {
    /// They are acknowledged and forgotten.
    Drop,
    /// They are kept without whatever tells the visitor from another.
    #[default]
    Anonymise,
    /// They are kept as they are.
    Ignore,
}

/// The consent that hits need.
///
/// It is given by Segment's `context.consent.categoryPreferences.<category>`, by Snowplow's `gdpr` context (that there
/// is a basis for processing), and by the parameter `consent=1` of Matomo's hits (`appendToTrackingUrl`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consent {
    /// The category of Segment's consent.
    #[serde(default = "default_category")]
    pub(crate) category: String,
    /// What becomes of hits without it.
    #[serde(default)]
    pub(crate) without: WithoutConsent,
}

/// What becomes of hits without consent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WithoutConsent {
    /// They are acknowledged and forgotten.
    #[default]
    Drop,
    /// They are kept without whatever tells the visitor from another.
    Anonymise,
}

fn default_category() -> String {
    "Analytics".into()
}

/// What a request's headers ask for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PrivacySignals {
    /// `DNT: 1` or `Sec-GPC: 1`.
    pub(crate) no_tracking: bool,
    /// `SP-Anonymous`: Snowplow's request to know neither address nor cookie.
    pub(crate) anonymous: bool,
}

/// A source's rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Privacy {
    pub(crate) ip: Ip,
    pub(crate) do_not_track: DoNotTrack,
    pub(crate) consent: Option<Consent>,
}

/// Schemas of Snowplow's contexts that identify a person or a device.
const IDENTIFYING: &[&str] = &["/client_session/", "/mobile_context/", "/geolocation_context/"];

/// What is kept of a record that nobody could read, where it may hold what must not be kept.
const WITHHELD: &str = "withheld: it may hold what is not to be kept";

impl Privacy {
    /// Whether the collector may recognise the visitor by a cookie.
    pub(crate) fn may_recognise(&self, signals: PrivacySignals) -> bool {
        let is_refused = signals.no_tracking && self.do_not_track != DoNotTrack::Ignore;
        !signals.anonymous && !is_refused
    }

    /// The hit as it may be kept; `None` if it may not be.
    pub(crate) fn apply(&self, hit: Hit, signals: PrivacySignals) -> Option<Hit> {
        let mut anonymise = false;
        if signals.no_tracking {
            match self.do_not_track {
                DoNotTrack::Drop => return None,
                DoNotTrack::Anonymise => anonymise = true,
                DoNotTrack::Ignore => {}
            }
        }
        match hit {
            Hit::Record(mut record) => {
                if let Some(consent) = &self.consent
                    && !is_given(consent, &record)
                {
                    match consent.without {
                        WithoutConsent::Drop => return None,
                        WithoutConsent::Anonymise => anonymise = true,
                    }
                }
                if anonymise {
                    anonymised(&mut record);
                }
                if signals.anonymous {
                    record.remove("user_ipaddress");
                    record.remove("network_userid");
                }
                let ip = if signals.anonymous { Ip::Drop } else { self.ip };
                ip.shorten(&mut record);
                Some(Hit::Record(record))
            }
            Hit::Malformed { reason, sent } => {
                let unread = anonymise || signals.anonymous || self.consent.is_some() || self.ip != Ip::Full;
                let sent = match sent {
                    Value::Object(fields) if !anonymise && self.consent.is_none() => {
                        let ip = if signals.anonymous { Ip::Drop } else { self.ip };
                        ip.shorten_unread(fields)
                    }
                    _ if unread => Value::from(WITHHELD),
                    sent => sent,
                };
                Some(Hit::Malformed { reason, sent })
            }
        }
    }
}

impl Ip {
    /// What is kept of an address.
    fn of(self, address: IpAddr) -> Option<IpAddr> {
        match self {
            Ip::Full => Some(address),
            Ip::Drop => None,
            Ip::Truncate => Some(network(address)),
        }
    }

    /// Shortens the visitor's address, and those in whatever else may be personal.
    fn shorten(self, record: &mut Record) {
        if self == Ip::Full {
            return;
        }
        if let Some(Value::String(text)) = record.remove("user_ipaddress") {
            // What is not an address cannot be shortened.
            let kept = address(&text).and_then(|address| self.of(address));
            record.default_text("user_ipaddress", &kept.map(|kept| kept.to_string()).unwrap_or_default());
        }
        let keep = |address| self.of(address);
        let personal = record.protocol().columns().filter(|column| column.pii.is_some());
        for column in personal.filter(|column| column.name != "user_ipaddress") {
            let values = record.values_mut();
            if values
                .get_mut(column.name)
                .is_some_and(|value| !keep_addresses(value, &keep))
            {
                values.shift_remove(column.name);
            }
        }
        keep_addresses_of(record.extra_mut(), &keep);
    }

    /// A hit that could not be read, without the addresses that its protocol would have in it; all others are
    /// shortened.
    fn shorten_unread(self, mut fields: Map<String, Value>) -> Value {
        if self == Ip::Full {
            return Value::Object(fields);
        }
        for name in ["ip", "cip"] {
            fields.shift_remove(name);
        }
        if let Some(context) = fields.get_mut("context").and_then(Value::as_object_mut) {
            context.shift_remove("ip");
        }
        let mut sent = Value::Object(fields);
        keep_addresses(&mut sent, &|address| self.of(address));
        sent
    }
}

/// The network that an address is in.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (!0 << 8)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 80)).into(),
    }
}

fn is_given(consent: &Consent, record: &Record) -> bool {
    match record.protocol() {
        Protocol::Snowplow => {
            let contexts = record.get("contexts").and_then(Value::as_array);
            contexts.is_some_and(|contexts| contexts.iter().any(|context| has_schema(context, &["/gdpr/"])))
        }
        Protocol::Matomo => record.extra_value("consent") == Some(&Value::from("1")),
        Protocol::Segment => {
            let preferences = record
                .get("context")
                .and_then(|context| context.pointer("/consent/categoryPreferences"));
            preferences.and_then(|preferences| preferences.get(&consent.category)) == Some(&Value::from(true))
        }
    }
}

fn has_schema(context: &Value, parts: &[&str]) -> bool {
    let schema = context.get("schema").and_then(Value::as_str).unwrap_or_default();
    parts.iter().any(|part| schema.contains(part))
}

/// Takes whatever tells one visitor from another.
fn anonymised(record: &mut Record) {
    for column in record.protocol().columns() {
        let values = record.values_mut();
        let Some(value) = values.get(column.name) else {
            continue;
        };
        let kept = match (column.anonymous, value) {
            (Anonymous::Nothing, _) => None,
            (Anonymous::Harmless, Value::Array(contexts)) => {
                let contexts = contexts.iter().filter(|context| !has_schema(context, IDENTIFYING));
                Some(contexts.filter_map(|context| harmless(context, column.name)).collect())
            }
            (Anonymous::Harmless, value) => harmless(value, column.name),
            (Anonymous::PlainAddress, Value::String(text)) => Some(plain_address(text).into()),
            (Anonymous::Impersonal, Value::String(text)) if column.kind == Kind::Text => {
                impersonal(text).map(Value::from)
            }
            _ => continue,
        };
        match kept {
            Some(kept) => drop(values.insert(column.name.to_owned(), kept)),
            None => drop(values.shift_remove(column.name)),
        }
    }
    // What nobody knows may be an identifier.
    record.extra_mut().clear();
}

#[cfg(test)]
mod tests;
