//! What is kept of a visitor: decided before anything of a hit touches a disk.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::columns::{Anonymous, Kind, Protocol};
use super::freeform::{harmless, impersonal, keep_addresses, plain_address};
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
            let kept = text.parse().ok().and_then(|address| self.of(address));
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
        record.extra_mut().retain(|_, value| keep_addresses(value, &keep));
    }

    /// A hit that could not be read, without the addresses that its protocol would have in it; all others are shortened.
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
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hit(protocol: Protocol) -> Hit {
        let mut record = Record::new(protocol);
        record.default_text("user_id", "ana");
        record.default_text("event_id", "E");
        record.default_text("user_ipaddress", "203.0.113.77");
        record.extra("fingerprint", json!("f"));
        match protocol {
            Protocol::Snowplow => {
                record.default_text("network_userid", "n");
                record.json(
                    "contexts",
                    json!([{"schema": "iglu:x/client_session/jsonschema/1-0-0", "data": {}}]),
                );
            }
            Protocol::Matomo => record.extra("consent", json!("1")),
            Protocol::Segment => {
                record.json("traits", json!({"email": "a@example.org"}));
                let preferences = json!({"categoryPreferences": {"Analytics": true}});
                record.json(
                    "context",
                    json!({"device": {"id": 1}, "locale": "es", "consent": preferences}),
                );
            }
        }
        Hit::Record(Box::new(record))
    }

    fn kept(privacy: &Privacy, hit: Hit, signals: PrivacySignals) -> Option<Value> {
        privacy.apply(hit, signals).map(|hit| match hit {
            Hit::Record(record) => record.finish(),
            Hit::Malformed { sent, .. } => sent,
        })
    }

    #[test]
    fn addresses_are_shortened() {
        for (address, expected) in [
            ("203.0.113.77", "203.0.113.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("::ffff:203.0.113.77", "203.0.113.0"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), expected);
        }
        let record = kept(&Privacy::default(), hit(Protocol::Matomo), PrivacySignals::default()).unwrap();
        assert_eq!(
            (&record["user_ipaddress"], &record["user_id"]),
            (&json!("203.0.113.0"), &json!("ana"))
        );
        let dropping = Privacy {
            ip: Ip::Drop,
            ..Privacy::default()
        };
        let record = kept(&dropping, hit(Protocol::Matomo), PrivacySignals::default()).unwrap();
        assert_eq!(record.get("user_ipaddress"), None);
    }

    #[test]
    fn who_does_not_want_to_be_tracked_is_not() {
        let signals = PrivacySignals {
            no_tracking: true,
            ..PrivacySignals::default()
        };
        for protocol in Protocol::ALL {
            let record = kept(&Privacy::default(), hit(protocol), signals).unwrap();
            assert_eq!(record["event_id"], "E");
            for gone in ["user_id", "user_ipaddress", "network_userid", "traits", "extra"] {
                assert_eq!(record.get(gone), None, "{gone}");
            }
            let text = record.to_string();
            assert!(!text.contains("client_session") && !text.contains("device"), "{text}");
        }
        let dropping = Privacy {
            do_not_track: DoNotTrack::Drop,
            ..Privacy::default()
        };
        assert_eq!(kept(&dropping, hit(Protocol::Segment), signals), None);
        let ignoring = Privacy {
            do_not_track: DoNotTrack::Ignore,
            ..Privacy::default()
        };
        assert_eq!(
            kept(&ignoring, hit(Protocol::Segment), signals).unwrap()["user_id"],
            "ana"
        );
        let anonymous = PrivacySignals {
            anonymous: true,
            ..PrivacySignals::default()
        };
        let record = kept(&Privacy::default(), hit(Protocol::Snowplow), anonymous).unwrap();
        assert_eq!(
            (record.get("network_userid"), &record["user_id"]),
            (None, &json!("ana"))
        );
    }

    /// A hit that says who and where in every place that a site writes freely.
    fn telling(protocol: Protocol) -> Hit {
        let mut record = Record::new(protocol);
        let told =
            json!({"email": "ana@example.org", "ip": "203.0.113.77", "deep": [{"at": "via 203.0.113.77"}], "price": 5});
        for column in protocol.columns() {
            match column.kind {
                Kind::Json if column.name == "extra" => record.extra("told", told.clone()),
                Kind::Json if column.name == "contexts" => {
                    record.json("contexts", json!([{"schema": "x", "data": told}]))
                }
                Kind::Json => record.json(column.name, told.clone()),
                Kind::Text if column.name == "event_id" => record.default_text("event_id", "E"),
                Kind::Text if column.pii.is_some() => {
                    let text = "https://shop.example/a?email=ana@example.org&ip=203.0.113.77";
                    record.default_text(column.name, text);
                }
                _ => {}
            }
        }
        Hit::Record(Box::new(record))
    }

    #[test]
    fn what_sites_write_freely_is_shortened_and_made_anonymous_too() {
        let signals = PrivacySignals {
            no_tracking: true,
            ..PrivacySignals::default()
        };
        let dropping = Privacy {
            ip: Ip::Drop,
            ..Privacy::default()
        };
        let anonymous = PrivacySignals {
            anonymous: true,
            ..PrivacySignals::default()
        };
        for protocol in Protocol::ALL {
            let text = |privacy: &Privacy, signals| kept(privacy, telling(protocol), signals).unwrap().to_string();
            let shortened = text(&Privacy::default(), PrivacySignals::default());
            assert!(!shortened.contains("203.0.113.77"), "{shortened}");
            assert!(
                shortened.contains("via 203.0.113.0") && shortened.contains("ana@example.org"),
                "{shortened}"
            );
            for dropped in [
                text(&dropping, PrivacySignals::default()),
                text(&Privacy::default(), anonymous),
            ] {
                assert!(!dropped.contains("203.0.113"), "{dropped}");
            }
            let anonymised = text(&Privacy::default(), signals);
            for told in ["203.0.113", "ana", "deep", "?"] {
                assert!(!anonymised.contains(told), "{told}: {anonymised}");
            }
            assert!(
                anonymised.contains("https://shop.example/a") && anonymised.contains("\"event_id\":\"E\""),
                "{anonymised}"
            );
        }
        let all = Privacy {
            ip: Ip::Full,
            ..Privacy::default()
        };
        let record = kept(&all, telling(Protocol::Segment), PrivacySignals::default()).unwrap();
        assert_eq!(record["properties"]["ip"], "203.0.113.77");
        let unread = Hit::Malformed {
            reason: "r".into(),
            sent: json!({"properties": {"address": "203.0.113.77"}}),
        };
        let unread = kept(&Privacy::default(), unread, PrivacySignals::default()).unwrap();
        assert_eq!(unread, json!({"properties": {"address": "203.0.113.0"}}));
    }

    #[test]
    fn consent_is_asked_for_where_it_is_needed() {
        let consent = |without| Consent {
            category: "Analytics".into(),
            without,
        };
        let needing = |without| Privacy {
            consent: Some(consent(without)),
            ..Privacy::default()
        };
        let given = [Protocol::Matomo, Protocol::Segment];
        for protocol in Protocol::ALL {
            let kept = kept(&needing(WithoutConsent::Drop), hit(protocol), PrivacySignals::default());
            assert_eq!(kept.is_some(), given.contains(&protocol), "{protocol:?}");
        }
        let record = kept(
            &needing(WithoutConsent::Anonymise),
            hit(Protocol::Snowplow),
            PrivacySignals::default(),
        )
        .unwrap();
        assert_eq!(record.get("user_id"), None);
    }

    #[test]
    fn what_could_not_be_read_is_kept_without_addresses() {
        let malformed = |sent| Hit::Malformed {
            reason: "r".into(),
            sent,
        };
        let sent = json!({"ip": "203.0.113.77", "e": "zz", "context": {"ip": "203.0.113.77"}});
        let object = kept(&Privacy::default(), malformed(sent), PrivacySignals::default()).unwrap();
        assert_eq!(object, json!({"e": "zz", "context": {}}));
        let text = kept(
            &Privacy::default(),
            malformed(json!("{ip: 203.0.113.77")),
            PrivacySignals::default(),
        )
        .unwrap();
        assert_eq!(text, json!(WITHHELD));
        let full = Privacy {
            ip: Ip::Full,
            ..Privacy::default()
        };
        let text = kept(&full, malformed(json!("{")), PrivacySignals::default()).unwrap();
        assert_eq!(text, json!("{"));
    }
}
